"""Candidates whose match nobody has told: who is whose, as a lens sees it.

Each left picture is offered some right ones, one of which is its match, and no right picture is the
match of two. That says more than the lens alone: a right picture that many could be matched with is
claimed by one of them, and lost to the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

TEMPERATURE = 0.06
"""Scores are divided by it before they are exponentiated: with it, what the lens holds for likely
is as often right as it says, on lists made of labelled pairs."""

_ROUNDS = 100
_FLOOR = 1e-12


@dataclass(frozen=True, eq=False)
class Offered:
    """Candidates among pictures without labels, by their rows there."""

    queries: NDArray[np.int64]
    """(m,): the left pictures; each is there once."""
    gallery: NDArray[np.int64]
    """(m, c): what each is offered."""

    def __len__(self) -> int:
        return len(self.queries)


@dataclass(frozen=True, eq=False)
class Guessed:
    """Pairs that a lens made of candidates: row i of `queries` and `gallery` is pair i."""

    queries: NDArray[np.int64]
    """(p,), rows as in `Offered`."""
    gallery: NDArray[np.int64]
    """(p,)"""
    weights: NDArray[np.float32]
    """(p,): how likely each is, 0 to 1."""


def guess(offered: Offered, scores: NDArray[np.floating]) -> Guessed:
    """The most likely one-to-one assignment of left pictures to candidates of theirs.

    Args:
        scores: (m, c), larger is more alike: of each candidate.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_bipartite_matching, min_weight_full_bipartite_matching

    names, columns = np.unique(offered.gallery, return_inverse=True)
    m, c = offered.gallery.shape
    columns = columns.reshape(m, c)
    chances = likelihoods(scores, columns, len(names))
    cost = 1 - np.log(chances + _FLOOR)  # above 0: an entry of 0 would be no edge
    edges = csr_array(
        (cost.ravel(), columns.ravel(), np.arange(0, m * c + 1, c)), shape=(m, len(names))
    )
    try:
        rows, chosen = min_weight_full_bipartite_matching(edges)
    except ValueError:  # some can have none of theirs: as many as possible then
        chosen = maximum_bipartite_matching(edges, perm_type="column")
        rows = np.flatnonzero(chosen >= 0)
        chosen = chosen[rows]
    column = (columns[rows] == chosen[:, None]).argmax(axis=1)
    return Guessed(
        offered.queries[rows],
        offered.gallery[rows, column],
        chances[rows, column].astype(np.float32),
    )


def likelihoods(
    scores: NDArray[np.floating], columns: NDArray[np.int64], count: int
) -> NDArray[np.float64]:
    """(m, c): how likely each candidate is the match; each row adds up to 1.

    Sinkhorn's iteration (Sinkhorn & Knopp 1967) over the candidates alone: `columns` (m, c) says
    which of `count` right pictures each is, and each of those is the match of one left picture, or
    of nobody where there are more of them than of left ones.
    """
    weights = np.exp((scores - scores.max(axis=1, keepdims=True)) / TEMPERATURE)
    nobody = max(0, count - len(columns))
    share = np.ones(count)
    for _ in range(_ROUNDS):
        rows = 1 / (weights * share[columns]).sum(axis=1)
        claimed = np.bincount(columns.ravel(), (rows[:, None] * weights).ravel(), count)
        share = 1 / (claimed + nobody / share.sum())
    result: NDArray[np.float64] = weights * share[columns]
    return result / result.sum(axis=1, keepdims=True)
