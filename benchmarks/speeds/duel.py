"""One peer in a process of its own: built, tuned to a recall, timed on one core and on all."""

from __future__ import annotations

from bisect import bisect_left
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tll_index.core.config import cores

from .clock import seconds
from .peers import EFFORTS, PEERS, Peer, missing
from .truth import Truth

_SLOW = 0.01
"""Seconds of a query from which on fewer are timed."""
_FEW = 50


def measure(
    peer: str, vectors: str, queries: str, last: list[float], k: int, target: float, saved: str
) -> dict[str, Any]:
    """Build the peer of that name from the .npy file `vectors`, find the least effort that reaches
    recall `target` for the queries in the .npy file `queries`, and time it.

    Args:
        last: the exact score of each query's k-th best vector.
        saved: where the index is written, to be weighed.

    Returns:
        JSON values; only `missing` where its library isn't here.
    """
    make, module, how = PEERS[peer]
    if missing(module):
        return {"missing": how}
    rows = np.load(vectors)
    truth = Truth(rows, np.load(queries), np.asarray(last, np.float32), k)
    searcher = make()
    building = seconds(lambda: searcher.build(rows))
    searcher.save(Path(saved))
    size = Path(saved).stat().st_size
    Path(saved).unlink()
    effort, recall = _tuned(searcher, truth, target)
    result: dict[str, Any] = {
        "build_seconds": building,
        "bytes_per_vector": size / len(rows),
        "recall": recall,
        "effort": effort if searcher.adjustable else None,
        "choice": getattr(searcher, "choice", ""),
    }
    for name, threads in (("one_core_seconds", 1), ("all_cores_seconds", cores())):
        searcher.adjust(effort, threads)
        result[name] = _single(searcher, truth)
    return result


def _tuned(searcher: Peer, truth: Truth, target: float) -> tuple[int, float]:
    """The least effort that reaches `target`, or the most there is, and its recall."""
    some = len(truth.queries) if searcher.adjustable else _FEW

    @cache
    def recall(effort: int) -> float:
        searcher.adjust(effort, cores())
        return truth.recall([searcher.search(ask[None], truth.k) for ask in truth.queries[:some]])

    if not searcher.adjustable:
        return EFFORTS[0], recall(EFFORTS[0])
    least = bisect_left(EFFORTS, target, hi=len(EFFORTS) - 1, key=recall)
    return EFFORTS[least], recall(EFFORTS[least])


def _single(searcher: Peer, truth: Truth) -> float:
    """Median seconds of a query that comes alone."""
    queries = truth.queries
    searcher.search(queries[:1], truth.k)
    if seconds(lambda: searcher.search(queries[:1], truth.k)) > _SLOW:
        queries = queries[:_FEW]
    return median(seconds(partial(searcher.search, ask[None], truth.k)) for ask in queries)
