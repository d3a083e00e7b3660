"""The backend of a store in a Milvus: its collections, made, opened, claimed by one writer."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ....core.config import Settings
from ....core.errors import LensError, NoStoreError, StoreDamagedError, StoreError
from ....core.location import Milvus
from ....core.paths import is_there as is_file_there
from ....core.progress import Progress
from ....engine.lens.lens import Lens
from ..base import Backend
from ..metadata import About
from .catalog import MilvusCatalog
from .claims import claimed
from .connection import Connection, connect
from .reader import MilvusReader
from .schema import (
    INVERTED,
    LONGEST,
    NOTE_FIELDS,
    OWN_CHOICE,
    Names,
    Shape,
    entries_shape,
    images_shape,
    note_row,
    notes_shape,
)
from .vector_indexes import MilvusIndexes, kind_of

_PIECE = 3 * (LONGEST // 4)
"""Bytes of a lens in one note, as base64."""


class MilvusBackend(Backend):
    """A store in the collections of a Milvus."""

    location: Milvus
    keeps_snapshots = False

    def __init__(self, connection: Connection, about: About) -> None:
        self.location = connection.location
        self._connection = connection
        self._names = Names(self.location.collection)
        self._catalog = MilvusCatalog(connection, self._names)
        self._about = about

    @classmethod
    def open(cls, location: Milvus, settings: Settings) -> MilvusBackend:
        """
        Raises:
            NoStoreError, StoreMismatchError (a newer format), StoreDamagedError, StoreError
        """
        connection = connect(location)
        try:
            document = _document(connection)
            if document is None:
                raise NoStoreError(
                    f"no store in {location}; make one with "
                    f"'tll-index build DIR --store {location}'"
                )
            return cls(connection, About.of(document, f"the store in {location}"))
        except BaseException:
            connection.close()
            raise

    @classmethod
    def make(cls, location: Milvus, about: About, lens: Lens, settings: Settings) -> MilvusBackend:
        """A new store; for its one writer.

        Raises:
            StoreError: something else is there, or it can't be made.
            UsageError: a Milvus has no such index.
        """
        connection = connect(location)
        try:
            kind = kind_of(settings.index, connection.is_lite)
            names = Names(location.collection)
            for name, shape in (
                (names.images, images_shape(about, kind)),
                (names.entries, entries_shape()),
                (names.notes, notes_shape()),
            ):
                _make(connection, name, shape)
            backend = cls(connection, about)
            if lens.trained:
                backend._keep(lens)
            backend.set_about(about)  # from now on it is a store
            return backend
        except BaseException:
            connection.close()
            raise

    @property
    def about(self) -> About:
        """Which store it is, and what made it."""
        return self._about

    @property
    def catalog(self) -> MilvusCatalog:
        """See `Backend.catalog`."""
        return self._catalog

    def lens(self) -> Lens:
        """See `Backend.lens`."""
        wanted = self._about.made_by.lens_sha256
        if not wanted:
            return Lens(self._about.made_by.backbone, self._about.dimension)
        pieces = self._connection.rows(self._names.notes, 'kind == "lens"', NOTE_FIELDS, "note")
        if not pieces:
            raise LensError(f"the store in {self.location} has lost its lens")
        data = b"".join(base64.b64decode(piece["value"]) for piece in pieces)
        lens = Lens.load(io.BytesIO(data))
        if lens.digest != wanted:
            raise StoreDamagedError(
                f"the lens in {self.location} is not the one that made the store; "
                "copy the store anew"
            )
        return lens

    def _keep(self, lens: Lens) -> None:
        file = io.BytesIO()
        lens.save(file)
        data = file.getvalue()
        for number, start in enumerate(range(0, len(data), _PIECE)):
            piece = base64.b64encode(data[start : start + _PIECE]).decode()
            row = note_row(f"lens:{number:06}", "lens", piece)
            self._connection.upsert(self._names.notes, [row])

    def indexes(self, lens: Callable[[], Lens], settings: Settings) -> MilvusIndexes:
        """See `Backend.indexes`."""
        return MilvusIndexes(
            self._connection, self._names, self._catalog, self._about, lens, settings
        )

    def info(self) -> dict[str, Any]:
        """See `Backend.info`."""
        indexes = [
            self._connection.call("describe_index", self._names.images, field) or {}
            for field in ("vector", "words")[: len(self._about.spaces)]
        ]
        said = [
            {"kind": f"{one.get('index_type')} in Milvus", "vectors": one.get("indexed_rows")}
            for one in indexes
        ]
        text = self._about.text
        file = self.location.file
        disk = (
            0
            if file is None
            else sum(one.stat().st_blocks * 512 for one in file.rglob("*") if one.is_file())
        )
        return {
            "index": said[0],
            "words": None if text is None else {"dimension": text, "index": said[1]},
            "disk_bytes": {} if file is None else {file.name: disk},
            "milvus": self._connection.call("get_server_version"),
        }

    def close(self) -> None:
        """Let go of the connection; a second time does nothing."""
        connection, self._connection = self._connection, None  # type: ignore[assignment]
        if connection is not None:
            connection.close()

    def set_about(self, about: About) -> None:
        """See `Backend.set_about`."""
        self._catalog.write(lambda writer: writer.set_about(about.document()))
        self._about = about

    def tidy(self) -> None:
        """Images that a write left which was cut short are noted, and go with the next orphans."""

    def renew(self, progress: Progress) -> None:
        """There is one format so far."""

    def wipe(self, progress: Progress) -> None:
        """Have Milvus write its segments anew, without what was deleted."""
        self._catalog.flush()
        for name in self._names.every:
            self._connection.call("flush", name)
            self._connection.call("compact", name)
        self._catalog.write(lambda writer: writer.set_wiping(False))


def is_there(location: Milvus) -> bool:
    """Whether there is a store.

    Raises:
        StoreError: it can't be told.
    """
    if location.file is not None and not is_file_there(location.file):
        return False
    connection = connect(location)
    try:
        return _document(connection) is not None
    finally:
        connection.close()


def _document(connection: Connection) -> dict[str, Any] | None:
    """What the store says of itself; None where there is none."""
    names = Names(connection.location.collection)
    if not all(connection.call("has_collection", name) for name in names.every):
        return None
    for name in names.every:
        connection.call("load_collection", name)
    return MilvusReader(connection, names, {}).about()


def _make(connection: Connection, name: str, shape: Shape) -> None:
    """Make a collection that is not there yet: a build may have been cut short.

    Raises:
        StoreError: a collection of that name is no store's.
    """
    schema, indexes = shape
    if not connection.call("has_collection", name):
        connection.call(
            "create_collection",
            name,
            schema=schema,
            consistency_level="Session",
        )
    have = connection.call("list_indexes", name)
    for index in indexes:
        if index.field_name not in have:  # a build may have been cut short before it was made
            _make_index(connection, name, index)
    there = connection.call("describe_collection", name)["fields"]
    if {field["name"] for field in there} != {field.name for field in schema.fields}:
        raise StoreError(
            f"{connection.location}: there is a collection {name} that is not a store of this "
            "kind; give --store another name"
        )
    connection.call("load_collection", name)


def _make_index(connection: Connection, name: str, index: Any) -> None:
    """Make one index of a collection that holds nothing yet: there is nothing to wait for."""
    from pymilvus import MilvusClient

    def make(kind: str) -> None:
        indexes = MilvusClient.prepare_index_params()
        indexes.add_index(**{**index.to_dict(), "index_type": kind})
        connection.call("create_index", name, indexes, sync=False)

    try:
        make(index.index_type)
    except StoreError:
        if index.index_type != INVERTED:
            raise
        make(OWN_CHOICE)  # a Milvus before 2.4 knows no inverted index


@contextmanager
def writer_claim(location: Milvus) -> Iterator[None]:
    """Be the one writer of a store, or fail at once.

    Raises:
        StoreBusyError, StoreError
    """
    connection = connect(location)
    try:
        names = Names(location.collection)
        _make(connection, names.notes, notes_shape())
        with claimed(connection, names):
            yield
    finally:
        connection.close()
