"""Rows about many vectors: how fast and how exact their index is, what it takes, and which one is
chosen."""

from __future__ import annotations

import contextlib
import math
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from tll_index.core.config import cores
from tll_index.engine.search.index_plan import plan

from ..harness import Finding, NotMeasurableError, seconds
from ..processes import Apart, Group, apart, limited
from .stores import Filled, forget_pages
from .workload import K, Workload

MEMORY = 4 << 30
MILLION_RECALL, FASTER = 0.95, 30
TEN_MILLIONS_RECALL, SLOWEST = 0.90, 0.050
STEEPEST = 0.5
_FLAT_QUERIES = 50


@dataclass(frozen=True)
class Measured:
    """A store of so many vectors, its index made and queried in processes of their own."""

    filled: Filled
    build: dict[str, Any]
    query: dict[str, Any]
    recall: float
    limit: str
    """How memory was limited, or why not."""

    def figures(self) -> dict[str, Any]:
        """For the JSON."""
        return {
            "vectors": self.filled.count,
            "recall": self.recall,
            **self.build,
            **{name: value for name, value in self.query.items() if name != "found"},
            "bytes_per_vector": self.build["index_bytes"] / self.filled.count,
            "fill_seconds": self.filled.seconds,
        }


def measured(workload: Workload, count: int) -> Measured:
    """Fill a store with `count` vectors, make its index and search it, once a run."""
    known: dict[int, Measured] = workload.shared.setdefault("measured", {})
    if count not in known:
        filled = workload.store(count)
        arguments = {"store": str(filled.path), "memory": MEMORY}
        workload.progress.note(f"the index of {count:,} vectors")
        built, limit = in_limits(filled, "speed.stores:build_index", arguments)
        queries = {"queries": str(workload.queries_file), "k": K}
        workload.progress.note(f"searching {count:,} vectors")
        queried, limit = in_limits(filled, "speed.stores:query", {**arguments, **queries})
        recall = workload.truth(count).recall(queried.result["found"])
        known[count] = Measured(filled, told(built), told(queried), recall, limit)
    return known[count]


def in_limits(filled: Filled, function: str, arguments: dict[str, Any]) -> tuple[Apart, str]:
    """Run a function apart in a group of `MEMORY`, where one can be made; says whether. What the
    system keeps of the store's files is let go first, so that their pages count."""
    forget_pages(filled.path)
    with contextlib.ExitStack() as stack:
        try:
            group: Group | None = stack.enter_context(limited(MEMORY))
            limit = "in a control group of 4 GB, pages of files counted"
        except NotMeasurableError as reason:
            group, limit = None, f"memory was not limited: {reason}"
        done = apart(function, group, **arguments)
        if group is not None:
            done.result["group_peak_bytes"] = group.peak()
    return done, limit


def told(done: Apart) -> dict[str, Any]:
    """A result with the memory that it took."""
    return {**done.result, **{f"{name}_bytes": size for name, size in asdict(done.peaks).items()}}


def vectors_1m(workload: Workload) -> Finding:
    """The chosen index against an exact one that compares with everything."""
    count = workload.sizes.million
    ours = measured(workload, count)
    flat = flat_seconds(workload, count)
    faster = min(flat.values()) / ours.query["numbers_seconds"]
    return Finding(
        faster,
        faster >= FASTER and ours.recall >= MILLION_RECALL,
        {**ours.figures(), **flat},
        f"{about(workload, count)}; ours: numbers and exact scores, {ours.limit} "
        "(median_seconds: the whole of `Store.search`, with paths); Flat: FAISS's search, on one "
        "core or on all, whichever is quicker; medians",
    )


def flat_seconds(workload: Workload, count: int) -> dict[str, float]:
    """Median seconds of one query to FAISS's exact index, on one core and on all."""
    import faiss

    vectors = np.ascontiguousarray(workload.vectors(count))
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    rows, found = workload.queries[:_FLAT_QUERIES], {}
    for name, threads in (("flat_one_core_seconds", 1), ("flat_all_cores_seconds", cores())):
        faiss.omp_set_num_threads(threads)
        index.search(rows[:1], K)
        found[name] = median(seconds(partial(index.search, row[None], K)) for row in rows)
    return found


def vectors_10m(workload: Workload) -> Finding:
    """Ten millions in four gigabytes."""
    count = workload.sizes.ten_millions
    ours = measured(workload, count)
    needed = ours.query["median_seconds"]
    held = max(
        one.get("group_peak_bytes", one["resident_bytes"]) for one in (ours.build, ours.query)
    )
    return Finding(
        needed,
        needed < SLOWEST and ours.recall >= TEN_MILLIONS_RECALL and held <= MEMORY,
        {**ours.figures(), "build": dict(ours.build), "ask": _without_found(ours.query)},
        f"{about(workload, count)}; index made and searched {ours.limit}; each query made twice, "
        "the second time counted (the first is cold_median_seconds)",
    )


def growth(workload: Workload) -> Finding:
    """How time, memory and disk grow with the number of vectors."""
    rows = []
    for count in workload.sizes.growth:
        rows.append(measured(workload, count).figures())
    slopes = {
        name: slope([row["vectors"] for row in rows], [row[name] for row in rows])
        for name in ("seconds", "median_seconds", "anonymous_bytes", "disk_bytes")
    }
    steepest = slopes["median_seconds"]
    return Finding(
        steepest,
        steepest <= STEEPEST,
        {"sizes": rows, "slopes": slopes},
        f"{about(workload, max(workload.sizes.growth))}; slope of log time over log number of "
        f"vectors, {limits(workload)}; anonymous_bytes: own memory of the searching process",
    )


def limits(workload: Workload) -> str:
    """How memory was limited."""
    return measured(workload, min(workload.sizes.growth)).limit


def about(workload: Workload, count: int) -> str:
    """What the vectors are, and how many queries there are."""
    material = workload.material
    return (
        f"{count:,} vectors of {material.dimension} values, mixes of {material.source}; "
        f"{len(workload.queries):,} queries by pictures that are in no mix; k {K}"
    )


def slope(numbers: list[float], values: list[float]) -> float:
    """Of the line through the logarithms."""
    logs = [[math.log(max(one, 1e-9)) for one in some] for some in (numbers, values)]
    return float(np.polyfit(logs[0], logs[1], 1)[0])


def _without_found(queried: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in queried.items() if name != "found"}


SLOWEST_EXACT = 0.002


def choice(workload: Workload) -> Finding:
    """What `auto` takes at each size, next to what it does not."""
    sizes, rows = workload.sizes.choice, []
    workload.progress.start("exact and lists", 2 * len(sizes), "indexes")
    for count in sizes:
        auto = plan(count, workload.material.dimension, MEMORY)
        row: dict[str, Any] = {"vectors": count, "auto": "flat" if auto.exact else "ivf"}
        for index in ("flat", "ivf"):
            row[index] = _timed(workload, count, index)
            workload.progress.advance()
        rows.append(row)
    exact = [row["flat"]["numbers_seconds"] for row in rows if row["auto"] == "flat"]
    lists = [row for row in rows if row["auto"] == "ivf"]
    slowest = max(exact, default=0.0)
    quicker = all(row["ivf"]["numbers_seconds"] < row["flat"]["numbers_seconds"] for row in lists)
    return Finding(
        slowest,
        slowest <= SLOWEST_EXACT and quicker,
        {"sizes": rows},
        f"{about(workload, max(sizes))}; numbers and exact scores, without paths; medians; "
        "measured: the slowest of the sizes where auto is exact",
    )


def _timed(workload: Workload, count: int, index: str) -> dict[str, Any]:
    store: dict[str, Any] = {"store": str(workload.store(count).path), "memory": MEMORY}
    built = apart("speed.stores:build_index", **store, index=index).result
    queried = apart("speed.stores:query", **store, queries=str(workload.queries_file), k=K).result
    return {
        "kind": built["index"],
        "build_seconds": built["seconds"],
        "numbers_seconds": queried["numbers_seconds"],
        "with_paths_seconds": queried["median_seconds"],
        "recall": workload.truth(count).recall(queried["found"]),
    }
