"""Rows about many vectors: how fast and how exact their index is, and what it takes."""

from __future__ import annotations

import contextlib
import math
from dataclasses import asdict, dataclass
from functools import partial
from statistics import median
from typing import Any

import numpy as np

from tll_index.core.config import cores

from .apart import Apart, apart
from .cgroup import Group, limited
from .clock import seconds
from .findings import Finding, NotMeasurableError
from .laboratory import K, Laboratory
from .ours import Filled, forget_pages

MEMORY = 4 << 30
MILLION_RECALL, FASTER = 0.95, 30
TEN_MILLIONS_RECALL, SLOWEST = 0.90, 0.050
STEEPEST = 0.5
_FLAT_ASKS = 50


@dataclass(frozen=True)
class Measured:
    """A store of so many vectors, its index made and asked in processes of their own."""

    filled: Filled
    build: dict[str, Any]
    ask: dict[str, Any]
    recall: float
    limit: str
    """How memory was limited, or why not."""

    def figures(self) -> dict[str, Any]:
        """For the JSON."""
        return {
            "vectors": self.filled.count,
            "recall": self.recall,
            **self.build,
            **{name: value for name, value in self.ask.items() if name != "found"},
            "bytes_per_vector": self.build["index_bytes"] / self.filled.count,
            "fill_seconds": self.filled.seconds,
        }


def measured(laboratory: Laboratory, count: int) -> Measured:
    """Fill a store with `count` vectors, make its index and ask it, once a run."""
    known: dict[int, Measured] = laboratory.shared.setdefault("measured", {})
    if count not in known:
        filled = laboratory.store(count)
        arguments = {"store": str(filled.path), "memory": MEMORY}
        laboratory.progress.note(f"the index of {count:,} vectors")
        built, limit = in_limits(filled, "ours:build_index", arguments)
        queries = {"queries": str(laboratory.asks_file), "k": K}
        laboratory.progress.note(f"asking {count:,} vectors")
        asked, limit = in_limits(filled, "ours:ask", {**arguments, **queries})
        recall = laboratory.truth(count).recall(asked.result["found"])
        known[count] = Measured(filled, told(built), told(asked), recall, limit)
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


def vectors_1m(laboratory: Laboratory) -> Finding:
    """The chosen index against an exact one that compares with everything."""
    count = laboratory.sizes.million
    ours = measured(laboratory, count)
    flat = flat_seconds(laboratory, count)
    faster = min(flat.values()) / ours.ask["numbers_seconds"]
    return Finding(
        faster,
        faster >= FASTER and ours.recall >= MILLION_RECALL,
        {**ours.figures(), **flat},
        f"{about(laboratory, count)}; ours: numbers and exact scores, {ours.limit} "
        "(median_seconds: the whole of `Store.search`, with paths); Flat: FAISS's search, on one "
        "core or on all, whichever is quicker; medians",
    )


def flat_seconds(laboratory: Laboratory, count: int) -> dict[str, float]:
    """Median seconds of one query to FAISS's exact index, on one core and on all."""
    import faiss

    vectors = np.ascontiguousarray(laboratory.vectors(count))
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    rows, found = laboratory.queries[:_FLAT_ASKS], {}
    for name, threads in (("flat_one_core_seconds", 1), ("flat_all_cores_seconds", cores())):
        faiss.omp_set_num_threads(threads)
        index.search(rows[:1], K)
        found[name] = median(seconds(partial(index.search, row[None], K)) for row in rows)
    return found


def vectors_10m(laboratory: Laboratory) -> Finding:
    """Ten millions in four gigabytes."""
    count = laboratory.sizes.ten_millions
    ours = measured(laboratory, count)
    needed = ours.ask["median_seconds"]
    held = max(one.get("group_peak_bytes", one["resident_bytes"]) for one in (ours.build, ours.ask))
    return Finding(
        needed,
        needed < SLOWEST and ours.recall >= TEN_MILLIONS_RECALL and held <= MEMORY,
        {**ours.figures(), "build": dict(ours.build), "ask": _without_found(ours.ask)},
        f"{about(laboratory, count)}; index made and asked {ours.limit}; each query asked twice, "
        "the second time counted (the first is cold_median_seconds)",
    )


def growth(laboratory: Laboratory) -> Finding:
    """How time, memory and disk grow with the number of vectors."""
    rows = []
    for count in laboratory.sizes.growth:
        rows.append(measured(laboratory, count).figures())
    slopes = {
        name: slope([row["vectors"] for row in rows], [row[name] for row in rows])
        for name in ("seconds", "median_seconds", "anonymous_bytes", "disk_bytes")
    }
    steepest = slopes["median_seconds"]
    return Finding(
        steepest,
        steepest <= STEEPEST,
        {"sizes": rows, "slopes": slopes},
        f"{about(laboratory, max(laboratory.sizes.growth))}; slope of log time over log number of "
        f"vectors, {limits(laboratory)}; anonymous_bytes: own memory of the asking process",
    )


def limits(laboratory: Laboratory) -> str:
    """How memory was limited."""
    return measured(laboratory, min(laboratory.sizes.growth)).limit


def about(laboratory: Laboratory, count: int) -> str:
    """What the vectors are, and how many ask."""
    material = laboratory.material
    return (
        f"{count:,} vectors of {material.dimension} values, mixes of {material.source}; "
        f"{len(laboratory.queries):,} queries by pictures that are in no mix; k {K}"
    )


def slope(numbers: list[float], values: list[float]) -> float:
    """Of the line through the logarithms."""
    logs = [[math.log(max(one, 1e-9)) for one in some] for some in (numbers, values)]
    return float(np.polyfit(logs[0], logs[1], 1)[0])


def _without_found(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if name != "found"}
