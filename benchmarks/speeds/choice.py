"""The row about which index is chosen: exact or in lists, timed side by side at several sizes."""

from __future__ import annotations

from typing import Any

from tll_index.engine.search.faiss_index import plan

from .apart import apart
from .findings import Finding
from .laboratory import K, Laboratory
from .vectors import MEMORY, about

SLOWEST_EXACT = 0.002


def choice(laboratory: Laboratory) -> Finding:
    """What `auto` takes at each size, next to what it does not."""
    sizes, rows = laboratory.sizes.choice, []
    laboratory.progress.start("exact and lists", 2 * len(sizes), "indexes")
    for count in sizes:
        auto = plan(count, laboratory.material.dimension, MEMORY)
        row: dict[str, Any] = {"vectors": count, "auto": "flat" if auto.exact else "ivf"}
        for index in ("flat", "ivf"):
            row[index] = _timed(laboratory, count, index)
            laboratory.progress.advance()
        rows.append(row)
    exact = [row["flat"]["numbers_seconds"] for row in rows if row["auto"] == "flat"]
    lists = [row for row in rows if row["auto"] == "ivf"]
    slowest = max(exact, default=0.0)
    quicker = all(row["ivf"]["numbers_seconds"] < row["flat"]["numbers_seconds"] for row in lists)
    return Finding(
        slowest,
        slowest <= SLOWEST_EXACT and quicker,
        {"sizes": rows},
        f"{about(laboratory, max(sizes))}; numbers and exact scores, without paths; medians; "
        "measured: the slowest of the sizes where auto is exact",
    )


def _timed(laboratory: Laboratory, count: int, index: str) -> dict[str, Any]:
    store: dict[str, Any] = {"store": str(laboratory.store(count).path), "memory": MEMORY}
    built = apart("ours:build_index", **store, index=index).result
    asked = apart("ours:ask", **store, queries=str(laboratory.asks_file), k=K).result
    return {
        "kind": built["index"],
        "build_seconds": built["seconds"],
        "numbers_seconds": asked["numbers_seconds"],
        "with_paths_seconds": asked["median_seconds"],
        "recall": laboratory.truth(count).recall(asked["found"]),
    }
