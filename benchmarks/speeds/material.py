"""Vectors like those of real pictures, as many as are wanted: pictures, crops, and mixes of them.

What a lens makes of features before it scales them to length 1 is linear, so a mix of pictures'
features, with weights that sum to 1, has the same mix of what the lens makes of each. A picture is
therefore embedded once, whole and as one crop by chance, and any number of vectors is mixed of
them, exactly as if the features had been mixed: two or three at a time, with weights by chance.

Some pictures are held out, with their crops: they are in no mix, and only ask.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from tll_index.core.config import cores
from tll_index.core.contracts import Features, UnitVectors
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit

from .findings import NotMeasurableError

BLOCK = 20_000
"""Vectors that are drawn with one seed."""
_STEP = 2048
"""Vectors whose crowding is computed at once: a small part of a core's cache more is slower."""


def projected(lens: Lens, features: Features) -> NDArray[np.float32]:
    """(n, D) -> (n, d): all that the lens does before it scales to length 1.

    Raises:
        NotMeasurableError: that is not linear.
    """
    if lens.relu:
        raise NotMeasurableError("the lens has a ReLU: mixes of features aren't mixes of vectors")
    values = features if lens.mean is None else features - lens.mean
    for matrix in (lens.components, lens.adaptation):
        if matrix is not None:
            values = values @ matrix.T
    return values.astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class Material:
    """What vectors are made of; the same seed makes the same ones, and fewer are the first of
    more."""

    lens: Lens
    base: NDArray[np.float32]
    """(r, d): pictures and crops, projected, in an order by chance."""
    held_out: NDArray[np.float32]
    """(q, d): those that only ask."""
    source: str
    """What the pictures are."""
    seed: int = 0

    @property
    def dimension(self) -> int:
        """Of the stored vectors."""
        return self.lens.dimension

    def queries(self, count: int) -> UnitVectors:
        """(count or fewer, dimension) float32: what held-out pictures ask with."""
        vectors = unit(self._order(self.held_out)[:count])
        return vectors if self.lens.csls is None else self.lens.csls.queries(vectors)

    def block(self, number: int) -> UnitVectors:
        """(BLOCK, dimension) float32: the stored vectors from `number * BLOCK` on."""
        mixed = self.mixes(number)
        if self.lens.csls is None:
            return unit(mixed)
        parts = (unit(mixed[at : at + _STEP]) for at in range(0, BLOCK, _STEP))
        return np.concatenate([self.lens.csls.gallery(part) for part in parts])

    def mixes(self, number: int) -> NDArray[np.float32]:
        """(BLOCK, d): the same before it is scaled to length 1."""
        of, weights = self.drawn(number)
        mixed: NDArray[np.float32] = np.einsum("nj,njd->nd", weights, self._shuffled[of])
        return mixed

    def drawn(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(BLOCK, 3) rows of the base, in the order by chance, and their weights, which sum to 1.
        The first vectors of all are the base itself."""
        generator = np.random.default_rng((self.seed, number))
        of = generator.integers(0, len(self.base), (BLOCK, 3))
        weights = generator.exponential(size=(BLOCK, 3))  # scaled to sum 1: even over all mixes
        weights[generator.random(BLOCK) < 0.5, 2] = 0
        first = np.arange(number * BLOCK, min((number + 1) * BLOCK, len(self.base)))
        of[: len(first), 0] = first
        weights[: len(first)] = 1, 0, 0
        weights /= weights.sum(axis=1, keepdims=True)
        return of, weights.astype(np.float32)

    def blocks(self, count: int) -> Iterator[UnitVectors]:
        """The first `count` stored vectors, block by block, made ahead on all cores."""
        numbers = iter(range(-(-count // BLOCK)))
        ahead: list[Future[UnitVectors]] = []
        with ThreadPoolExecutor(cores()) as threads:
            while True:
                wanted = cores() + 1 - len(ahead)
                ahead += [threads.submit(self.block, one) for one in islice(numbers, wanted)]
                if not ahead:
                    return
                made = ahead.pop(0).result()[:count]
                count -= len(made)
                yield made

    @cached_property
    def _shuffled(self) -> NDArray[np.float32]:
        return self._order(self.base)

    def _order(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows[np.random.default_rng(self.seed).permutation(len(rows))]
