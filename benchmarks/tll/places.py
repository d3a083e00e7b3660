"""Where each match stands among the right pictures of its fold: top-k curves, telling pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tll_index.engine.evaluation.metrics import FOILS, expected_top_k
from tll_index.engine.lens.experiment import CrossValidation, PairData
from tll_index.engine.lens.half_precision import applied
from tll_index.engine.search.search import nearest, new_index


@dataclass(frozen=True, eq=False)
class MatchRanks:
    """Of every pair, as judged by the lens that has not seen it; (n,) each."""

    better: NDArray[np.int64]
    """How many other right pictures of its fold score higher than the match."""
    first: NDArray[np.int64]
    """Which pair's right picture comes first."""
    margin: NDArray[np.float64]
    """Score of the match less that of the best other; below 0 where it is not found."""
    among: NDArray[np.int64]
    """How many right pictures the fold has."""
    top_k: list[float]
    """Expected share of matches among the k best of 20 candidates, k from 1 to 20."""


def places(material: PairData, judged: CrossValidation) -> MatchRanks:
    """Rank the right pictures of each fold as a query would."""
    count = len(material.pairs)
    better, first, among = (np.zeros(count, np.int64) for _ in range(3))
    margin, chances = np.zeros(count), np.zeros((FOILS + 1, count))
    for fit, rows in zip(judged.fits, judged.rows, strict=True):
        queries = applied(fit.lens.encode_query, material.features.left[rows])
        gallery = applied(fit.lens.encode_gallery, material.features.right[rows])
        index = new_index(gallery.shape[1])
        index.add_with_ids(gallery, rows)
        found = nearest(index, queries, len(rows))
        is_match = found.ids == rows[:, None]
        own, others = found.scores[is_match], found.scores[~is_match].reshape(len(rows), -1)
        better[rows] = (others > own[:, None]).sum(axis=1)
        ties = (others == own[:, None]).sum(axis=1)
        first[rows] = found.ids[:, 0]
        margin[rows] = (own - others[:, 0]) * fit.lens.scale
        among[rows] = len(rows)
        for k in range(1, FOILS + 2):
            chances[k - 1, rows] = expected_top_k(better[rows], ties, len(rows) - 1, k=k)
    return MatchRanks(better, first, margin, among, chances.mean(axis=1).tolist())


def best(ours: MatchRanks, count: int) -> list[int]:
    """Pairs found with the widest margin."""
    return np.argsort(-ours.margin, kind="stable")[:count].tolist()


def worst(ours: MatchRanks, count: int) -> list[int]:
    """Pairs whose match stands farthest down, by the margin among equals."""
    return np.lexsort((ours.margin, -ours.better / ours.among))[:count].tolist()


def surprising(ours: MatchRanks, plain: MatchRanks, count: int) -> list[int]:
    """Pairs that ours finds first though plain cosine puts them far down, the farthest first."""
    found = np.flatnonzero((ours.better == 0) & (plain.better > 0))
    order = np.lexsort((-ours.margin[found], -plain.better[found] / plain.among[found]))
    return found[order][:count].tolist()
