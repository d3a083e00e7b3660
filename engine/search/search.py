"""Vectors -> ranked neighbours: the one place that ranks. FAISS is loaded where it searches."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...core.threads import one_faiss_thread

if TYPE_CHECKING:
    import faiss

SCORE_DECIMALS = 6
"""Scores closer than this are ties: float32 sums differ by less between batch sizes."""


@dataclass(frozen=True)
class Neighbours:
    """The best of an index for a batch of queries, best first."""

    ids: NDArray[np.int64]
    """(n, k); -1 where the index holds fewer than k."""
    scores: NDArray[np.float64]
    """(n, k) inner products, rounded to `SCORE_DECIMALS`; -inf where the id is -1."""


def new_index(dimension: int) -> faiss.IndexIDMap2:
    """An empty exact inner-product index whose rows are called by ids of our own."""
    import faiss

    return faiss.IndexIDMap2(faiss.IndexFlatIP(dimension))


def ranked(query: NDArray[np.float32], ids: NDArray[np.int64], vectors: UnitVectors) -> Neighbours:
    """All of the candidates `ids` (c,), with their exact `vectors` (c, d), by inner product with
    `query` (d,), summed in float64: a vector has the same score whatever is beside it, and whatever
    found it."""
    products = np.einsum("ij,j->i", vectors.astype(np.float64), query.astype(np.float64))
    return _best_first(ids, products.round(SCORE_DECIMALS))


def merged(parts: Sequence[Neighbours]) -> Neighbours:
    """The neighbours of one query that were found in several indexes, best first."""
    ids = np.concatenate([part.ids[0] for part in parts])
    return _best_first(ids, np.concatenate([part.scores[0] for part in parts]))


def first(found: Neighbours, k: int) -> Neighbours:
    """The best `k` of each query."""
    return Neighbours(found.ids[:, :k], found.scores[:, :k])


def _best_first(ids: NDArray[np.int64], scores: NDArray[np.float64]) -> Neighbours:
    """Those of one query (c,), in order; equal scores in order of id."""
    order = np.lexsort((ids, -scores))
    return Neighbours(ids[order][None], scores[order][None])


def products(
    queries: UnitVectors, gallery: UnitVectors, offered: NDArray[np.int64]
) -> NDArray[np.float32]:
    """(n, c): the inner product of each of `queries` (n, d) with the gallery rows (m, d) that it is
    offered: rows `offered` (n, c) of them."""
    return np.stack([gallery[some] @ query for query, some in zip(queries, offered, strict=True)])


def nearest(index: faiss.Index, queries: UnitVectors, k: int) -> Neighbours:
    """The `k` rows of `index` with the largest inner product, for each of `queries` (n, d).

    Equal scores are in order of id here; callers that know better (paths) sort again.
    """
    k = min(k, index.ntotal)
    if k == 0 or len(queries) == 0:
        empty = (len(queries), 0)
        return Neighbours(np.empty(empty, np.int64), np.empty(empty, np.float64))
    with one_faiss_thread() if len(queries) == 1 else nullcontext():
        products, ids = index.search(np.ascontiguousarray(queries, np.float32), k)
    scores = np.where(ids >= 0, np.round(products.astype(np.float64), SCORE_DECIMALS), -np.inf)
    order = np.lexsort((ids, -scores), axis=1)
    return Neighbours(
        np.take_along_axis(ids, order, axis=1), np.take_along_axis(scores, order, axis=1)
    )
