"""The child process that reads a damaged catalog (see `salvage`)."""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import lmdb
import numpy as np

from ...core.child_processes import SpokenProgress, say
from ...core.errors import TllError
from ..backends.folder.rewrite import fill, settle_catalog
from ..backends.metadata import About
from ..catalog.checksums import is_whole, with_check, without_check
from ..catalog.lmdb_environment import Environment
from ..catalog.records import (
    NUMBER,
    SEVERAL_VALUES,
    TABLES,
    ImageRecord,
    PathEntry,
    number_of,
    path_key,
)
from ..catalog.spaces import Space

PRIMARY = ("meta", "folders", "images", "vectors", "words", "places", "rejects")
"""Tables that are read; what the others hold follows from these."""

POSITION = struct.Struct("<QQQ")
"""Where a child is: number of the primary table; 0 from the front, 1 from the back; records read,
with the one that is being read."""


class _Damaged:
    """The records of a damaged catalog."""

    def __init__(
        self, path: Path, checked: bool, limits: Sequence[Sequence[int]], position: mmap.mmap
    ) -> None:
        self._environment = Environment.open(path, TABLES, SEVERAL_VALUES, create=False)
        self._checked = checked
        self._limits = limits
        self._position = position
        self.lost = 0
        """Records that are there and not what was written."""

    def records(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Keys and contents, in order of key, of all that can be read."""
        number = PRIMARY.index(table)
        forward, backward = self._limits[number]
        with self._environment.reading() as txn:
            front = self._walk(txn, table, number, 0, forward)
            last = None
            for last, value in front:
                if (content := self._content(last, value)) is not None:
                    yield last, content
            if self._ended_early:
                # The end of the table, kept until it is put in order.
                rest = []
                for key, value in self._walk(txn, table, number, 1, backward):
                    if last is not None and key <= last:
                        break
                    rest.append((key, value))
                for key, value in reversed(rest):
                    if (content := self._content(key, value)) is not None:
                        yield key, content

    def _walk(
        self, txn: lmdb.Transaction, table: str, number: int, way: int, limit: int
    ) -> Iterator[tuple[bytes, bytes]]:
        self._ended_early = False
        try:
            with txn.cursor(db=self._environment.tables[table]) as cursor:
                step: Callable[[], bool] = (cursor.next, cursor.prev)[way]
                read = 0
                while True:
                    if read >= limit:
                        self._ended_early = True
                        return
                    read += 1
                    self._position[:] = POSITION.pack(number, way, read)
                    if not step():
                        return
                    key, value = bytes(cursor.key()), bytes(cursor.value())
                    yield key, value
        except (lmdb.Error, KeyError):
            self._ended_early = True

    def _content(self, key: bytes, stored: bytes) -> bytes | None:
        if not self._checked:
            return stored
        if is_whole(key, stored):
            return without_check(key, stored)
        self.lost += 1
        return None


class _Salvage:
    """A new catalog in the making, from what can be read of a damaged one."""

    def __init__(self, old: _Damaged, new: Path, about: About) -> None:
        self._old = old
        self._path = new
        self._about = about
        self._base = about.base_of(new.parent)
        self._new = Environment.open(new, TABLES, SEVERAL_VALUES)
        self._progress = SpokenProgress()
        self._folders: dict[int, bytes] = {}
        self._images: set[int] = set()
        self._shown: set[int] = set()

    def run(self) -> None:
        """Do it, saying what is lost."""
        try:
            self._folder_tables()
            self._image_tables()
            self._fill("places", self._entries())
            self._fill("place_of", self._entry_keys_of())
            self._fill("orphans", ((key, b"") for key in self._orphans()))
            self._fill("rejects", self._rejects())
            self._meta_tables()
        finally:
            self._new.close()
        settle_catalog(self._path, self._about)
        if self._old.lost:
            say("lost", f"{self._old.lost:,} records that were not what was written")

    def _fill(self, table: str, records: Iterable[tuple[bytes, bytes]]) -> None:
        checked = ((key, with_check(key, value)) for key, value in records)
        fill(self._new, table, checked, self._progress)

    def _folder_tables(self) -> None:
        for key, value in self._old.records("folders"):
            if len(key) == NUMBER.size and b"\0" not in value:
                self._folders[number_of(key)] = value
        rows = sorted(self._folders.items())
        self._fill("folders", ((NUMBER.pack(number), path) for number, path in rows))
        numbers = sorted((path_key(path), NUMBER.pack(number)) for number, path in rows)
        self._fill("folder_numbers", dict(numbers).items())

    def _image_tables(self) -> None:
        with_vectors = set.intersection(*map(self._with_vector, self._about.spaces))
        contents: dict[bytes, bytes] = {}

        def images() -> Iterator[tuple[bytes, bytes]]:
            for key, value in self._old.records("images"):
                digest = _digest_in(value)
                if digest is None or len(key) != NUMBER.size or digest in contents:
                    continue
                if (number := number_of(key)) in with_vectors:
                    contents[digest] = key
                    self._images.add(number)
                    yield key, value

        self._fill("images", images())
        for space in self._about.spaces:
            vectors = self._old.records(space.table)
            self._fill(space.table, (one for one in vectors if self._is_of_image(one[0])))
        self._fill("contents", sorted(contents.items()))

    def _with_vector(self, space: Space) -> set[int]:
        return {
            number_of(key)
            for key, value in self._old.records(space.table)
            if len(key) == NUMBER.size and _is_vector(value, space.dimension)
        }

    def _is_of_image(self, key: bytes) -> bool:
        return len(key) == NUMBER.size and number_of(key) in self._images

    def _entries(self) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._old.records("places"):
            folder = self._folders.get(_folder_of(key))
            image = _image_in(value)
            if folder is not None and image in self._images and _is_name(key[NUMBER.size :]):
                self._shown.add(image)
                yield key, value
            elif folder is not None:
                path = os.path.join(self._base, folder, key[NUMBER.size :])
                say("lost", os.fsdecode(os.path.normpath(path)))

    def _entry_keys_of(self) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._old.records("places"):
            if _folder_of(key) in self._folders and _is_name(key[NUMBER.size :]):
                image = _image_in(value)
                if image in self._images:
                    yield NUMBER.pack(image), key

    def _orphans(self) -> Iterator[bytes]:
        yield from map(NUMBER.pack, sorted(self._images - self._shown))

    def _rejects(self) -> Iterator[tuple[bytes, bytes]]:
        for key, value in self._old.records("rejects"):
            if _folder_of(key) in self._folders and _is_name(key[NUMBER.size :]):
                yield key, value

    def _meta_tables(self) -> None:
        meta = {
            key: value
            for key, value in self._old.records("meta")
            if key in (b"roots", b"index", b"generation", b"last_image", b"last_folder")
        }

        def counter(name: bytes, *others: int) -> int:
            value = meta.get(name, b"")
            return max(number_of(value) if len(value) == NUMBER.size else 0, *others)

        # A new past: what an index covers of the one before is no measure any more.
        generation = counter(b"generation", 0) + 1
        meta[b"generation"] = NUMBER.pack(generation)
        meta[b"last_image"] = NUMBER.pack(counter(b"last_image", 0, *self._images))
        meta[b"last_folder"] = NUMBER.pack(counter(b"last_folder", 0, *self._folders))
        self._fill("meta", sorted(meta.items()))
        self._fill("history", [(NUMBER.pack(generation), os.urandom(16))])


def _folder_of(key: bytes) -> int:
    return number_of(key[: NUMBER.size]) if len(key) > NUMBER.size else 0


def _is_name(name: bytes) -> bool:
    return bool(name) and b"/" not in name and b"\0" not in name and name not in (b".", b"..")


def _image_in(entry: bytes) -> int:
    try:
        return PathEntry.unpack(entry).image
    except struct.error:
        return 0


def _digest_in(record: bytes) -> bytes | None:
    try:
        digest = bytes.fromhex(ImageRecord.unpack(record).sha256)
    except (ValueError, TypeError, AttributeError):
        return None
    return digest if len(digest) == 32 else None


def _is_vector(value: bytes, dimension: int) -> bool:
    return len(value) == 4 * dimension and bool(np.isfinite(np.frombuffer(value, "<f4")).all())


def main() -> None:
    """Be the process."""
    old, new, entry, document, limits = json.loads(sys.argv[1])
    try:
        about = About.of(document, "store.json")
        with open(entry, "r+b") as file:
            position = mmap.mmap(file.fileno(), 0)
        damaged = _Damaged(Path(old), about.checked, limits, position)
        _Salvage(damaged, Path(new), about.renewed()).run()
        say("done")
    except TllError as error:
        say(type(error).__name__, str(error))
        os._exit(1)
    os._exit(0)
