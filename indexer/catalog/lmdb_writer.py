"""Changing the catalog in LMDB: what one write transaction can say."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from itertools import islice
from typing import Any

import lmdb
import numpy as np

from ..scan.walk import FileState
from .base import Writer
from .checksums import with_check
from .lmdb_reader import LmdbReader
from .records import NUMBER, ImageRecord, PathEntry, Reject, number_of, path_key

_HISTORY = 4096
"""Generations whose tokens are kept, besides those that derived files cover (see `covers`)."""


class LmdbWriter(LmdbReader, Writer):
    """A write transaction over the tables."""

    def __init__(
        self, txn: lmdb.Transaction, tables: dict[str, Any], base: bytes, checked: bool = True
    ) -> None:
        super().__init__(txn, tables, base, checked)
        self._vectors_changed = False
        self._removed: list[bytes] = []

    def _put(self, table: str, key: bytes, value: bytes) -> None:
        self._txn.put(key, self._stored(key, value), db=self._tables[table])

    def _delete(self, table: str, key: bytes, value: bytes | None = None) -> bool:
        """Delete a key or, in a table of several values, one of its values."""
        stored = b"" if value is None else self._stored(key, value)
        return bool(self._txn.delete(key, stored, db=self._tables[table]))

    def _stored(self, key: bytes, value: bytes) -> bytes:
        return with_check(key, value) if self._checked else value

    def _next(self, counter: str) -> int:
        number = self._meta_number(counter) + 1
        self._put("meta", counter.encode(), NUMBER.pack(number))
        return number

    def finish(self) -> None:
        """Count the generation; `Catalog.write` calls it last."""
        if self._vectors_changed:
            generation = self._next("generation")
            self._put("history", NUMBER.pack(generation), os.urandom(16))
            if self._removed:
                self._put("removals", NUMBER.pack(generation), b"".join(self._removed))
            old = generation - _HISTORY
            if old > 0 and old not in self._meta_json("covered", []):
                self._delete("history", NUMBER.pack(old))

    def covers(self, *generations: int) -> None:
        """Say which generations derived files cover: their tokens are kept, and what was removed
        since the first. Call it before such a file is put in its place, with the one that is
        there as well, and again after."""
        covered = sorted({generation for generation in generations if generation})
        for old in set(self._meta_json("covered", [])) - set(covered):
            if old <= self.generation - _HISTORY:
                self._delete("history", NUMBER.pack(old))
        self._put("meta", b"covered", json.dumps(covered).encode())
        for key, _ in list(self._scan("removals")):
            if covered and number_of(key) <= covered[0]:
                self._delete("removals", key)

    def set_about(self, document: dict[str, Any]) -> None:
        """Remember what `store.json` says; JSON values."""
        self._put("meta", b"about", json.dumps(document).encode())

    def set_wiping(self, due: bool) -> None:
        """Remember whether bytes of forgotten pictures are to be wiped."""
        if due != self.wiping:
            self._put("meta", b"wiping", json.dumps(due).encode())

    def set_index_note(self, note: dict[str, Any]) -> None:
        """See `Writer.set_index_note`."""
        if note != self.index_note():
            self._put("meta", b"index", json.dumps(note).encode())

    def set_roots(self, roots: Iterable[bytes]) -> None:
        """Remember the folders that are built from."""
        texts = [os.fsdecode(self._relative(root)) for root in roots]
        if texts == self._meta_json("roots", []):
            return  # a transaction that changes nothing writes nothing
        self._put("meta", b"roots", json.dumps(texts).encode("ascii"))

    def folder(self, path: bytes) -> int:
        """The number of a folder, given now if it has none."""
        if (number := self.folder_number(path)) is not None:
            return number
        number = self._next("last_folder")
        relative = self._relative(path)
        self._put("folders", NUMBER.pack(number), relative)
        self._put("folder_numbers", path_key(relative), NUMBER.pack(number))
        return number

    def add_image(
        self,
        sha256: bytes,
        record: ImageRecord,
        vector: np.ndarray,
        text: np.ndarray | None = None,
    ) -> int:
        """Add an image; returns its number. Content that is already there keeps its number and
        vectors.

        Args:
            vector: (d,) float32.
            text: (j,) float32, its text embedding, in a store with a text space.
        """
        if (known := self.image_of(sha256)) is not None:
            return known
        number = self._next("last_image")
        key = NUMBER.pack(number)
        self._put("images", key, record.pack())
        self._put("vectors", key, np.ascontiguousarray(vector, "<f4").tobytes())
        if text is not None:
            self._put("words", key, np.ascontiguousarray(text, "<f4").tobytes())
        self._put("contents", sha256, key)
        self._put("orphans", key, b"")
        self._vectors_changed = True
        return number

    def set_entry(self, folder: int, name: bytes, state: FileState, image: int) -> None:
        """Say that the file `name` in `folder` shows `image`."""
        key = NUMBER.pack(folder) + name
        self._release(key, keep=image)
        self._delete("rejects", key)
        self._put("places", key, PathEntry(state, image).pack())
        self._put("place_of", NUMBER.pack(image), key)
        self._delete("orphans", NUMBER.pack(image))

    def remove_entry(self, folder: int, name: bytes) -> None:
        """Forget a path; the image stays until `remove_orphans`."""
        key = NUMBER.pack(folder) + name
        self._release(key)
        self._delete("places", key)
        self._delete("rejects", key)

    def reject(self, folder: int, name: bytes, reject: Reject) -> None:
        """Say that a file can't be used, so that it isn't opened again until it changes."""
        self.remove_entry(folder, name)
        self._put("rejects", NUMBER.pack(folder) + name, reject.pack())

    def remove_orphans(self, at_most: int) -> int:
        """Delete images that no path shows, with their vectors; returns how many."""
        keys = [key for key, _ in islice(self._scan("orphans"), at_most)]
        for key in keys:
            if record := self.image(number_of(key)):
                self._delete("contents", bytes.fromhex(record.sha256))
            for table in ("images", "vectors", "words", "orphans"):
                self._delete(table, key)
        self._removed += keys
        self._vectors_changed = self._vectors_changed or bool(keys)
        return len(keys)

    def remove_empty_folder(self, number: int) -> None:
        """Forget a folder that holds no path entry and no reject any more."""
        prefix = NUMBER.pack(number)
        if any(next(self._scan(table, prefix), None) for table in ("places", "rejects")):
            return
        if (relative := self._get("folders", prefix)) is not None:
            self._delete("folder_numbers", path_key(relative))
            self._delete("folders", prefix)

    def _release(self, entry: bytes, keep: int | None = None) -> None:
        if (value := self._get("places", entry)) is None:
            return
        image = PathEntry.unpack(value).image
        if image == keep:
            return
        self._delete("place_of", NUMBER.pack(image), entry)
        if not self._entry_keys(image, at_most=1):
            self._put("orphans", NUMBER.pack(image), b"")
