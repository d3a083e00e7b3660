"""One writer at a time: a claim that is noted in the Milvus, and renewed as long as it is held.

Milvus knows no locks. So who wants to write notes a claim, then looks (with strong consistency)
whether there is another that is alive, and withdraws where there is: of two that come at the same
moment at most one goes on. A claim that was not renewed for a minute is of a writer that is gone.
Two writers, should it come to that (one was asleep for a minute), write the same rows for the same
files.

A Milvus Lite is opened by one process alone; there the operating system's lock is enough.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from ....core.errors import StoreBusyError, StoreError
from .connection import Connection
from .schema import NOTE_FIELDS, Names, note_row

_ALIVE = 60.0
"""Seconds that a claim is good for."""
_RENEWED = 15.0


@contextmanager
def claimed(connection: Connection, names: Names) -> Iterator[None]:
    """Be the one writer, or fail at once.

    Raises:
        StoreBusyError, StoreError
    """
    if connection.location.file is not None:
        with _locked(connection):
            yield
        return
    name = f"claim:{uuid.uuid4().hex}"
    with ExitStack() as stack:
        stack.callback(_withdraw, connection, names, name)
        _renew(connection, names, name)
        if others := [one for one in _alive(connection, names) if one["note"] != name]:
            raise _busy(connection, json.loads(others[0]["value"]))
        over = threading.Event()
        thread = threading.Thread(
            target=_keep, args=(connection, names, name, over), name="claim", daemon=True
        )
        thread.start()
        stack.callback(thread.join, 1.0)
        stack.callback(over.set)
        yield


@contextmanager
def _locked(connection: Connection) -> Iterator[None]:
    import filelock

    lock = filelock.FileLock(f"{connection.location.file}.lock", timeout=0, thread_local=False)
    try:
        lock.acquire()
    except filelock.Timeout:
        raise _busy(connection, {}) from None
    except OSError as error:
        raise StoreError(f"{lock.lock_file} can't be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


def _busy(connection: Connection, who: dict[str, object]) -> StoreBusyError:
    where = f" (process {who['process']} on {who['host']})" if who else ""
    return StoreBusyError(
        f"another tll-index{where} is writing to {connection.location}; wait for it to end "
        "(queries work meanwhile)"
    )


def _renew(connection: Connection, names: Names, name: str) -> None:
    who = {"host": socket.gethostname(), "process": os.getpid(), "until": time.time() + _ALIVE}
    connection.upsert(names.notes, [note_row(name, "claim", json.dumps(who))])


def _alive(connection: Connection, names: Names) -> list[dict[str, str]]:
    found = connection.call(
        "query",
        names.notes,
        filter='kind == "claim"',
        output_fields=["note", *NOTE_FIELDS],
        consistency_level="Strong",
    )
    return [row for row in found if json.loads(row["value"])["until"] > time.time()]


def _keep(connection: Connection, names: Names, name: str, over: threading.Event) -> None:
    while not over.wait(_RENEWED):
        with suppress(StoreError):  # the next time, or whoever writes says it
            _renew(connection, names, name)


def _withdraw(connection: Connection, names: Names, name: str) -> None:
    with suppress(StoreError):  # it ends by itself
        connection.delete(names.notes, [name])
