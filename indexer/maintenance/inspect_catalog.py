"""Every record of a catalog held against what it should be, and against the others.

Runs in a child process: reading a tree of pages that are not what LMDB wrote can end it.
"""

from __future__ import annotations

import json
import os
import struct
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lmdb
import numpy as np

from ...core.child_processes import heard, say
from ...core.errors import TllError
from ...core.progress import Progress
from ..backends.metadata import About
from ..catalog.checksums import is_whole
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
from ..catalog.spaces import TEXT_TABLE, Space

_NORM = 1e-3
"""A vector's length may differ from 1 by so much; that of a picture without any features is 0."""
_STEP = 10_000


def inspected(path: Path, about: About, progress: Progress) -> tuple[list[str], dict[str, int]]:
    """What is wrong with the catalog in the file `path`, one line each, and how many records each
    table holds."""
    wrong: list[str] = []
    counts: dict[str, int] = {}
    table, done = "", False
    for word, value in heard(__name__, [os.fspath(path), about.document()]):
        if word == "table":
            table = value
        elif word == "starting":
            progress.start("checking", value, "records")
        elif word == "read":
            progress.advance(value)
        elif word == "wrong":
            wrong.append(value)
        elif word == "counts":
            counts = value
            done = True
    if not done:
        wrong.append(f"it can't be read: in table {table!r} the process that tried came to an end")
    return wrong, counts


# -- the child ---------------------------------------------------------------


class _Inspection:
    def __init__(self, path: Path, about: About) -> None:
        self._environment = Environment.open(path, TABLES, SEVERAL_VALUES, create=False)
        self._about = about
        self._wrong: Counter[str] = Counter()
        self._examples: dict[str, str] = {}

    def run(self) -> None:
        with self._environment.reading() as txn:
            self._txn: Any = txn
            tables = self._environment.tables
            counts = {name: int(txn.stat(handle)["entries"]) for name, handle in tables.items()}
            say("starting", sum(counts.values()))
            self._meta()
            folders = self._folders()
            images = self._images()
            for space in self._about.spaces:
                self._vectors(space, images)
            if self._about.text is None and counts.get(TEXT_TABLE):
                self._note("places among texts are kept, which the store has none of", b"")
            self._entries(folders, images)
            for table in ("rejects", "history", "removals"):
                for key, _ in self._records(table):
                    if table == "rejects" and number_of(key[: NUMBER.size]) not in folders:
                        self._note("an unusable file is in a folder that is not there", key)
            for what, count in self._wrong.items():
                say("wrong", f"{count:,} times: {what} (such as {self._examples[what]})")
        say("counts", counts)

    def _note(self, what: str, key: bytes) -> None:
        if not self._wrong[what]:
            self._examples[what] = key.hex()[:40]
        self._wrong[what] += 1

    def _records(self, table: str) -> Iterator[tuple[bytes, bytes]]:
        """Keys and contents of those that are what was written."""
        say("table", table)
        handle = self._environment.tables.get(table)
        if handle is None:
            return
        read = 0
        try:
            with self._txn.cursor(db=handle) as cursor:
                for key, value in cursor.iternext(keys=True, values=True):
                    read += 1
                    if read % _STEP == 0:
                        say("read", _STEP)
                    if not self._about.checked:
                        yield key, value
                    elif is_whole(key, value):
                        yield key, value[:-4]
                    else:
                        self._note(f"a record of {table} is not what was written", key)
            if read != int(self._txn.stat(handle)["entries"]):
                self._note(f"records of {table} can't be found any more", b"")
        except lmdb.Error as error:
            self._note(f"{table} can't be read ({error})", b"")
        say("read", read % _STEP)

    def _get(self, table: str, key: bytes) -> bytes | None:
        value: bytes | None = self._txn.get(key, db=self._environment.tables[table])
        if value is None or not self._about.checked:
            return value
        return value[:-4] if is_whole(key, value) else None

    def _meta(self) -> None:
        meta = dict(self._records("meta"))
        generation = meta.get(b"generation", NUMBER.pack(0))
        if number_of(generation) and self._get("history", generation) is None:
            self._note("the token of this generation is lost", generation)
        if self._about.checked:
            known = json.loads(meta.get(b"about", b"{}"))
            mine = self._about.document()
            if any(known.get(key) != mine.get(key) for key in ("id", "made_by", "words")):
                self._note("the catalog says other things of its store than store.json", b"")

    def _folders(self) -> set[int]:
        folders = {}
        for key, path in self._records("folders"):
            folders[number_of(key)] = path
            if self._get("folder_numbers", path_key(path)) != key:
                self._note("a folder can't be found by its path", key)
        numbers = sum(1 for _ in self._records("folder_numbers"))
        if numbers != len(folders):
            self._note("folders are listed that are not there", b"")
        return set(folders)

    def _images(self) -> set[int]:
        images = set()
        for key, value in self._records("images"):
            images.add(number_of(key))
            try:
                digest = bytes.fromhex(ImageRecord.unpack(value).sha256)
            except (ValueError, TypeError):
                self._note("an image's record makes no sense", key)
                continue
            if self._get("contents", digest) != key:
                self._note("an image can't be found by its content", key)
        if sum(1 for _ in self._records("contents")) != len(images):
            self._note("contents are listed without an image", b"")
        return images

    def _vectors(self, space: Space, images: set[int]) -> None:
        where = f"in {space.table}"
        found = 0
        for key, value in self._records(space.table):
            found += number_of(key) in images
            if number_of(key) not in images:
                self._note(f"a vector {where} is of no image", key)
            if len(value) != 4 * space.dimension:
                self._note(f"a vector {where} has not {space.dimension} values", key)
                continue
            vector = np.frombuffer(value, "<f4")
            length = float(np.linalg.norm(vector))
            if not np.isfinite(vector).all():
                self._note(f"a vector {where} has values that are not finite", key)
            elif length and abs(length - 1) > _NORM:
                self._note(f"the length of a vector {where} is not 1", key)
        if found != len(images):
            self._note(f"an image has no vector {where}", b"")

    def _entries(self, folders: set[int], images: set[int]) -> None:
        entries, shown = 0, set()
        for key, value in self._records("places"):
            entries += 1
            name = key[NUMBER.size :]
            if number_of(key[: NUMBER.size]) not in folders:
                self._note("a path is in a folder that is not there", key)
            if not name or b"/" in name or b"\0" in name:
                self._note("a path makes no sense", key)
            try:
                image = PathEntry.unpack(value).image
            except struct.error:
                self._note("a path's record makes no sense", key)
                continue
            shown.add(image)
            if image not in images:
                self._note("a path shows an image that is not there", key)
        listed = 0
        for key, entry in self._records("place_of"):
            listed += 1
            found = self._get("places", entry)
            if found is None or PathEntry.unpack(found).image != number_of(key):
                self._note("an image is said to be where it isn't", key)
        if listed != entries:
            self._note("paths can't be found by their image", b"")
        orphans = {number_of(key) for key, _ in self._records("orphans")}
        if orphans != images - shown:
            self._note("images without a path are not those that are listed", b"")


def main() -> None:
    """Be the process."""
    path, document = json.loads(sys.argv[1])
    try:
        _Inspection(Path(path), About.of(document, "store.json")).run()
    except TllError as error:
        say("wrong", str(error))
        say("counts", {})
    os._exit(0)
