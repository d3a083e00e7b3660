"""Stores of made-up pictures with given vectors, and what is measured of them apart."""

from __future__ import annotations

import os
import time
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from tll_index.core.config import Settings, load_settings
from tll_index.core.contracts import UnitVectors
from tll_index.core.progress import Progress
from tll_index.engine.lens.embedder import Embedder
from tll_index.indexer.backends.folder.store_folder import folder_of
from tll_index.indexer.backends.layout import writer_lock
from tll_index.indexer.catalog.base import Writer
from tll_index.indexer.catalog.records import ImageRecord
from tll_index.indexer.catalog.spaces import VECTORS
from tll_index.indexer.scan.walk import FileState
from tll_index.indexer.store.store import Store
from tll_index.indexer.vector_index.live_index import LiveIndex

from .dataset import Truth

_STATE = FileState(50_000, 0)
_STEPS = 64
"""Of the reach that a store sets itself, in how many parts it is tried."""


@dataclass(frozen=True)
class Filled:
    """A store whose catalog is full."""

    path: Path
    count: int
    seconds: float
    """That filling the catalog took, and making its vectors meanwhile."""


def fill(
    path: Path,
    embedder: Embedder,
    blocks: Iterable[UnitVectors],
    count: int,
    settings: Settings,
    progress: Progress,
) -> Filled:
    """Make a store of `count` made-up pictures through the catalog's own writer, one transaction
    for each of `blocks`. Row 17 of the vectors is picture 000000017.jpg; its content's digest is
    made up in order too, so filling is faster than with real ones."""
    started = time.perf_counter()
    path.parent.mkdir(parents=True, exist_ok=True)
    progress.start(f"a catalog of {count:,}", count, "vectors")
    with writer_lock(path), Store.create(path, embedder, settings) as store:
        first = 0
        for block in blocks:
            store.catalog.write(partial(_add, store=path, first=first, block=block))
            first += len(block)
            progress.advance(len(block))
    return Filled(path, count, time.perf_counter() - started)


def _add(writer: Writer, store: Path, first: int, block: UnitVectors) -> None:
    folder = writer.folder(os.fsencode(store.parent / "pictures" / f"{first:09}"))
    for number, vector in enumerate(block, start=first):
        content = number.to_bytes(32, "big")
        record = ImageRecord(content.hex(), 640, 480, "JPEG", _STATE.size)
        image = writer.add_image(content, record, vector)
        writer.set_entry(folder, b"%09d.jpg" % number, _STATE, image)


def forget_pages(folder: Path) -> None:
    """Let the system drop what it keeps in memory of the files in `folder`, so that whoever reads
    them next is charged for it."""
    for file in folder.iterdir():
        with file.open("rb") as opened:
            os.fsync(opened.fileno())
            os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


# -- what processes of their own do --------------------------------------------------------------


def build_index(store: str, memory: int, index: str = "auto") -> dict[str, Any]:
    """Make the index of a filled store, from nothing."""
    path = Path(store)
    (path / VECTORS).unlink(missing_ok=True)  # which another row may have made
    with Store.open(path, settings=_settings(memory, index)) as opened, writer_lock(path):
        started = time.perf_counter()
        opened.save_index()
        seconds = time.perf_counter() - started
        kind = opened.info()["index"]
    size = (path / VECTORS).stat().st_size
    disk = sum(file.stat().st_blocks * 512 for file in path.iterdir())
    return {"seconds": seconds, **_about(kind), "index_bytes": size, "disk_bytes": disk}


def query(store: str, queries: str, k: int, memory: int, threads: int = 0) -> dict[str, Any]:
    """Search a store with every row of the .npy file `queries`, one at a time, twice: the first
    time warms it. `threads`: of FAISS; 0 is as the tool has it."""
    import faiss

    rows = np.load(queries)
    if threads:
        faiss.omp_set_num_threads(threads)
    with Store.open(store, settings=_settings(memory)) as opened:
        started = time.perf_counter()
        opened.search(rows[:1], k)
        first = time.perf_counter() - started
        cold = _each(opened, rows, k)
        warm = _each(opened, rows, k)
        numbers = _numbers(opened, rows, k)
        found = [[int(Path(hit.path).stem) for hit in opened.search(row[None], k)] for row in rows]
    return {
        "first_seconds": first,
        "cold_median_seconds": float(np.median(cold)),
        "median_seconds": float(np.median(warm)),
        "p95_seconds": float(np.percentile(warm, 95)),
        "numbers_seconds": float(np.median(numbers)),
        "found": found,
    }


def _each(store: Store, rows: UnitVectors, k: int) -> list[float]:
    taken = []
    for row in rows:
        started = time.perf_counter()
        store.search(row[None], k)
        taken.append(time.perf_counter() - started)
    return taken


def _numbers(store: Store, rows: UnitVectors, k: int) -> list[float]:
    """Seconds of each query up to numbers and exact scores, which is all that peers return: no
    paths."""
    about, taken = store.about, []
    live = LiveIndex(store.path / VECTORS, about.id, about.dimension)
    with folder_of(store.backend).catalog.reading() as reader:
        live.follow(reader)
        for row in rows:
            started = time.perf_counter()
            live.nearest(row[None], k, reader)
            taken.append(time.perf_counter() - started)
    return taken


def at_recall(
    store: str, vectors: str, queries: str, last: list[float], k: int, memory: int, target: float
) -> dict[str, Any]:
    """As peers are measured (see `libraries.measure`): look only as hard as recall `target` takes,
    and time queries up to numbers and exact scores, on one core and on all."""
    import faiss

    rows = np.load(queries)
    truth = Truth(np.load(vectors, mmap_mode="r"), rows, np.asarray(last, np.float32), k)
    with Store.open(store, settings=_settings(memory)) as opened:
        about = opened.about
        live = LiveIndex(opened.path / VECTORS, about.id, about.dimension)
        with folder_of(opened.backend).catalog.reading() as reader:
            live.follow(reader)
            assert live.file is not None
            own = live.file

            @cache
            def recall(step: int) -> float:
                effort = own.notes.effort
                effort = replace(effort, value=effort.value * step / _STEPS)
                live.file = replace(own, notes=replace(own.notes, effort=effort))
                found = [near.ids[0] - 1 for near in live.nearest(rows, k, reader)]
                return truth.recall(found)

            steps = range(1, _STEPS + 1) if own.notes.effort.parameter == "reach" else [_STEPS]
            least = steps[bisect_left(steps, target, hi=len(steps) - 1, key=recall)]
            recall.cache_clear()
            result: dict[str, Any] = {"recall": recall(least), "share_of_own_reach": least / _STEPS}
            every = faiss.omp_get_max_threads()
            for name, threads in (("one_core_seconds", 1), ("all_cores_seconds", every)):
                faiss.omp_set_num_threads(threads)
                taken = []
                for row in rows:
                    started = time.perf_counter()
                    live.nearest(row[None], k, reader)
                    taken.append(time.perf_counter() - started)
                result[name] = float(np.median(taken))
    return result


def _settings(memory: int, index: str = "auto") -> Settings:
    return replace(load_settings(), index=index, memory=memory)


def _about(index: dict[str, Any]) -> dict[str, Any]:
    """What the store says of its index: which one, and the recall that it measured itself."""
    return {"index": index["kind"], "own_recall": index.get("recall_at_10")}
