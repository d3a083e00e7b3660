"""Pairs of pictures that look alike, and which of them are the most striking."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .knn_graph import Neighbourhoods

WEIGHT = 0.5
"""How much being alike in plain features takes from a pair's score."""
_LEAST_DEVIATION = 0.02
"""A few pictures may all be equally alike."""


@dataclass(frozen=True, eq=False)
class Alike:
    """Pairs of pictures that are alike, by numbers of any kind."""

    pairs: NDArray[np.int64]
    """(n, 2)."""
    alike: NDArray[np.float64]
    """(n,): cosines through the lens."""
    plain: NDArray[np.float64]
    """(n,): cosines of plain features; NaN where they aren't known."""

    def rows(self, which: Any) -> Alike:
        """Some of them."""
        return Alike(self.pairs[which], self.alike[which], self.plain[which])


@dataclass(frozen=True)
class BackgroundPairs:
    """Cosines between pictures that have nothing to do with each other: mean and deviation. Plain
    features of one network are all alike, of another they are not."""

    alike: tuple[float, float]
    plain: tuple[float, float]

    @classmethod
    def of(cls, alike: NDArray[np.floating], plain: NDArray[np.floating]) -> BackgroundPairs:
        """From the cosines of random pairs."""

        def measured(some: NDArray[np.floating]) -> tuple[float, float]:
            if not len(some):
                return 0.0, 1.0
            return float(some.mean()), max(float(some.std()), _LEAST_DEVIATION)

        return cls(measured(alike), measured(plain))

    def plainness(self, plain: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n,): in deviations."""
        mean, deviation = self.plain
        return (plain - mean) / deviation

    def scores(self, found: Alike, weight: float = WEIGHT) -> NDArray[np.float64]:
        """(n,): how striking pairs are."""
        mean, deviation = self.alike
        return (found.alike - mean) / deviation - weight * self.plainness(found.plain)


def each_once(found: Alike, scores: NDArray[np.float64]) -> Alike:
    """Best scores (n,) first, without pairs of which a picture was in a better one; equal scores in
    their order."""
    taken: set[int] = set()
    best = []
    for row in np.argsort(-scores, kind="stable").tolist():
        both = set(found.pairs[row].tolist())
        if not both & taken:
            taken |= both
            best.append(row)
    return found.rows(best)


def mutual(blocks: Iterable[Neighbourhoods]) -> Alike:
    """Pairs of which each is among the nearest of the other, the most alike first."""
    parts, cosines = [np.empty((0, 2), np.int64)], [np.empty(0)]
    for block in blocks:
        row, column = np.nonzero(block.cosines > 0)
        parts.append(np.stack([block.images[row], block.others[row, column]], 1))
        cosines.append(block.cosines[row, column])
    ordered = np.sort(np.concatenate(parts), axis=1)
    both, first, times = np.unique(ordered, axis=0, return_index=True, return_counts=True)
    alike = np.concatenate(cosines)[first]
    order = np.argsort(-alike, kind="stable")
    order = order[times[order] == 2]
    return Alike(both[order], alike[order], np.full(len(order), np.nan))
