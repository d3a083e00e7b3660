"""A catalog written anew, record by record: without what LMDB keeps of records that are gone.

LMDB never wipes a page: what was deleted stays in the file, in free pages and between records,
until something else is written over it. A file that was written record by record holds nothing
but its records.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import lmdb

from ....core.progress import Progress
from ...catalog.checksums import with_check, without_check
from ...catalog.lmdb_catalog import LmdbCatalog
from ...catalog.lmdb_environment import Environment
from ...catalog.lmdb_writer import LmdbWriter
from ...catalog.records import SEVERAL_VALUES, TABLES
from ..metadata import About

_BATCH = 50_000
"""Records a transaction."""


def rewrite_catalog(catalog: LmdbCatalog, path: Path, about: About, progress: Progress) -> None:
    """Write all records that `catalog` holds now into a new LMDB file `path`, on the disk when
    this returns. Each is checked on the way; one without a checksum, of an old store, gets it.

    Args:
        about: what the new one shall say of its store.

    Raises:
        StoreDamagedError: a record is not what was written.
        StoreError: the file can't be written.
    """
    with catalog.in_use() as (environment, checked), environment.reading() as txn:
        tables = environment.tables
        total = sum(int(txn.stat(handle)["entries"]) for handle in tables.values())
        progress.start("copying the catalog", total, "records")
        new = Environment.open(path, TABLES, SEVERAL_VALUES)
        try:
            for name, handle in tables.items():
                with txn.cursor(db=handle) as cursor:
                    records = _whole(cursor.iternext(keys=True, values=True), checked)
                    fill(new, name, records, progress)
        finally:
            new.close()
    settle_catalog(path, about)


def settle_catalog(path: Path, about: About) -> None:
    """Have the catalog in the file `path` say of its store what `about` says, and that nothing is
    left to be wiped from it."""
    catalog = LmdbCatalog(path, b"/", create=False)
    try:

        def say(writer: LmdbWriter) -> None:
            writer.set_about(about.renewed().document())
            writer.set_wiping(False)

        catalog.write(say)
    finally:
        catalog.close()


def fill(
    environment: Environment,
    table: str,
    records: Iterable[tuple[bytes, bytes]],
    progress: Progress,
) -> None:
    """Put stored keys and values, in order of key, into an empty table."""
    handle = environment.tables[table]
    # Of several values for a key, the order is LMDB's own.
    append = table not in SEVERAL_VALUES
    rest = iter(records)
    while batch := list(islice(rest, _BATCH)):

        def put(txn: lmdb.Transaction, some: list[tuple[bytes, bytes]] = batch) -> None:
            with txn.cursor(db=handle) as cursor:
                cursor.putmulti(some, append=append)

        environment.write(put)
        progress.advance(len(batch))


def _whole(records: Iterable[Any], checked: bool) -> Iterator[tuple[bytes, bytes]]:
    for key, value in records:
        if checked:
            without_check(key, value)
            yield key, value
        else:
            yield key, with_check(key, value)
