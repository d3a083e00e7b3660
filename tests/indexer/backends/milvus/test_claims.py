"""One writer at a time, by a claim that lies in the Milvus itself and ends with its writer."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from milvus_server import Served
from pictures import fill_folder
from queries import hits_of
from tll_index import Recipe, build
from tll_index.core.errors import StoreBusyError
from tll_index.core.location import located
from tll_index.indexer.backends.milvus.claims import claimed
from tll_index.indexer.backends.milvus.connection import connect
from tll_index.indexer.backends.milvus.schema import Names, note_row
from tll_index.indexer.store.resolve import only_writer

TINY = Recipe("tiny")


def test_one_writer_at_a_time(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 3)
    build(["photos"], store=server.address(), recipe=TINY)
    with only_writer(located(server.address())):
        with pytest.raises(
            StoreBusyError, match=rf"process {os.getpid()} on .* is writing to milvus"
        ):
            build(["photos"], store=server.address())
        assert len(hits_of([], server.address())) == 0
    assert build(["photos"], store=server.address()).unchanged == 3


def test_of_two_that_come_at_once_at_most_one_writes(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    inside: list[int] = []
    most: list[int] = []
    ready = threading.Barrier(6)

    def come() -> None:
        ready.wait()
        try:
            with only_writer(located(server.address())):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.3)
                inside.pop()
        except StoreBusyError:
            pass

    threads = [threading.Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most, default=1) == 1


def test_the_claim_of_a_writer_that_is_gone_ends(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    connection = connect(located(server.address()))  # type: ignore[arg-type]
    names = Names("photos")
    try:
        for until, busy in ((time.time() + 50, True), (time.time() - 1, False)):
            value = f'{{"host": "other", "process": 7, "until": {until}}}'
            connection.upsert(names.notes, [note_row("claim:other", "claim", value)])
            if busy:
                with pytest.raises(StoreBusyError, match="process 7 on other"):
                    build(["photos"], store=server.address())
            else:
                assert build(["photos"], store=server.address()).unchanged == 1
    finally:
        connection.close()


def test_a_claim_is_renewed(here: Path, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    monkeypatch.setattr("tll_index.indexer.backends.milvus.claims._RENEWED", 0.1)
    connection = connect(located(server.address()))  # type: ignore[arg-type]
    try:
        with claimed(connection, Names("photos")):
            server.called.clear()
            deadline = time.monotonic() + 500
            while server.called.count("Upsert") < 3:
                assert time.monotonic() < deadline
                time.sleep(0.02)
    finally:
        connection.close()
