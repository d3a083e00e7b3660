"""Whether a store is whole: every record, vector, path and index entry; if not, what mends it."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ...core.config import Settings, load_settings
from ...core.contracts import UnitVectors
from ...core.errors import LensError, MissingPictureError, PictureError, StoreDamagedError
from ...core.names import shown
from ...core.progress import Progress
from ...engine.images.decode import Limits, decode
from ...engine.images.file_bytes import read_bytes
from ..backends.folder.lens_file import own_lens
from ..backends.folder.store_folder import about_of, folder_of
from ..backends.layout import require_store
from ..backends.metadata import About
from ..catalog.lmdb_environment import is_lost
from ..catalog.lmdb_reader import LmdbReader
from ..catalog.records import ImageRecord
from ..catalog.spaces import LENS_TABLE, Space
from ..store.resolve import require_folder
from ..store.store import Store
from ..vector_index.faiss_file import load
from ..vector_index.live_index import CHUNK
from .inspect_catalog import inspected

_AGAIN = 64
"""Pictures that a deep verification embeds again."""
_ALIKE = 0.999
"""The least cosine between a stored vector and that of the same picture now."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    part: str
    """store.json, catalog, lens, index or pictures."""
    what: str
    """In one line."""
    mends: str
    """The command that mends it: build or repair; 'backup' where only a copy can."""


@dataclass(frozen=True)
class Verification:
    """What `verify` found."""

    findings: tuple[Finding, ...]
    checked: dict[str, int]
    """How many records of each table, entries of the index, and pictures were looked at."""

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.findings


def verify(
    store: str | os.PathLike[str] | None = None,
    *,
    deep: bool = False,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> Verification:
    """Check every record, vector (finite, of length 1), path and index entry of a store. Changes
    nothing; others may read and write meanwhile.

    Args:
        store: its folder; None as in `Store.open`.
        deep: also read every indexed picture, to see whether it is the one that was indexed, and
            embed some of them again.

    Raises:
        NoStoreError: there is none.
    """
    settings = settings or load_settings()
    progress = progress or Progress()
    path = require_folder(require_store(store, settings))
    while True:
        found, catalog = _inspect(path, deep, progress, settings)
        if found.whole or catalog == _catalog_in(path):
            return found  # else it was replaced while we looked


def _catalog_in(path: Path) -> str:
    about, _ = about_of(path)
    return "" if about is None else about.catalog


def _inspect(
    path: Path, deep: bool, progress: Progress, settings: Settings
) -> tuple[Verification, str]:
    """What is found, and in which catalog."""
    about, why = about_of(path)
    findings = [] if why is None else [Finding("store.json", why, "repair" if about else "backup")]
    checked: dict[str, int] = {}
    if about is None:
        return Verification(tuple(findings), checked), ""
    catalog = path / about.catalog
    if is_lost(catalog):
        findings.append(Finding("catalog", f"{about.catalog} is lost", "backup"))
        return Verification(tuple(findings), checked), about.catalog
    wrong, checked = inspected(catalog, about, progress)
    findings += [Finding("catalog", what, "repair") for what in wrong]
    findings += _lens(path, about)
    if not findings:  # what is derived is held against what is whole
        with Store.open(path, settings=settings) as opened:
            for space in about.spaces:
                findings += _index(opened, space, checked)
            if deep:
                findings += _pictures(opened, checked, progress)
    return Verification(tuple(findings), checked), about.catalog


def _lens(path: Path, about: About) -> Iterator[Finding]:
    try:
        own_lens(path, about)
    except (LensError, StoreDamagedError) as error:
        yield Finding("lens", str(error), "repair")


def _index(store: Store, space: Space, checked: dict[str, int]) -> Iterator[Finding]:
    """A FAISS file, which may lag behind the catalog but must know nothing else."""
    name, path = space.file, store.path / space.file
    there = os.path.lexists(path)
    # Before the catalog: what it covers is then known there.
    file = load(path, space.file_id, space.dimension)
    with folder_of(store.backend).catalog.reading(space.table) as reader:
        if not reader.images or not there:
            return  # queries make what they need; a build writes it
        if file is None:
            yield Finding("index", f"{name} is damaged, or of another store", "build")
            return
        if (reader.token(file.covered.generation) or b"") != file.covered.token:
            yield Finding("index", f"{name} is of another past of this store", "build")
            return
        ids = file.ids()
        checked["index" if space.table == LENS_TABLE else "words index"] = len(ids)
        numbers = reader.image_numbers()
        covered = numbers[numbers <= file.notes.last]
        gone = reader.removed_since(file.covered.generation)
        wanted = np.union1d(covered, gone[gone <= file.notes.last])
        if not np.array_equal(np.sort(ids), wanted):
            yield Finding("index", f"{name} does not hold the images of the catalog", "build")
            return
        if file.notes.exact:
            order = np.argsort(ids, kind="stable")
            for start in range(0, len(covered), CHUNK):
                some = covered[start : start + CHUNK]
                rows = reader.vectors(some)
                at = order[np.searchsorted(ids, some, sorter=order)]
                if not np.array_equal(rows, file.exact.rows[at]):
                    yield Finding("index", f"{name} holds other vectors", "build")
                    return


def _pictures(store: Store, checked: dict[str, int], progress: Progress) -> Iterator[Finding]:
    """Every indexed path: whether it still shows what was indexed."""
    with folder_of(store.backend).catalog.reading() as reader:
        numbers = reader.image_numbers()
    some = 0 if store.about.imported else _AGAIN
    again = set(np.random.default_rng(0).permutation(numbers)[:some].tolist())
    progress.start("reading", len(numbers), "pictures")
    checked["pictures"] = 0
    for number in numbers.tolist():
        with folder_of(
            store.backend
        ).catalog.reading() as reader:  # short: a long one would keep old pages
            record = reader.image(number)
            paths = reader.paths_of(number)
            vectors = _stored(reader, store.about, number) if number in again and paths else None
        if record is not None and not record.file_bytes:
            paths = []  # imported without a file
        for path in paths:
            checked["pictures"] += 1
            if (finding := _picture(store, path, record, vectors)) is not None:
                yield finding
        progress.advance(1)


def _picture(
    store: Store,
    path: bytes,
    record: ImageRecord | None,
    vectors: Sequence[UnitVectors] | None,
) -> Finding | None:
    try:
        data = read_bytes(path, Limits.of(store.settings))
    except MissingPictureError:
        return Finding("pictures", f"{shown(path)} is gone", "build")
    except PictureError as error:
        return Finding("pictures", str(error), "build")
    if record is None or hashlib.sha256(data).hexdigest() != record.sha256:
        what = f"{shown(path)} is not the picture that was indexed any more"
        return Finding("pictures", what, "build --checksum")
    if vectors is not None and (cosine := _again(store, data, vectors)) < _ALIKE:
        what = f"{shown(path)} has another vector now (cosine {cosine:.3f})"
        return Finding("pictures", what, "backup")
    return None


def _stored(reader: LmdbReader, about: About, number: int) -> list[UnitVectors]:
    """The vectors of an image, (1, d) each, in each space."""
    return [reader.of_space(space.table).vectors([number]) for space in about.spaces]


def _again(store: Store, data: bytes, vectors: Sequence[UnitVectors]) -> float:
    """The least cosine of what is stored with what would be now."""
    geometry = store.embedder.backbone.spec.geometry
    try:
        picture = decode(data, geometry, Limits.of(store.settings))
    except PictureError:
        return 0.0
    now = store.encode_spaces([picture])
    return min(float(old[0] @ new[0]) for old, new in zip(vectors, now, strict=True))
