"""The catalog, in LMDB: the truth about which pictures are indexed, their vectors, their paths.

Identity is content: an image is the SHA-256 of a file's bytes, with a number that is never used
again; paths point at images. A folder below the store's parent is stored relative to
it: a disk that is mounted elsewhere, or a tree that is moved with its store, still fits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import lmdb

from .base import Catalog
from .lmdb_environment import Environment
from .lmdb_reader import LmdbReader
from .lmdb_writer import LmdbWriter
from .records import SEVERAL_VALUES, TABLES
from .spaces import LENS_TABLE

_T = TypeVar("_T")

_ORPHANS_PER_TRANSACTION = 4096


class LmdbCatalog(Catalog):
    """The tables of one store. Read through `reading()`, change through `write()`."""

    def __init__(
        self, path: Path, base: bytes, *, checked: bool = True, create: bool = True
    ) -> None:
        """
        Args:
            path: of the LMDB file.
            base: absolute; what lies below it is stored relative.
            checked: whether values end with a checksum; those of old stores don't.
            create: make the file where it is missing.

        Raises:
            StoreError: the file can't be opened, or is no catalog.
        """
        self._base = base
        self._switching = threading.Lock()
        self._is_open = True
        self._environment = _opened(path, create)
        self._checked = checked

    def switch(self, path: Path, checked: bool = True) -> None:
        """Read and write the file `path` from now on. What is being read goes on in the one
        before.

        Raises:
            StoreError: it can't be opened; all is as before.
        """
        new = _opened(path, create=False)
        with self._switching:
            old, self._environment, self._checked = self._environment, new, checked
        old.close()

    @property
    def path(self) -> Path:
        """The LMDB file."""
        return self._environment.path

    @contextmanager
    def reading(self, space: str = LENS_TABLE) -> Iterator[LmdbReader]:
        """A consistent snapshot; never blocks a writer, nor waits for one.

        Args:
            space: the table that `Reader.vectors` and its like read.
        """
        with self.in_use() as (environment, checked), environment.reading() as txn:
            yield LmdbReader(txn, environment.tables, self._base, checked, space)

    def write(self, work: Callable[[LmdbWriter], _T]) -> _T:
        """Run `work` in one transaction: all of it is kept or, where it raises, none. It may run
        more than once (see `Environment.write`), so it changes nothing but the transaction."""
        with self.in_use() as (environment, checked):

            def in_transaction(txn: lmdb.Transaction) -> _T:
                writer = LmdbWriter(txn, environment.tables, self._base, checked)
                result = work(writer)
                writer.finish()
                return result

            return environment.write(in_transaction)

    def remove_orphans(self) -> int:
        """Delete the images that no path shows; returns how many. For the store's one writer."""
        removed = 0
        while count := self.write(lambda writer: writer.remove_orphans(_ORPHANS_PER_TRANSACTION)):
            removed += count
        return removed

    @contextmanager
    def in_use(self) -> Iterator[tuple[Environment, bool]]:
        """The file of this moment, kept open for so long even if another takes its place."""
        with self._switching:
            environment, checked = self._environment.share(), self._checked
        try:
            yield environment, checked
        finally:
            environment.close()

    def close(self) -> None:
        """Let go of the file; a second time does nothing."""
        if self._is_open:
            self._is_open = False
            self._environment.close()


def _opened(path: Path, create: bool) -> Environment:
    return Environment.open(path, TABLES, SEVERAL_VALUES, create=create)
