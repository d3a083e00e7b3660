"""Hubness correction (CSLS): what keeps pictures that resemble everything out of every result.

In high dimensions a few vectors, the hubs, are near neighbours of very many others. A gallery
picture therefore loses a part of the mean cosine between it and the queries that are nearest to it,
as in CSLS (Conneau et al. 2018, arXiv 1710.04087); the other half of CSLS, which depends on the
query alone, ranks nothing and is left out:

    score(query, picture) = cosine(query, picture) - weight * crowding(picture)

Two more dimensions make this an inner product of unit vectors, so any index can rank by it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...core.errors import LensError


@dataclass(frozen=True, eq=False)
class HubnessCorrection:
    """A rule for what a gallery picture loses for being near to many queries."""

    bank: UnitVectors
    """(b, d): embeddings of queries, such as the left pictures of the training pairs."""
    neighbours: int
    """How many of them count for each gallery picture: the nearest."""
    weight: float
    """Of their mean cosine, how much is lost; above 0."""

    def __post_init__(self) -> None:
        if self.bank.ndim != 2 or self.bank.dtype != np.float32 or not np.isfinite(self.bank).all():
            raise LensError(f"lens: bank is {self.bank.dtype}{self.bank.shape}, not unit vectors")
        if not (1 <= self.neighbours <= len(self.bank) and 0 < self.weight < math.inf):
            raise LensError(
                f"lens: {self.neighbours} neighbours of {len(self.bank)} with weight {self.weight} "
                "are no hubness correction"
            )

    def crowding(self, vectors: UnitVectors) -> NDArray[np.float32]:
        """(n, d) -> (n,): the mean cosine to the nearest of the bank, in [-1, 1]."""
        return np.clip(self.nearest_mean(vectors @ self.bank.T), -1, 1)

    def nearest_mean(self, likeness: NDArray[np.floating]) -> NDArray[np.floating]:
        """(n, b), to each of the bank -> (n,): the mean of the nearest."""
        near = np.partition(likeness, -self.neighbours, axis=1)[:, -self.neighbours :]
        mean: NDArray[np.floating] = near.mean(axis=1)
        return mean

    def gallery(self, vectors: UnitVectors) -> UnitVectors:
        """(n, d) -> (n, d + 2): what a store keeps. The last dimension only keeps the length at
        1."""
        crowding = self.crowding(vectors)[:, None]
        lost, rest = self.weight * crowding, self.weight * np.sqrt(1 - crowding**2)
        return np.hstack([vectors, -lost, rest]).astype(np.float32) / self._gallery_length

    def queries(self, vectors: UnitVectors) -> UnitVectors:
        """(n, d) -> (n, d + 2): what a query searches with."""
        one, zero = np.ones((len(vectors), 1)), np.zeros((len(vectors), 1))
        return np.hstack([vectors, one, zero]).astype(np.float32) / self._query_length

    def plain_queries(self, vectors: UnitVectors) -> UnitVectors:
        """(n, d) -> (n, d + 2): what searches by cosine alone, whatever pictures lose."""
        return np.pad(vectors, ((0, 0), (0, 2))).astype(np.float32, copy=False)

    def embeddings_of(self, gallery: UnitVectors) -> UnitVectors:
        """(n, d + 2) as `gallery` returns them -> (n, d): what they were made from."""
        return gallery[:, :-2] * self._gallery_length

    @property
    def scale(self) -> float:
        """A score is this times the inner product of query and gallery embedding."""
        return float(self._gallery_length * self._query_length)

    @property
    def _gallery_length(self) -> np.float32:
        return np.float32(math.sqrt(1 + self.weight**2))

    @property
    def _query_length(self) -> np.float32:
        return np.float32(math.sqrt(2))
