"""LMDB records: the truth about which pictures are indexed, their vectors and their paths.

Identity is content: an image is the SHA-256 of a file's bytes, with a number that is never used
again. Places (paths) point at images. Tables:

    folders    folder number -> path          folder_numbers  BLAKE2b of path -> folder number
    places     folder number + name -> size, mtime_ns, image number
    place_of   image number -> keys in `places` (several for copies)
    contents   SHA-256 -> image number        images          image number -> JSON metadata
    vectors    image number -> float32 values orphans         images that no place shows any more
    rejects    folder number + name -> JSON: what could not be used, and when it was tried
    meta       format, generation, counters, roots

Numbers are 8 bytes, big-endian, so LMDB keeps them in order. A folder below the store's parent
is stored relative to it: a disk that is mounted elsewhere, or a tree that is moved with its
store, still fits.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, NamedTuple, TypeVar

import lmdb
import numpy as np

from ..types import UnitVectors
from .environment import Environment
from .walk import FileState

_T = TypeVar("_T")
_NUMBER = struct.Struct(">Q")
_PLACE = struct.Struct(">QqQ")  # size, mtime_ns, image number

TABLES = (
    *("folders", "folder_numbers", "places", "place_of", "contents", "images", "vectors"),
    *("orphans", "rejects", "meta"),
)


class Place(NamedTuple):
    """Where a picture was seen, in which state."""

    state: FileState
    image: int


class Reject(NamedTuple):
    """A file that could not be used."""

    state: FileState
    reason: str
    message: str
    codecs: str
    """Which decoders tried: with others, it is tried again."""


@dataclass(frozen=True)
class ImageRecord:
    """Metadata of one image."""

    sha256: str
    width: int
    height: int
    format: str
    bytes: int


class Catalog:
    """The tables of one store. Read through `reading()`, change through `write()`."""

    def __init__(self, environment: Environment, base: bytes) -> None:
        self._environment = environment
        self._base = base
        self._tables = environment.tables(TABLES, duplicates=("place_of",))

    @contextmanager
    def reading(self) -> Iterator[Reader]:
        """A consistent snapshot; never blocks a writer, nor waits for one."""
        with self._environment.reading() as txn:
            yield Reader(txn, self._tables, self._base)

    def write(self, work: Callable[[Writer], _T]) -> _T:
        """Run `work` in one transaction: all of it is kept or, where it raises, none. It may run
        more than once (see `Environment.write`), so it changes nothing but the transaction."""

        def in_transaction(txn: lmdb.Transaction) -> _T:
            writer = Writer(txn, self._tables, self._base)
            result = work(writer)
            writer.finish()
            return result

        return self._environment.write(in_transaction)

    @property
    def writable(self) -> bool:
        """Whether the file and its folder may be written."""
        return self._environment.writable

    @property
    def disk_bytes(self) -> int:
        """What the file takes on disk."""
        return self._environment.size()

    def close(self) -> None:
        """Let go of the environment."""
        self._environment.close()


class Reader:
    """A read transaction over the tables."""

    def __init__(self, txn: lmdb.Transaction, tables: dict[str, Any], base: bytes) -> None:
        self._txn: Any = txn  # gives bytes, which its type doesn't promise
        self._tables = tables
        self._base = base

    def _get(self, table: str, key: bytes) -> bytes | None:
        # A store that was created but never written has no tables yet.
        handle = self._tables.get(table)
        value: bytes | None = None if handle is None else self._txn.get(key, db=handle)
        return value

    def _scan(self, table: str, prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        if (handle := self._tables.get(table)) is None:
            return
        with self._txn.cursor(db=handle) as cursor:
            if not cursor.set_range(prefix):
                return
            for key, value in cursor:
                if not key.startswith(prefix):
                    return
                yield key, value

    def _count(self, table: str) -> int:
        handle = self._tables.get(table)
        return 0 if handle is None else int(self._txn.stat(handle)["entries"])

    # -- the whole ---------------------------------------------------------

    @property
    def generation(self) -> int:
        """Grows with every transaction that changes which vectors there are."""
        return self._meta_number("generation")

    @property
    def images(self) -> int:
        """How many images have a vector."""
        return self._count("images")

    @property
    def orphans(self) -> int:
        """How many of them no path shows any more (a build that was cut short leaves some)."""
        return self._count("orphans")

    @property
    def places(self) -> int:
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
        return 0 if value is None else int(_NUMBER.unpack(value)[0])

    def _meta_json(self, name: str, default: Any) -> Any:
        value = self._get("meta", name.encode())
        return default if value is None else json.loads(value)

    # -- folders and places ------------------------------------------------

    def folders(self) -> Iterator[tuple[int, bytes]]:
        """Every folder that places were seen in: number, absolute path."""
        for key, value in self._scan("folders"):
            yield _NUMBER.unpack(key)[0], self._absolute(value)

    def folder_number(self, path: bytes) -> int | None:
        """The number of a folder, by absolute path."""
        value = self._get("folder_numbers", _path_key(self._relative(path)))
        return None if value is None else int(_NUMBER.unpack(value)[0])

    def places_in(self, folder: int) -> dict[bytes, Place]:
        """The indexed files of one folder, by name."""
        return {
            key[_NUMBER.size :]: _place(value)
            for key, value in self._scan("places", _NUMBER.pack(folder))
        }

    def rejects_in(self, folder: int) -> dict[bytes, Reject]:
        """The unusable files of one folder, by name."""
        return {
            key[_NUMBER.size :]: _reject(value)
            for key, value in self._scan("rejects", _NUMBER.pack(folder))
        }

    def paths_of(self, image: int) -> list[bytes]:
        """Absolute paths that show this image, sorted."""
        return sorted(self._path(key) for key in self._place_keys(image))

    def _place_keys(self, image: int) -> list[bytes]:
        handle = self._tables.get("place_of")
        if handle is None:
            return []
        with self._txn.cursor(db=handle) as cursor:
            return list(cursor.iternext_dup()) if cursor.set_key(_NUMBER.pack(image)) else []

    def _path(self, place: bytes) -> bytes:
        folder = self._get("folders", place[: _NUMBER.size])
        return os.path.join(self._absolute(folder or b""), place[_NUMBER.size :])

    def _absolute(self, stored: bytes) -> bytes:
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
        return None if value is None else int(_NUMBER.unpack(value)[0])

    def image(self, number: int) -> ImageRecord | None:
        """Metadata of an image."""
        value = self._get("images", _NUMBER.pack(number))
        return None if value is None else ImageRecord(**json.loads(value))

    def image_numbers(self) -> np.ndarray:
        """(n,) int64, ascending: every image that has a vector."""
        keys = b"".join(key for key, _ in self._scan("images"))
        return np.frombuffer(keys, ">u8").astype(np.int64)

    def vectors(self, numbers: np.ndarray) -> UnitVectors:
        """(n, d) float32: the vectors of these images.

        Raises:
            KeyError: one of them has none.
        """
        rows = []
        for number in numbers:
            value = self._get("vectors", _NUMBER.pack(int(number)))
            if value is None:
                raise KeyError(int(number))
            rows.append(np.frombuffer(value, "<f4"))
        return np.stack(rows).astype(np.float32, copy=False) if rows else np.empty((0, 0), "f4")


class Writer(Reader):
    """A write transaction over the tables."""

    def __init__(self, txn: lmdb.Transaction, tables: dict[str, Any], base: bytes) -> None:
        super().__init__(txn, tables, base)
        self._vectors_changed = False

    def _put(self, table: str, key: bytes, value: bytes) -> None:
        self._txn.put(key, value, db=self._tables[table])

    def _delete(self, table: str, key: bytes, value: bytes = b"") -> bool:
        return bool(self._txn.delete(key, value, db=self._tables[table]))

    def _next(self, counter: str) -> int:
        number = self._meta_number(counter) + 1
        self._put("meta", counter.encode(), _NUMBER.pack(number))
        return number

    def finish(self) -> None:
        """Count the generation; `Catalog.write` calls it last."""
        if self._vectors_changed:
            self._next("generation")

    def set_roots(self, roots: Iterable[bytes]) -> None:
        """Remember the folders that are built from."""
        texts = [os.fsdecode(self._relative(root)) for root in roots]
        self._put("meta", b"roots", json.dumps(texts).encode("ascii"))

    def folder(self, path: bytes) -> int:
        """The number of a folder, given now if it has none."""
        if (number := self.folder_number(path)) is not None:
            return number
        number = self._next("last_folder")
        relative = self._relative(path)
        self._put("folders", _NUMBER.pack(number), relative)
        self._put("folder_numbers", _path_key(relative), _NUMBER.pack(number))
        return number

    def add_image(self, sha256: bytes, record: ImageRecord, vector: np.ndarray) -> int:
        """Add an image with its vector (d,) float32; returns its number. Content that is already
        there keeps its number and vector."""
        if (known := self.image_of(sha256)) is not None:
            return known
        number = self._next("last_image")
        key = _NUMBER.pack(number)
        self._put("images", key, json.dumps(asdict(record)).encode())
        self._put("vectors", key, np.ascontiguousarray(vector, "<f4").tobytes())
        self._put("contents", sha256, key)
        self._put("orphans", key, b"")
        self._vectors_changed = True
        return number

    def set_place(self, folder: int, name: bytes, state: FileState, image: int) -> None:
        """Say that the file `name` in `folder` shows `image`."""
        key = _NUMBER.pack(folder) + name
        self._release(key, keep=image)
        self._delete("rejects", key)
        self._put("places", key, _PLACE.pack(*state, image))
        self._put("place_of", _NUMBER.pack(image), key)
        self._delete("orphans", _NUMBER.pack(image))

    def remove_place(self, folder: int, name: bytes) -> None:
        """Forget a path; the image stays until `remove_orphans`."""
        key = _NUMBER.pack(folder) + name
        self._release(key)
        self._delete("places", key)
        self._delete("rejects", key)

    def remove_path(self, path: bytes) -> None:
        """`remove_place` by absolute path."""
        if (folder := self.folder_number(os.path.dirname(path))) is not None:
            self.remove_place(folder, os.path.basename(path))

    def reject(self, folder: int, name: bytes, reject: Reject) -> None:
        """Say that a file can't be used, so that it isn't opened again until it changes."""
        self.remove_place(folder, name)
        self._put("rejects", _NUMBER.pack(folder) + name, json.dumps(reject).encode())

    def remove_orphans(self, at_most: int) -> int:
        """Delete images that no path shows, with their vectors; returns how many."""
        keys = [key for key, _ in islice(self._scan("orphans"), at_most)]
        for key in keys:
            if record := self.image(_NUMBER.unpack(key)[0]):
                self._delete("contents", bytes.fromhex(record.sha256))
            for table in ("images", "vectors", "orphans"):
                self._delete(table, key)
        self._vectors_changed = self._vectors_changed or bool(keys)
        return len(keys)

    def remove_empty_folder(self, number: int) -> None:
        """Forget a folder that holds no place and no reject any more."""
        prefix = _NUMBER.pack(number)
        if any(next(self._scan(table, prefix), None) for table in ("places", "rejects")):
            return
        if (relative := self._get("folders", prefix)) is not None:
            self._delete("folder_numbers", _path_key(relative))
            self._delete("folders", prefix)

    def _release(self, place: bytes, keep: int | None = None) -> None:
        if (value := self._get("places", place)) is None:
            return
        image = _place(value).image
        if image == keep:
            return
        self._delete("place_of", _NUMBER.pack(image), place)
        if not self._place_keys(image):
            self._put("orphans", _NUMBER.pack(image), b"")


def _path_key(path: bytes) -> bytes:
    return hashlib.blake2b(path, digest_size=20).digest()


def _place(value: bytes) -> Place:
    size, mtime_ns, image = _PLACE.unpack(value)
    return Place(FileState(size, mtime_ns), image)


def _reject(value: bytes) -> Reject:
    state, reason, message, codecs = json.loads(value)
    return Reject(FileState(*state), reason, message, codecs)
