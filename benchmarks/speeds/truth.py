"""Exact answers, and how many of them an index finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tll_index.core.contracts import UnitVectors
from tll_index.core.progress import Progress

TIE = 1e-6
"""Scores closer than this are equal: sums in float32 differ by less."""
_ROWS = 250_000


@dataclass(frozen=True, eq=False)
class Truth:
    """The best of `vectors` for each of `queries`."""

    vectors: NDArray[np.float32]
    queries: UnitVectors
    last: NDArray[np.float32]
    """(n,): the score of each ask's k-th best vector."""
    k: int

    def recall(self, found: Sequence[Sequence[int] | NDArray[np.int64]]) -> float:
        """The share of the k best that `found` has, a list of rows for each of the first asks. Any
        vector that scores as the k-th best does counts as one of them, once."""
        hits = []
        for ask, last, rows in zip(self.queries, self.last, found, strict=False):
            mine = sorted({int(row) for row in rows[: self.k] if row >= 0})
            scores = self.vectors[mine] @ ask
            hits.append(np.count_nonzero(scores >= last - TIE) / self.k)
        return float(np.mean(hits))


def exact(vectors: NDArray[np.float32], queries: UnitVectors, k: int, progress: Progress) -> Truth:
    """Compare all of `queries` (n, d) with all of `vectors` (m, d), which may lie on the disk;
    `k` is at most m."""
    import faiss

    best = np.full((len(queries), k), -np.inf, np.float32)
    progress.start(f"exact answers among {len(vectors):,}", len(vectors), "vectors")
    for at in range(0, len(vectors), _ROWS):
        some = np.ascontiguousarray(vectors[at : at + _ROWS])
        scores, _ = faiss.knn(queries, some, min(k, len(some)), metric=faiss.METRIC_INNER_PRODUCT)
        best = np.sort(np.hstack([best, scores]), axis=1)[:, -k:]
        progress.advance(len(some))
    return Truth(vectors, queries, best[:, 0].copy(), k)
