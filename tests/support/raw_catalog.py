"""Changes raw records of a store's catalog, as a broken disk or another program would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import lmdb

from tll_index.indexer.backends.metadata import read_about
from tll_index.indexer.catalog.records import TABLES

STORE = Path(".tll-index")
"""The store of the current folder."""


def rewrite_tables(change: Callable[[dict[str, dict[bytes, bytes]]], None]) -> None:
    """Change raw records of the catalog: a table's keys and values, as they lie in the file."""
    path = STORE / read_about(STORE).catalog
    with lmdb.open(str(path), subdir=False, max_dbs=32, map_size=64 << 20) as environment:
        handles = {name: environment.open_db(name.encode()) for name in TABLES}
        with environment.begin() as txn:
            before = {name: dict(txn.cursor(db=handle)) for name, handle in handles.items()}
        after = {name: dict(table) for name, table in before.items()}
        change(after)
        with environment.begin(write=True) as txn:
            for name, table in after.items():
                for key in before[name].keys() - table.keys():
                    txn.delete(key, db=handles[name])
                for key, value in table.items():
                    if before[name].get(key) != value:
                        txn.put(key, value, db=handles[name])


def rewrite_table(table: str, change: Callable[[dict[bytes, bytes]], None]) -> None:
    """Change raw records of one table."""
    path = STORE / read_about(STORE).catalog
    with lmdb.open(str(path), subdir=False, max_dbs=32, map_size=64 << 20) as environment:
        handle = environment.open_db(table.encode())
        with environment.begin(write=True) as txn:
            rows = dict(txn.cursor(db=handle))
            txn.drop(handle, delete=False)
            change(rows)
            for key, value in rows.items():
                txn.put(key, value, db=handle)


def flip(value: bytes) -> bytes:
    """With one bit changed in the middle."""
    middle = len(value) // 2
    return value[:middle] + bytes([value[middle] ^ 4]) + value[middle + 1 :]
