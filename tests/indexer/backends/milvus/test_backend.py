"""A store in a Milvus: built, queried, forgotten, through a server that many use at once."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from milvus_server import Served
from pictures import fill_folder, noise
from queries import hits_of
from tll_index import Recipe, Store, build, forget
from tll_index.core.errors import StoreError, StoreMismatchError, UsageError
from tll_index.core.location import Milvus, located
from tll_index.indexer.backends.milvus.connection import connect
from tll_index.indexer.backends.milvus.schema import Names, notes_shape
from tll_index.indexer.store.resolve import folder_in_use

TINY = Recipe("tiny")


@pytest.mark.slow
def test_builds_and_queries_through_a_server(here: Path, server: Served, spawn: Any) -> None:
    paths = fill_folder(here / "photos", 30)
    build(["photos"], store="folder", recipe=TINY)
    process = spawn("build", "photos", "--backbone", "tiny", "--store", server.address())
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0 and b"30 added" in out, err
    found, wanted = hits_of(paths, server.address()), hits_of(paths, "folder")
    for path in paths:
        assert [hit for hit, _ in found[path]] == [hit for hit, _ in wanted[path]]
        assert np.allclose([s for _, s in found[path]], [s for _, s in wanted[path]], atol=2e-6)
    assert build(["photos"], store=server.address()).unchanged == 30


def test_only_a_store_on_this_machine_fills_a_folder(here: Path) -> None:
    assert folder_in_use(here / "store") == os.fsencode(here / "store")
    assert folder_in_use(located("milvus-lite:y.db")) == os.fsencode(here / "y.db")
    assert folder_in_use(located("milvus://h:1/c")) is None


def test_a_collection_whose_index_was_never_made_gets_it(here: Path, server: Served) -> None:
    """A build was cut short between the two."""
    location = located(server.address())
    assert isinstance(location, Milvus)
    connection = connect(location)
    schema, _ = notes_shape()
    connection.call("create_collection", Names("photos").notes, schema=schema)
    connection.close()
    fill_folder(here / "photos", 2)
    assert build(["photos"], store=server.address(), recipe=TINY).added == 2
    assert len(hits_of([here / "photos/picture0000.png"], server.address())) == 1


def test_who_has_it_open_sees_what_a_build_brings(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 6)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store:
        assert len(store.query(noise(0), 20, filter=["*.png"])) == 6
        fill_folder(here / "photos", 4, first=6)
        (here / "photos/picture0000.png").unlink()
        build(["photos"], store=server.address())
        hits = store.query(noise(0), 20)
        assert len(hits) == 9 == len(store.query(noise(0), 20, filter=["*.png"]))
        assert str(here / "photos/picture0000.png") not in {hit.path for hit in hits}


def test_a_question_takes_few_calls(here: Path, server: Served) -> None:
    """However many hits: each call waits for a network."""
    fill_folder(here / "photos", 40)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store:
        store.query(noise(0), 1)
        calls = {}
        for k in (1, 30):
            server.called.clear()
            assert len(store.query(noise(0), k)) == k
            calls[k] = len(server.called)
    assert calls[30] == calls[1] <= 5


def test_a_batch_takes_few_calls(here: Path, server: Served) -> None:
    fill_folder(here / "few", 2)
    build(["few"], store=server.address("few"), recipe=TINY)
    few = len(server.called)
    fill_folder(here / "many", 60)
    server.called.clear()
    build(["many"], store=server.address("many"), recipe=TINY)
    # Whether a content is known is asked for each, to decode nothing for nothing; all else at once.
    assert len(server.called) - few < 1.5 * 58


@pytest.mark.parametrize("fails_at", range(1, 9))
@pytest.mark.slow_after_first
def test_a_write_that_fails_anywhere_loses_nothing(
    fails_at: int, here: Path, server: Served
) -> None:
    """Each of the calls that make up a write: the next build ends what it began."""
    paths = fill_folder(here / "photos", 8)
    build(["photos"], store=server.address(), recipe=TINY)
    paths[0].rename(here / "photos/moved.png")
    paths[1].unlink()
    noise(77).save(paths[2])
    paths += fill_folder(here / "photos/more", 4, first=20)
    server.fails_at = fails_at + 1  # after the claim
    with pytest.raises(StoreError, match="the disk is gone"):
        build(["photos"], store=server.address())
    assert not server.fails_at
    build(["photos"], store=server.address())
    build(["photos"], store="anew", recipe=TINY)
    there = list((here / "photos").rglob("*.png"))
    found, wanted = hits_of(there, server.address()), hits_of(there, "anew")
    assert {p: [h for h, _ in hits] for p, hits in found.items()} == {
        p: [h for h, _ in hits] for p, hits in wanted.items()
    }
    with Store.open(server.address()) as store, store.catalog.reading() as reader:
        assert (reader.images, reader.orphans, reader.entries) == (11, 0, 11)


def test_a_collection_of_somebody_else(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    connection = connect(located(server.address()))  # type: ignore[arg-type]
    try:
        connection.call("create_collection", "photos", dimension=8)
    finally:
        connection.close()
    with pytest.raises(StoreError, match="there is a collection photos that is not a store"):
        build(["photos"], store=server.address(), recipe=TINY)


def test_a_newer_format(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store:
        document = {**store.about.document(), "format": 99}
        store.catalog.write(lambda writer: writer.set_about(document))
    with pytest.raises(StoreMismatchError, match="upgrade tll-index"):
        Store.open(server.address())


def test_what_only_folders_have_is_said(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store, pytest.raises(UsageError, match="tll-index copy"):
        _ = store.path


def test_what_is_forgotten_is_found_no_more(here: Path, server: Served) -> None:
    paths = fill_folder(here / "photos", 6)
    build(["photos"], store=server.address(), recipe=TINY)
    assert forget([paths[2]], store=server.address()).images == 1
    with Store.open(server.address()) as store:
        assert len(store) == 5
        assert str(paths[2]) not in {hit.path for hit in store.query(noise(2), 10)}
        with store.catalog.reading() as reader:
            assert not reader.wiping
    assert {"Compact", "ManualCompaction"} & set(server.called)


@pytest.mark.slow
def test_a_build_that_is_stopped_goes_on(
    here: Path, server: Served, spawn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_folder(here / "photos", 40)
    tiny.watch(monkeypatch, here / "log", 0.1)
    command = ("build", "photos", "--backbone", "tiny", "--batch-size", "4")
    process = spawn(*command, "--store", server.address())
    deadline = time.monotonic() + 500
    while not (here / "log").exists() or (here / "log").read_text().count("\n") < 4:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=500)
    assert process.returncode in (130, -signal.SIGINT), err
    kept = len(hits_of([], server.address())) or len(Store.open(server.address()))
    assert 8 <= kept < 40
    report = build(["photos"], store=server.address())
    assert (report.unchanged, report.added) == (kept, 40 - kept)
