"""Reading the catalog in LMDB: one consistent snapshot of it."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterable, Iterator, Sequence
from itertools import compress, islice
from typing import Any

import lmdb
import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...core.errors import StoreDamagedError
from ...engine.remote.urls import is_address
from .base import Reader
from .checksums import BYTES, is_whole, without_check
from .records import LONGEST_KEY, NUMBER, ImageRecord, PathEntry, Reject, number_of, path_key
from .spaces import LENS_TABLE


def _numbers(packed: Iterable[bytes]) -> NDArray[np.int64]:
    return np.frombuffer(b"".join(packed), ">u8").astype(np.int64)


def _matrix(values: Sequence[bytes], beside: int) -> UnitVectors:
    """Rows of the values, without so many bytes at the end of each."""
    if not values:
        return np.empty((0, 0), np.float32)
    length = len(values[0])
    if any(len(value) != length for value in values):
        raise ValueError("vectors are not all of one length")
    rows = np.frombuffer(b"".join(values), np.uint8).reshape(len(values), -1)
    return (
        np.ascontiguousarray(rows[:, : length - beside]).view("<f4").astype(np.float32, copy=False)
    )


class LmdbReader(Reader):
    """A read transaction over the tables. Whatever it reads may raise `StoreDamagedError`: what
    was read is not what was written."""

    def __init__(
        self,
        txn: lmdb.Transaction,
        tables: dict[str, Any],
        base: bytes,
        checked: bool = True,
        space: str = LENS_TABLE,
    ) -> None:
        """
        Args:
            checked: whether values end with a checksum; those of old stores don't.
            space: the table that `vectors` and its like read.
        """
        self._txn: Any = txn  # gives bytes, which its type doesn't promise
        self._tables = tables
        self._base = base
        self._checked = checked
        self._space = space

    def of_space(self, table: str) -> LmdbReader:
        """The same snapshot, with the vectors of this space."""
        return LmdbReader(self._txn, self._tables, self._base, self._checked, table)

    def _get(self, table: str, key: bytes) -> bytes | None:
        # A store that was created but never written has no tables yet.
        handle = self._tables.get(table)
        value: bytes | None = None if handle is None else self._txn.get(key, db=handle)
        return value if value is None else self._content(key, value)

    def _content(self, key: bytes, stored: bytes) -> bytes:
        return without_check(key, stored) if self._checked else stored

    def _scan(
        self, table: str, prefix: bytes = b"", start: bytes = b""
    ) -> Iterator[tuple[bytes, bytes]]:
        """Keys with that prefix, from `start` on, and their values."""
        if (handle := self._tables.get(table)) is None:
            return
        with self._txn.cursor(db=handle) as cursor:
            if not cursor.set_range(max(prefix, start)):
                return
            for key, value in cursor:
                if not key.startswith(prefix):
                    return
                yield key, self._content(key, value)

    def _count(self, table: str) -> int:
        handle = self._tables.get(table)
        return 0 if handle is None else int(self._txn.stat(handle)["entries"])

    # -- the whole ---------------------------------------------------------

    @property
    def transaction(self) -> int:
        """The number of the last transaction that it sees; of any, not only those that change
        which vectors there are."""
        return int(self._txn.id())

    @property
    def generation(self) -> int:
        """Grows with every transaction that changes which vectors there are."""
        return self._meta_number("generation")

    def token(self, generation: int) -> bytes | None:
        """What tells this generation from one of the same number in another past (a catalog that
        was restored from a copy has two); None for one long ago."""
        return self._get("history", NUMBER.pack(generation))

    @property
    def images(self) -> int:
        """How many images have a vector."""
        return self._count("images")

    @property
    def orphans(self) -> int:
        """How many of them no path shows any more (a build that was cut short leaves some)."""
        return self._count("orphans")

    @property
    def entries(self) -> int:
        """How many indexed paths there are."""
        return self._count("places")

    @property
    def rejected(self) -> int:
        """How many files are known to be unusable."""
        return self._count("rejects")

    def roots(self) -> list[bytes]:
        """The folders that were built from."""
        return [self._absolute(os.fsencode(root)) for root in self._meta_json("roots", [])]

    def _meta_number(self, name: str) -> int:
        value = self._get("meta", name.encode())
        return 0 if value is None else number_of(value)

    def _meta_json(self, name: str, default: Any) -> Any:
        value = self._get("meta", name.encode())
        return default if value is None else json.loads(value)

    # -- folders and paths -------------------------------------------------

    def folders(self) -> Iterator[tuple[int, bytes]]:
        """Every folder that files were seen in: number, absolute path."""
        for key, value in self._scan("folders"):
            yield number_of(key), self._absolute(value)

    def folder_number(self, path: bytes) -> int | None:
        """The number of a folder, by absolute path."""
        for stored in (self._relative(path), path):  # absolute, if the store moved above it since
            if (value := self._get("folder_numbers", path_key(stored))) is not None:
                return number_of(value)
        return None

    def entries_in(self, folder: int) -> dict[bytes, PathEntry]:
        """The indexed files of one folder, by name."""
        return {
            key[NUMBER.size :]: PathEntry.unpack(value)
            for key, value in self._scan("places", NUMBER.pack(folder))
        }

    def images_in(self, folder: int) -> Iterator[tuple[bytes, int]]:
        """The indexed files of one folder: name, image number."""
        for key, value in self._scan("places", NUMBER.pack(folder)):
            yield key[NUMBER.size :], number_of(value[-NUMBER.size :])

    def rejects_in(self, folder: int) -> dict[bytes, Reject]:
        """The unusable files of one folder, by name."""
        return {
            key[NUMBER.size :]: Reject.unpack(value)
            for key, value in self._scan("rejects", NUMBER.pack(folder))
        }

    def file_in(self, folder: int, name: bytes) -> PathEntry | Reject | None:
        """What is known of one file of a folder."""
        key = NUMBER.pack(folder) + name
        if len(key) > LONGEST_KEY:
            return None
        if (value := self._get("places", key)) is not None:
            return PathEntry.unpack(value)
        return None if (value := self._get("rejects", key)) is None else Reject.unpack(value)

    def paths_of(self, image: int, at_most: int | None = None) -> list[bytes]:
        """Absolute paths that show this image, sorted; `at_most` so many of them, any."""
        return sorted(self._path(key) for key in self._entry_keys(image, at_most))

    def entries_of(self, image: int) -> list[tuple[bytes, PathEntry]]:
        """The path entries that show this image: absolute path, and what is known of the file
        there; sorted."""
        found = []
        for key in self._entry_keys(image):
            if (value := self._get("places", key)) is not None:
                found.append((self._path(key), PathEntry.unpack(value)))
        return sorted(found)

    def _entry_keys(self, image: int, at_most: int | None = None) -> list[bytes]:
        handle = self._tables.get("place_of")
        if handle is None:
            return []
        with self._txn.cursor(db=handle) as cursor:
            if not cursor.set_key(key := NUMBER.pack(image)):
                return []
            return [self._content(key, one) for one in islice(cursor.iternext_dup(), at_most)]

    def _path(self, entry: bytes) -> bytes:
        folder = self._get("folders", entry[: NUMBER.size])
        return os.path.join(self._absolute(folder or b""), entry[NUMBER.size :])

    def _absolute(self, stored: bytes) -> bytes:
        if is_address(stored):
            return stored
        return os.path.normpath(os.path.join(self._base, stored))

    def _relative(self, path: bytes) -> bytes:
        if path == self._base:
            return b"."
        prefix = self._base.rstrip(b"/") + b"/"
        return path[len(prefix) :] if path.startswith(prefix) else path

    # -- images and vectors ------------------------------------------------

    def image_of(self, sha256: bytes) -> int | None:
        """The image with this content (32-byte digest)."""
        value = self._get("contents", sha256)
        return None if value is None else number_of(value)

    def is_orphan(self, number: int) -> bool:
        """Whether no path shows this image any more."""
        return self._get("orphans", NUMBER.pack(number)) is not None

    def orphan_numbers(self) -> NDArray[np.int64]:
        """(n,) int64, ascending: the images that no path shows any more."""
        return _numbers(key for key, _ in self._scan("orphans"))

    def image(self, number: int) -> ImageRecord | None:
        """Metadata of an image."""
        value = self._get("images", NUMBER.pack(number))
        return None if value is None else ImageRecord.unpack(value)

    @property
    def last_image(self) -> int:
        """The highest number that an image was ever given."""
        return self._meta_number("last_image")

    def drawn(self, count: int) -> list[int]:
        """Different numbers by chance, at most `count`, that images may have."""
        return random.sample(range(1, self.last_image + 1), min(count, self.last_image))

    def image_numbers(self, after: int = 0) -> NDArray[np.int64]:
        """(n,) int64, ascending: every image that has a vector, from number `after` + 1 on."""
        if (handle := self._tables.get("images")) is None:
            return np.empty(0, np.int64)
        with self._txn.cursor(db=handle) as cursor:
            if not cursor.set_range(NUMBER.pack(after + 1)):
                return np.empty(0, np.int64)
            return _numbers(cursor.iternext(values=False))

    def vectors_there(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], UnitVectors]:
        """Those of `numbers` that have a vector, in the same order, and (n, d) float32 these.

        Raises:
            ValueError: they are not all of one length.
        """
        if (handle := self._tables.get(self._space)) is None:
            return np.empty(0, np.int64), np.empty((0, 0), np.float32)
        get, packed = self._txn.get, numbers.astype(">u8").tobytes()
        keys = [packed[at : at + NUMBER.size] for at in range(0, len(packed), NUMBER.size)]
        values = [get(key, None, handle) for key in keys]
        if None in values:
            there = [value is not None for value in values]
            numbers, keys = numbers[there], list(compress(keys, there))
            values = [value for value in values if value is not None]
        return numbers, self._rows(keys, values)

    def vectors_from(self, after: int, at_most: int) -> tuple[NDArray[np.int64], UnitVectors]:
        """The next `at_most` images with a vector after number `after`, and (n, d) float32 these.

        Raises:
            ValueError: they are not all of one length.
        """
        handle = self._tables.get(self._space)
        if handle is not None:
            with self._txn.cursor(db=handle) as cursor:
                if cursor.set_range(NUMBER.pack(after + 1)):
                    rows = list(islice(cursor.iternext(), at_most))
                    keys = [key for key, _ in rows]
                    return _numbers(keys), self._rows(keys, [row for _, row in rows])
        return np.empty(0, np.int64), np.empty((0, 0), np.float32)

    def _rows(self, keys: Sequence[bytes], values: Sequence[bytes]) -> UnitVectors:
        if not self._checked:
            return _matrix(values, 0)
        if not all(map(is_whole, keys, values)):
            broken = next(
                key for key, value in zip(keys, values, strict=True) if not is_whole(key, value)
            )
            raise StoreDamagedError(
                f"the catalog is damaged: the vector of image {number_of(broken)} is not what was "
                "written; 'tll-index repair' mends it"
            )
        return _matrix(values, BYTES)

    def removed_since(self, generation: int) -> NDArray[np.int64]:
        """(n,) int64: the images that were deleted after that generation."""
        after = NUMBER.pack(generation + 1)
        return _numbers(numbers for _, numbers in self._scan("removals", start=after))

    def about(self) -> dict[str, Any] | None:
        """What was last said of the store by `Writer.set_about`; JSON values."""
        document = self._meta_json("about", None)
        return None if document is None else dict(document)

    @property
    def wiping(self) -> bool:
        """Whether pictures were forgotten whose bytes may still be in files of the store."""
        return bool(self._meta_json("wiping", False))

    def index_note(self) -> dict[str, Any]:
        """See `Reader.index_note`."""
        return dict(self._meta_json("index", {}))
