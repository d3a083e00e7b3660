"""Changing the catalog in a Milvus: what one write can say, and in which order it gets there.

Milvus has no transactions over several rows. So all is gathered first and written at the end, in an
order in which each step is harmless without the next: an image comes before the paths that show it,
and goes after them. Which images are about to come or to lose their last path is noted before, so
that a write that was cut short leaves nothing that the next does not find.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterable
from typing import Any

import numpy as np

from ...catalog.base import Writer
from ...catalog.records import ImageRecord, PathEntry, Reject
from ...scan.walk import FileState
from .connection import Connection
from .reader import MilvusReader, Row
from .schema import (
    ENTRY_FIELDS,
    PROBES,
    Names,
    entry_in,
    entry_key,
    entry_row,
    folder_digest,
    from_text,
    note_row,
    number_from,
    to_text,
)

_ORPHANS_A_NOTE = 2_000


class MilvusWriter(MilvusReader, Writer):
    """One write to a catalog in a Milvus. Nothing is sent before `finish`."""

    def __init__(self, connection: Connection, names: Names, folders: dict[int, bytes]) -> None:
        super().__init__(connection, names, dict(folders))
        self._known: dict[str, Row | None] = {}
        """Files as they are with this write, by key."""
        self._changed: set[str] = set()
        """Keys of those that it changes."""
        self._new: dict[int, Row] = {}
        """Images that it adds."""
        self._bare: set[int] = set()
        """Images that lose their last path by it."""
        self.rows = 0
        """That `finish` wrote."""
        self._notes_now: dict[str, tuple[str, str] | None] = {}
        """Kind and value of what it notes; None deletes."""

    # -- what was written is read ------------------------------------------

    def _note(self, name: str) -> Any:
        if name in self._notes_now:
            note = self._notes_now[name]
            return None if note is None else json.loads(note[1])
        return super()._note(name)

    def _set(self, name: str, value: Any) -> None:
        if value != self._note(name):
            self._notes_now[name] = ("meta", json.dumps(value))

    def _file(self, key: str) -> Row | None:
        if key not in self._known:
            self._known[key] = super()._file(key)
        return self._known[key]

    def _files_in(self, folder: int) -> list[tuple[bytes, PathEntry | Reject]]:
        rows = {
            row["place"]: row
            for row in self._connection.rows(
                self._names.entries, f"folder == {folder}", ENTRY_FIELDS, "place"
            )
        }
        for key, row in rows.items():
            self._known.setdefault(key, row)
        for key in self._changed:
            now = self._known[key]
            if now is None:
                rows.pop(key, None)
            elif now["folder"] == folder:
                rows[key] = now
        files = [(from_text(row["name"]), entry_in(row)) for row in rows.values()]
        return sorted(files, key=lambda one: one[0])

    def look_up(self, images: Iterable[int]) -> None:
        """Fetch at once where these images are shown."""
        images = list(dict.fromkeys(images))
        for image in images:
            if image in self._new:  # nobody but this write knows it
                self._shown_at.setdefault(image, [])
        fetched = [image for image in images if image not in self._shown_at]
        super().look_up(fetched)
        for image in fetched:
            rows = {row["place"]: row for row in self._shown_at[image]}
            for key, row in rows.items():
                self._known.setdefault(key, row)
            for key in self._changed:
                now = self._known[key]
                if now is not None and now["image"] == image:
                    rows[key] = now
                else:
                    rows.pop(key, None)
            self._shown_at[image] = list(rows.values())

    def foresee(self, contents: Iterable[bytes], paths: Iterable[bytes]) -> None:
        """See `Writer.foresee`."""
        contents, paths = list(contents), list(paths)
        self._look_up_contents(contents)
        self.look_up(number for one in contents if (number := self.image_of(one)) is not None)
        parents = {os.path.dirname(path) for path in paths}
        self._look_up_folders(
            [number_from(folder_digest(one), probe) for one in parents for probe in range(PROBES)]
        )
        numbers = {parent: self._number_of_folder(parent) for parent in parents}
        keys: set[str] = set()
        for path in paths:
            folder, name = os.path.split(path)
            known, free = numbers[folder]
            key = entry_key(known or free, name)
            if key not in self._known:
                self._known[key] = None
                if known is not None:  # in a folder that is new, every file is
                    keys.add(key)
        for row in self._connection.by_keys(
            self._names.entries, "place", sorted(keys), ENTRY_FIELDS
        ):
            self._known[row["place"]] = row

    # -- what can be said --------------------------------------------------

    def set_about(self, document: dict[str, Any]) -> None:
        """Remember what `About.document` says."""
        self._set("about", document)

    def set_wiping(self, due: bool) -> None:
        """Remember whether bytes of forgotten pictures are to be wiped."""
        self._set("wiping", due)

    def set_index_note(self, note: dict[str, Any]) -> None:
        """See `Writer.set_index_note`."""
        self._set("index", note)

    def set_roots(self, roots: Iterable[bytes]) -> None:
        """Remember the folders that are built from."""
        self._set("roots", [os.fsdecode(root) for root in roots])

    def folder(self, path: bytes) -> int:
        """The number of a folder, given now if it has none."""
        known, free = self._number_of_folder(path)
        if known is not None and self._notes_now.get(f"folder:{known}", ()) is not None:
            return known
        number = known or free
        self.known_folders[number] = path
        self._notes_now[f"folder:{number}"] = ("folder", to_text(path))
        return number

    def add_image(
        self,
        sha256: bytes,
        record: ImageRecord,
        vector: np.ndarray,
        text: np.ndarray | None = None,
    ) -> int:
        """See `Writer.add_image`."""
        known, number = self._number_of_content(sha256)
        if known is not None:
            return known
        row = {"image": number, **vars(record), "vector": np.asarray(vector, np.float32)}
        row["format"] = record.format[:32]
        if text is not None:
            row["words"] = np.asarray(text, np.float32)
        self._new[number] = self._images[number] = row
        return number

    def set_entry(self, folder: int, name: bytes, state: FileState, image: int) -> None:
        """Say that the file `name` in `folder` shows `image`."""
        row = entry_row(folder, name, PathEntry(state, image))
        self._release(row["place"], keep=image)
        self.look_up([image])
        there = [one for one in self._shown_at[image] if one["place"] != row["place"]]
        self._shown_at[image] = [*there, row]
        self._put(row["place"], row)
        self._bare.discard(image)

    def remove_entry(self, folder: int, name: bytes) -> None:
        """Forget a path; the image stays until `Catalog.remove_orphans`."""
        key = entry_key(folder, name)
        if self._file(key) is not None:
            self._release(key)
            self._put(key, None)

    def reject(self, folder: int, name: bytes, reject: Reject) -> None:
        """Say that a file can't be used, so that it isn't opened again until it changes."""
        key = entry_key(folder, name)
        self._release(key)
        self._put(key, entry_row(folder, name, reject))

    def remove_empty_folder(self, number: int) -> None:
        """Forget a folder that holds no path entry and no reject any more."""
        if not self._files_in(number):
            self.known_folders.pop(number, None)
            self._notes_now[f"folder:{number}"] = None

    def _put(self, key: str, row: Row | None) -> None:
        self._known[key] = row
        self._changed.add(key)

    def _release(self, key: str, keep: int | None = None) -> None:
        row = self._file(key)
        if row is None or not row["image"] or row["image"] == keep:
            return
        image = row["image"]
        self.look_up([image])
        self._shown_at[image] = [one for one in self._shown_at[image] if one["place"] != key]
        if not self._shown_at[image]:
            self._bare.add(image)

    # -- and is sent -------------------------------------------------------

    def finish(self) -> None:
        """Send it.

        Raises:
            StoreError: the Milvus can't be reached or refuses: what was sent is harmless, and the
                same write can be made again.
        """
        connection, names = self._connection, self._names
        notes = {name: note for name, note in self._notes_now.items() if note is not None}
        if not (self._new or self._changed or self._notes_now):
            return
        coming = sorted(number for number in self._new if number not in self._bare)
        arrivals = self._note_orphans(coming)
        self._note_orphans(sorted(self._bare))
        connection.upsert(names.images, list(self._new.values()))
        self.rows = len(self._new) + len(self._changed) + len(self._notes_now)
        folders = {name: note for name, note in notes.items() if note[0] == "folder"}
        connection.upsert(names.notes, [note_row(name, *note) for name, note in folders.items()])
        files = {key: self._known[key] for key in self._changed}
        connection.upsert(names.entries, [row for row in files.values() if row is not None])
        connection.delete(names.entries, [key for key, row in files.items() if row is None])
        rest = {name: note for name, note in notes.items() if name not in folders}
        state = self.next_state(vectors_changed=bool(self._new))
        connection.upsert(
            names.notes, [*(note_row(name, *note) for name, note in rest.items()), state]
        )
        gone = [name for name, note in self._notes_now.items() if note is None]
        shown = all(self._shown_at.get(number) for number in coming)
        connection.delete(names.notes, [*gone, *(arrivals if shown else [])])

    def _note_orphans(self, numbers: list[int]) -> list[str]:
        """Names of the notes that say of these images that they may be orphans."""
        rows = []
        for start in range(0, len(numbers), _ORPHANS_A_NOTE):
            some = json.dumps(numbers[start : start + _ORPHANS_A_NOTE])
            rows.append(note_row(f"orphans:{uuid.uuid4().hex}", "orphans", some))
        self._connection.upsert(self._names.notes, rows)
        return [row["note"] for row in rows]
