"""Made-up features of look-alikes: what a pair shares is little, and the rest is larger."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

import tiny
from tll_index.engine.backbones.registry import Layer, Pool
from tll_index.engine.lens.training import PairFeatures

SPEC = replace(
    tiny.SPEC,
    name="made-up",
    layers=(
        Layer("early", 20, (Pool(), Pool("std"))),
        Layer("middle", 10, (Pool(grid=2),)),
        Layer("late", 40),
    ),
)
"""120 features in four blocks, from no network."""


def pairs(count: int, seed: int = 0, shared: int = 6, noise: float = 0.5) -> PairFeatures:
    """Pairs of SPEC's features. Those of any seed come from the same process: `shared` directions
    in which the two pictures of a pair agree but for `noise`, under 20 louder ones in which all
    pictures differ. Each feature has a size and a mean of its own."""
    process = np.random.default_rng(99)
    width = SPEC.dimension
    hidden, loud = process.normal(size=(shared, width)), process.normal(size=(20, width))
    size, mean = process.uniform(0.5, 2, width), process.normal(size=width)
    random = np.random.default_rng(seed)
    meaning = random.normal(size=(count, shared))

    def side() -> np.ndarray:
        own = meaning + noise * random.normal(size=(count, shared))
        values = own @ hidden + 2 * random.normal(size=(count, 20)) @ loud
        values += 2 * random.normal(size=(count, width))
        return ((values + mean) * size).astype(np.float32)

    return PairFeatures(side(), side())


def times(factor: float | np.ndarray, some: PairFeatures) -> PairFeatures:
    left, right = (np.float32(factor) * side for side in (some.left, some.right))
    return PairFeatures(left.astype(np.float32), right.astype(np.float32))
