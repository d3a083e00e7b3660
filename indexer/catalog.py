"""The catalog, in LMDB: the truth about which pictures are indexed, their vectors, their paths.

Identity is content: an image is the SHA-256 of a file's bytes, with a number that is never used
again; places (paths) point at images. A folder below the store's parent is stored relative to
it: a disk that is mounted elsewhere, or a tree that is moved with its store, still fits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import lmdb

from .environment import Environment
from .reader import Reader
from .records import SEVERAL_VALUES, TABLES
from .writer import Writer

_T = TypeVar("_T")


class Catalog:
    """The tables of one store. Read through `reading()`, change through `write()`."""

    def __init__(self, path: Path, base: bytes) -> None:
        """`path`: of the LMDB file; `base`: absolute, what lies below it is stored relative.

        Raises:
            StoreError: the file can't be opened, or is no catalog.
        """
        self._environment = Environment.open(path, TABLES, SEVERAL_VALUES)
        self._tables = self._environment.tables
        self._base = base
        self._is_open = True

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

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        if self._is_open:
            self._is_open = False
            self._environment.close()
