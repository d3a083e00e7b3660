"""Reading the catalog in a Milvus.

What is asked for together is fetched together, and remembered as long as the reader lives: a
question takes a few calls, however many pictures it is about.

There are no snapshots: two questions may be answered from different moments. An image without a
path is one that is just coming or going, and counts as an orphan.
"""

from __future__ import annotations

import json
import os
import random
import uuid
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....core.contracts import UnitVectors
from ...catalog.base import Reader
from ...catalog.records import ImageRecord, PathEntry, Reject
from ...catalog.spaces import LENS_TABLE
from .connection import Connection
from .schema import (
    ENTRY_FIELDS,
    IMAGE_FIELDS,
    NOTE_FIELDS,
    PROBES,
    Names,
    entry_in,
    entry_key,
    field_of,
    folder_digest,
    from_text,
    note_row,
    number_from,
)

_FOLDERS = 200
"""Folders whose files are asked for at a time."""
_SHOWN = 1_000
"""Images whose paths are asked for at a time."""

Row = dict[str, Any]


class MilvusReader(Reader):
    """A reader of a catalog in a Milvus; for one thread."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        folders: dict[int, bytes],
        space: str = LENS_TABLE,
    ) -> None:
        """
        Args:
            folders: paths that are known already, by number; added to.
            space: the table that `vectors` and its like read.
        """
        self._connection = connection
        self._names = names
        self.known_folders = folders
        self._space = space
        self._images: dict[int, Row | None] = {}
        self._shown_at: dict[int, list[Row]] = {}

    def of_space(self, table: str) -> MilvusReader:
        """The same, with the vectors of this space."""
        return MilvusReader(self._connection, self._names, self.known_folders, table)

    # -- the whole ---------------------------------------------------------

    def _note(self, name: str) -> Any:
        rows = self._connection.by_keys(self._names.notes, "note", [name], NOTE_FIELDS)
        return json.loads(rows[0]["value"]) if rows else None

    def _notes(self, kind: str) -> list[Row]:
        return self._connection.rows(self._names.notes, f'kind == "{kind}"', NOTE_FIELDS, "note")

    @cached_property
    def state(self) -> dict[str, Any]:
        """Counters of changes."""
        return self._note("state") or {"generation": 0, "transaction": 0, "token": ""}

    def next_state(self, *, vectors_changed: bool) -> Row:
        """The note of the counters after a change."""
        state = {**self.state, "transaction": self.transaction + 1}
        if vectors_changed:
            state.update(generation=self.generation + 1, token=uuid.uuid4().hex)
        return note_row("state", "meta", json.dumps(state))

    @property
    def transaction(self) -> int:
        """Another one after each change."""
        return int(self.state["transaction"])

    @property
    def generation(self) -> int:
        """Grows with every change of which vectors there are."""
        return int(self.state["generation"])

    def token(self, generation: int) -> bytes | None:
        """See `Reader.token`; only of now."""
        return bytes.fromhex(self.state["token"]) if generation == self.generation else None

    @property
    def images(self) -> int:
        """How many images have a vector."""
        return self._connection.count(self._names.images)

    @property
    def orphans(self) -> int:
        """How many of them no path shows any more."""
        return len(self.orphan_numbers())

    @property
    def entries(self) -> int:
        """How many indexed paths there are."""
        return self._connection.count(self._names.entries, "image > 0")

    @property
    def rejected(self) -> int:
        """How many files are known to be unusable."""
        return self._connection.count(self._names.entries, "image == 0")

    def roots(self) -> list[bytes]:
        """The folders that were built from."""
        return [os.fsencode(root) for root in self._note("roots") or []]

    def about(self) -> dict[str, Any] | None:
        """What was last said of the store."""
        return self._note("about")

    @property
    def wiping(self) -> bool:
        """Whether bytes of forgotten pictures may still be there."""
        return bool(self._note("wiping"))

    def index_note(self) -> dict[str, Any]:
        """See `Reader.index_note`."""
        return dict(self._note("index") or {})

    # -- folders and paths -------------------------------------------------

    def folders(self) -> Iterator[tuple[int, bytes]]:
        """Every folder that files were seen in: number, absolute path."""
        for row in self._notes("folder"):
            number, path = int(row["note"].partition(":")[2]), from_text(row["value"])
            self.known_folders[number] = path
            yield number, path

    def folder_number(self, path: bytes) -> int | None:
        """The number of a folder, by absolute path."""
        return self._number_of_folder(path)[0]

    def _number_of_folder(self, path: bytes) -> tuple[int | None, int]:
        """Of a folder, and the first number that it could be given."""
        probes = [number_from(folder_digest(path), probe) for probe in range(PROBES)]
        if self.known_folders.get(probes[0]) == path:
            return probes[0], 0
        self._look_up_folders(probes)
        free = next((number for number in probes if number not in self.known_folders), 0)
        found = next((number for number in probes if self.known_folders.get(number) == path), None)
        return found, free

    def _look_up_folders(self, numbers: Sequence[int]) -> None:
        wanted = [f"folder:{number}" for number in numbers if number not in self.known_folders]
        if wanted:
            for row in self._connection.by_keys(self._names.notes, "note", wanted, NOTE_FIELDS):
                self.known_folders[int(row["note"].partition(":")[2])] = from_text(row["value"])

    def entries_in(self, folder: int) -> dict[bytes, PathEntry]:
        """The indexed files of one folder, by name."""
        found = ((name, known) for name, known in self._files_in(folder))
        return {name: known for name, known in found if isinstance(known, PathEntry)}

    def rejects_in(self, folder: int) -> dict[bytes, Reject]:
        """The unusable files of one folder, by name."""
        found = ((name, known) for name, known in self._files_in(folder))
        return {name: known for name, known in found if isinstance(known, Reject)}

    def _files_in(self, folder: int) -> list[tuple[bytes, PathEntry | Reject]]:
        if getattr(self, "_last_folder", (0, []))[0] != folder:
            rows = self._connection.rows(
                self._names.entries, f"folder == {folder}", ENTRY_FIELDS, "place"
            )
            files = [(from_text(row["name"]), entry_in(row)) for row in rows]
            self._last_folder = (folder, sorted(files, key=lambda one: one[0]))
        return self._last_folder[1]

    def images_in(self, folder: int) -> Iterator[tuple[bytes, int]]:
        """The indexed files of one folder: name, image number."""
        for _, name, image in self.images_in_all([folder]):
            yield name, image

    def images_in_all(self, folders: Sequence[int]) -> Iterator[tuple[int, bytes, int]]:
        """See `Reader.images_in_all`."""
        for start in range(0, len(folders), _FOLDERS):
            some = list(folders[start : start + _FOLDERS])
            rows = self._connection.rows(
                self._names.entries,
                f"folder in {some} and image > 0",
                ("folder", "name", "image"),
                "place",
            )
            for row in rows:
                yield row["folder"], from_text(row["name"]), row["image"]

    def file_in(self, folder: int, name: bytes) -> PathEntry | Reject | None:
        """What is known of one file of a folder."""
        row = self._file(entry_key(folder, name))
        return None if row is None else entry_in(row)

    def _file(self, key: str) -> Row | None:
        rows = self._connection.by_keys(self._names.entries, "place", [key], ENTRY_FIELDS)
        return rows[0] if rows else None

    def paths_of(self, image: int, at_most: int | None = None) -> list[bytes]:
        """Absolute paths that show this image, sorted; `at_most` so many of them, any."""
        if image not in self._shown_at:
            self.look_up([image])
        return sorted(self._paths(self._shown_at[image]))[:at_most]

    def entries_of(self, image: int) -> list[tuple[bytes, PathEntry]]:
        """See `Reader.entries_of`."""
        if image not in self._shown_at:
            self.look_up([image])
        found = []
        for row in self._shown_at[image]:
            location = entry_in(row)
            if isinstance(location, PathEntry):
                found += [(path, location) for path in self._paths([row])]
        return sorted(found)

    def _paths(self, rows: Iterable[Row]) -> Iterator[bytes]:
        for row in rows:
            if row["folder"] not in self.known_folders:
                self._look_up_folders([row["folder"]])
            if (folder := self.known_folders.get(row["folder"])) is not None:
                yield os.path.join(folder, from_text(row["name"]))

    def look_up(self, images: Iterable[int]) -> None:
        """Fetch at once where these images are shown."""
        wanted = [image for image in dict.fromkeys(images) if image not in self._shown_at]
        if not wanted:
            return
        found: defaultdict[int, list[Row]] = defaultdict(list)
        for start in range(0, len(wanted), _SHOWN):
            filter = f"image in {wanted[start : start + _SHOWN]}"
            for row in self._connection.rows(self._names.entries, filter, ENTRY_FIELDS, "place"):
                found[row["image"]].append(row)
        self._shown_at.update({image: found[image] for image in wanted})
        self._look_up_folders(sorted({row["folder"] for rows in found.values() for row in rows}))

    # -- images and vectors ------------------------------------------------

    def image_of(self, sha256: bytes) -> int | None:
        """The image with this content (32-byte digest)."""
        return self._number_of_content(sha256)[0]

    def known(self, contents: Iterable[bytes]) -> set[bytes]:
        """See `Reader.known`."""
        contents = list(contents)
        self._look_up_contents(contents)
        return super().known(contents)

    def _look_up_contents(self, contents: Iterable[bytes]) -> None:
        self._fetch_images(number_from(one, probe) for one in contents for probe in range(PROBES))

    def _number_of_content(self, sha256: bytes) -> tuple[int | None, int]:
        """Of a content, and the first number that it could be given."""
        probes = [number_from(sha256, probe) for probe in range(PROBES)]
        self._fetch_images(probes)
        digest, free = sha256.hex(), 0
        for number in probes:
            row = self._images[number]
            if row is None:
                free = free or number
            elif row["sha256"] == digest:
                return number, 0
        return None, free

    def _fetch_images(self, numbers: Iterable[int]) -> None:
        wanted = [number for number in dict.fromkeys(numbers) if number not in self._images]
        if wanted:
            self._images.update(dict.fromkeys(wanted))
            for row in self._connection.by_keys(self._names.images, "image", wanted, IMAGE_FIELDS):
                self._images[row["image"]] = row

    def fetch(self, images: Iterable[int], *, paths: bool = True) -> None:
        """See `Reader.fetch`."""
        images = list(images)
        self._fetch_images(images)
        if paths:
            self.look_up(images)

    def remember_images(self, rows: Iterable[Row]) -> None:
        """Take metadata that came with a search, so as not to ask for it again."""
        self._images.update((row["image"], row) for row in rows)

    def is_orphan(self, number: int) -> bool:
        """Whether no path shows this image any more."""
        return not self.paths_of(number)

    def orphan_numbers(self) -> NDArray[np.int64]:
        """(n,) int64, ascending: the images that no path shows any more."""
        numbers = sorted({n for row in self._notes("orphans") for n in json.loads(row["value"])})
        self._fetch_images(numbers)
        self.look_up(numbers)
        gone = [n for n in numbers if self._images[n] is not None and not self._shown_at[n]]
        return np.array(gone, np.int64)

    def image(self, number: int) -> ImageRecord | None:
        """Metadata of an image."""
        self._fetch_images([number])
        row = self._images[number]
        return None if row is None else ImageRecord(**{name: row[name] for name in IMAGE_FIELDS})

    def drawn(self, count: int) -> list[int]:
        """Different numbers by chance, at most `count`, that images may have."""
        start = random.getrandbits(63)
        found: list[Row] = []
        for wanted in (f"image >= {start}", f"image < {start}"):
            if len(found) < count:
                found += self._connection.rows(
                    self._names.images, wanted, IMAGE_FIELDS, "image", count - len(found)
                )
        self.remember_images(found)
        self.look_up(row["image"] for row in found)
        return [row["image"] for row in found]

    def image_numbers(self, after: int = 0) -> NDArray[np.int64]:
        """(n,) int64, ascending: every image that has a vector, from number `after` + 1 on."""
        rows = self._connection.rows(self._names.images, f"image > {after}", (), "image")
        return np.fromiter((row["image"] for row in rows), np.int64, len(rows))

    def vectors_there(self, numbers: NDArray[np.int64]) -> tuple[NDArray[np.int64], UnitVectors]:
        """Those of `numbers` that have a vector, in the same order, and (n, d) float32 these."""
        field = field_of(self._space)
        rows = self._connection.by_keys(self._names.images, "image", numbers.tolist(), [field])
        found = {row["image"]: row[field] for row in rows}
        there = [number for number in numbers.tolist() if number in found]
        return np.array(there, np.int64), _matrix([found[number] for number in there])

    def vectors_from(self, after: int, at_most: int) -> tuple[NDArray[np.int64], UnitVectors]:
        """See `Reader.vectors_from`."""
        field = field_of(self._space)
        rows = self._connection.rows(
            self._names.images, f"image > {after}", [*IMAGE_FIELDS, field], "image", at_most
        )
        self.remember_images(rows)
        self.look_up(row["image"] for row in rows)
        numbers = np.fromiter((row["image"] for row in rows), np.int64, len(rows))
        return numbers, _matrix([row.pop(field) for row in rows])


def _matrix(rows: Sequence[Any]) -> UnitVectors:
    if not rows:
        return np.empty((0, 0), np.float32)
    return np.array(rows, np.float32)
