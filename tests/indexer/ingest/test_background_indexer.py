"""The process that keeps the FAISS file in step beside a build."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tll_index.core.config import Settings
from tll_index.core.errors import StoreError, TllError, UsageError
from tll_index.core.progress import Progress
from tll_index.engine.lens.embedder import load_embedder
from tll_index.engine.search.normalize import unit
from tll_index.indexer.catalog.lmdb_writer import LmdbWriter as Writer
from tll_index.indexer.catalog.records import ImageRecord
from tll_index.indexer.ingest.background_indexer import BackgroundIndexer
from tll_index.indexer.store.store import Store
from tll_index.indexer.vector_index.faiss_file import glance

DIMENSION = 16


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    settings = Settings(index="ivf")
    embedder = load_embedder("tiny", settings, lens="none")
    (tmp_path / "store").mkdir()
    with Store.create(tmp_path / "store", embedder, settings) as made:
        yield made


def fill(store: Store, first: int, count: int) -> None:
    rows = unit(np.random.default_rng(first).normal(size=(count, DIMENSION)).astype(np.float32))

    def add(writer: Writer) -> None:
        for number, row in enumerate(rows, start=first):
            content = number.to_bytes(32, "big")
            image = writer.add_image(content, ImageRecord(content.hex(), 1, 1, "PNG", 1), row)
            writer.set_entry(writer.folder(b"/p"), b"%d" % number, (1, 1), image)  # type: ignore[arg-type]

    store.catalog.write(add)


def filed(store: Store) -> int:
    known = glance(store.path / "vectors.faiss", store.about.id, whole=True)
    return known[0].images if known else 0


def wait_until_filed(store: Store, count: int) -> None:
    for _ in range(600):
        if filed(store) == count:
            return
        time.sleep(0.1)
    raise AssertionError(f"{filed(store)} are filed, not {count}")


class Heard(Progress):
    def __init__(self) -> None:
        self.total, self.done_ = 0, 0

    def start(self, what: str, total: int | None, unit: str = "pictures", done: int = 0) -> None:
        assert what == "arranging"
        self.total = total or 0

    def advance(self, count: int = 1, **_: float) -> None:
        self.done_ += count


@pytest.mark.slow
def test_it_makes_the_file_beside_the_work(store: Store) -> None:
    with BackgroundIndexer(store, step=500) as indexer:
        fill(store, 0, 400)
        indexer.grown()
        assert indexer._process is None  # too few
        fill(store, 400, 400)
        indexer.grown()
        wait_until_filed(store, 800)  # though nobody waits for it
        fill(store, 800, 300)
        indexer.grown()
        assert filed(store) == 800  # too few since
        indexer.finish(heard := Heard())
        assert filed(store) == 1100
        assert (heard.total, heard.done_) == (300, 300)
        indexer.finish(heard := Heard())
        assert heard.total == 0


def test_killed_it_has_done_nothing(store: Store) -> None:
    fill(store, 0, 300)
    with BackgroundIndexer(store, step=1) as indexer:
        indexer.finish(Progress())
        fill(store, 300, 600)
        indexer.grown()
        assert indexer._process is not None
        os.kill(indexer._process.pid, signal.SIGKILL)
        indexer._process.wait()
        assert filed(store) == 300
        query = unit(np.ones((1, DIMENSION), np.float32))
        assert len(store.search(query, 900)) == 900
        indexer.finish(Progress())
    assert filed(store) == 900


def test_it_ends_with_its_parent(store: Store) -> None:
    indexer = BackgroundIndexer(store, step=1)
    fill(store, 0, 300)
    indexer.grown()
    process = indexer._process
    assert process is not None and process.stdin is not None
    process.stdin.close()  # as the end of this process would
    process.wait(timeout=500)


def test_its_errors_are_ours(store: Store) -> None:
    fill(store, 0, 300)
    (store.path / "vectors.faiss.new").mkdir()
    with BackgroundIndexer(store) as indexer, pytest.raises(StoreError, match=r"vectors\.faiss"):
        indexer.finish(Progress())
    with pytest.raises(UsageError, match="none of auto"):
        store.settings = Settings(index="cheese")
        BackgroundIndexer(store).finish(Progress())


def test_one_that_dies_is_reported(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store, 0, 300)
    monkeypatch.setattr("sys.executable", "/bin/false")
    with BackgroundIndexer(store) as indexer, pytest.raises(TllError, match="ended with 1"):
        indexer.finish(Progress())
