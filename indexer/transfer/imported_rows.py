"""Rows of embeddings from elsewhere -> catalog: which are one picture, and under which names."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import count

import numpy as np
from numpy.typing import NDArray

from ..catalog.base import Reader, Writer
from ..catalog.records import ImageRecord, PathEntry
from ..decoding.pipeline import Listed, Prepared
from ..ingest.commit import state_of
from ..scan.walk import LONGEST_NAME, FileState

_SAME = 0.99999
"""The least cosine of two vectors that are one, in float16 the second time or embedded in another
batch; pictures that hardly differ have less."""


@dataclass
class Imported:
    """What came into a store, counted in rows but `images`."""

    images: int = 0
    """Pictures that it did not have."""
    paths: int = 0
    known: int = 0
    """Paths that it had, with the same picture."""
    absent: int = 0
    """Rows whose file could not be read here: the picture is known by its path alone."""
    refused: int = 0
    """Rows without a direction: a value is not finite, or all are 0."""
    nameless: int = 0
    """Rows that say neither a path nor an address, or one that is too long."""
    renamed: int = 0
    """Rows whose path or content was there with another vector. They are kept as well, as pictures
    of their own, at the path and `~partP-rowR` (which file of embeddings, and which row of it)."""


@dataclass(frozen=True)
class ImportedRow(Listed):
    """A row of an import: a file that may be here, and its vector."""

    vector: NDArray[np.float32] = field(default_factory=lambda: np.empty(0, np.float32))
    """(d,), of length 1."""
    of: str = ""
    """Which row of which part: partP-rowR."""


def record_rows(writer: Writer, batch: Sequence[Prepared]) -> Imported:
    """Write rows, whose files were read where they are here; says what became of them."""
    counts = Imported()
    batch_of = [_Intended.of_prepared(prepared) for prepared in batch]
    writer.foresee([one.sha256 for one in batch_of], [one.path for one in batch_of])
    vectors = _vectors_known(writer, batch_of)
    for one in batch_of:
        shown = _image_at(writer, one.path)
        if one.is_absent and shown is not None and one.is_like(vectors.get(shown)):
            counts.known += 1  # perhaps its file was here before
            counts.absent += 1
            continue
        if one.is_taken(writer.image_of(one.sha256), shown, vectors):
            renamed = one.renamed(writer)
            if renamed is None:
                counts.nameless += 1
                continue
            one, shown = renamed, _image_at(writer, renamed.path)
            counts.renamed += 1
        counts.absent += one.is_absent
        image = writer.image_of(one.sha256)
        if image is None:
            image = writer.add_image(one.sha256, one.record, one.vector)
            vectors[image] = one.vector
            counts.images += 1
        counts.known += shown == image
        counts.paths += shown != image
        folder, name = os.path.split(one.path)
        writer.set_entry(writer.folder(folder), name, one.state, image)
    return counts


@dataclass(frozen=True)
class _Intended:
    """What a row is to become: a path, and the picture at it."""

    path: bytes
    sha256: bytes
    is_absent: bool
    """Whether the picture is known by its path alone."""
    vector: NDArray[np.float32]
    """(d,), of length 1."""
    state: FileState
    record: ImageRecord
    of: str
    """Which row of which part."""

    @classmethod
    def of_prepared(cls, prepared: Prepared) -> _Intended:
        """As the row says it."""
        row, picture = prepared.file, prepared.picture
        assert isinstance(row, ImportedRow)
        sha256 = prepared.sha256 or hashlib.sha256(b"imported from " + row.path).digest()
        size = (picture.width, picture.height, picture.format) if picture else (0, 0, "")
        record = ImageRecord(sha256.hex(), *size, prepared.file_bytes)
        absent = not prepared.sha256
        return cls(row.path, sha256, absent, row.vector, state_of(row), record, row.of)

    def is_like(self, known: NDArray[np.float32] | None) -> bool:
        """Whether `known`, of a picture that is there, can be this vector."""
        return known is None or float(known @ self.vector) >= _SAME

    def is_taken(
        self, image: int | None, shown: int | None, vectors: dict[int, NDArray[np.float32]]
    ) -> bool:
        """Whether another vector has this content or path, and would be lost, or this one.

        Args:
            image: that has this content.
            shown: the one that the path shows.
        """
        if self.is_absent and shown is not None and shown != image:
            return True
        return image is not None and not self.is_like(vectors.get(image))

    def renamed(self, writer: Writer) -> _Intended | None:
        """The same under a name of its own. Rows with equal paths and vectors get one name; None
        where it is too long."""
        named = b"imported from " + self.path + b"\0" + self.vector.tobytes()
        sha256 = hashlib.sha256(named).digest()
        image = writer.image_of(sha256)
        known = [] if image is None else writer.paths_of(image)
        path = known[0] if known else self._free_path(writer)
        if len(os.path.basename(path)) > LONGEST_NAME:
            return None
        record = ImageRecord(sha256.hex(), 0, 0, "", 0)
        return replace(
            self, path=path, sha256=sha256, is_absent=True, state=FileState(0, 0), record=record
        )

    def _free_path(self, writer: Writer) -> bytes:
        """The first that is made of this path and row and shows nothing yet."""
        tries = (f"~{self.of}{f'-{n}' if n > 1 else ''}".encode() for n in count(1))
        return next(path for one in tries if _image_at(writer, path := self.path + one) is None)


def _image_at(reader: Reader, path: bytes) -> int | None:
    """The image that a path shows."""
    folder, name = os.path.split(path)
    number = reader.folder_number(folder)
    known = None if number is None else reader.file_in(number, name)
    return known.image if isinstance(known, PathEntry) else None


def _vectors_known(writer: Writer, rows: Iterable[_Intended]) -> dict[int, NDArray[np.float32]]:
    """By image: the vectors of the contents, and of what the paths show."""
    found: set[int | None] = set()
    for one in rows:
        found |= {writer.image_of(one.sha256), _image_at(writer, one.path)}
    numbers = sorted(number for number in found if number is not None)
    there, vectors = writer.vectors_there(np.array(numbers, np.int64))
    return dict(zip(there.tolist(), vectors, strict=True))
