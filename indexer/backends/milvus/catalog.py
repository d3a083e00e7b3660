"""The catalog of a store in a Milvus."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from ...catalog.base import Catalog
from ...catalog.spaces import LENS_TABLE
from .connection import Connection
from .reader import MilvusReader
from .schema import NOTE_FIELDS, Names
from .writer import MilvusWriter

_T = TypeVar("_T")

_FLUSHED = 2_000
"""Rows after which a Milvus Lite is told to put them away: until then it looks at them one by one.
A server knows by itself when."""

_FOLDERS = 100_000
"""Paths of folders that are remembered."""


class MilvusCatalog(Catalog):
    """The catalog of one store in a Milvus. Safe to use from several threads."""

    least_batch = 256

    def __init__(self, connection: Connection, names: Names) -> None:
        self._connection = connection
        self._names = names
        self._folders: OrderedDict[int, bytes] = OrderedDict()
        self._writing = threading.Lock()
        self._unflushed = 0

    @contextmanager
    def reading(self, space: str = LENS_TABLE) -> Iterator[MilvusReader]:
        """See `Catalog.reading`."""
        yield MilvusReader(self._connection, self._names, dict(self._folders), space)

    def write(self, work: Callable[[MilvusWriter], _T]) -> _T:
        """See `Catalog.write`."""
        with self._writing:
            writer = MilvusWriter(self._connection, self._names, self._folders)
            result = work(writer)
            writer.finish()
            self._remember(writer)
        return result

    def _remember(self, writer: MilvusWriter) -> None:
        self._folders = OrderedDict(list(writer.known_folders.items())[-_FOLDERS:])
        self._unflushed += writer.rows
        if self._connection.is_lite and self._unflushed >= _FLUSHED:
            self.flush()

    def flush(self) -> None:
        """Have what was written put where it is found fast."""
        if self._unflushed:
            self._unflushed = 0
            for name in self._names.every:
                self._connection.call("flush", name)

    def remove_orphans(self) -> int:
        """See `Catalog.remove_orphans`."""
        with self._writing:
            reader = MilvusReader(self._connection, self._names, self._folders)
            notes = self._connection.rows(
                self._names.notes, 'kind == "orphans"', NOTE_FIELDS, "note"
            )
            if not notes:
                return 0
            gone = reader.orphan_numbers().tolist()
            self._connection.delete(self._names.images, gone)
            state = reader.next_state(vectors_changed=bool(gone))
            self._connection.upsert(self._names.notes, [state])
            self._connection.delete(self._names.notes, [note["note"] for note in notes])
            self._unflushed += len(gone)
            return len(gone)

    def close(self) -> None:
        """Its backend lets go of the connection."""
