"""What positions gave to a layer's vector: held against torch, against sums, and by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tll_index.engine.backbones import pooling
from tll_index.engine.backbones.registry import Layer, Pool
from tll_index.engine.explain.shares import pooled, shared_out

POOLS = st.lists(
    st.builds(Pool, st.sampled_from(["mean", "std"]), st.integers(1, 4)), min_size=1, max_size=4
)

Values = NDArray[np.float64]


def cells(side: int, grid: int) -> list[slice]:
    """Every position that a cell touches is in it."""
    return [slice(side * i // grid, math.ceil(side * (i + 1) / grid)) for i in range(grid)]


def by_cells(maps: Values, layer: Layer, worth: Values, centre: Values) -> Values:
    """What `shared_out` gives, cut out cell by cell."""
    shared, at = np.zeros((len(maps), *maps.shape[2:])), 0
    for pool in layer.pools:
        for row in cells(maps.shape[2], pool.grid):
            for column in cells(maps.shape[3], pool.grid):
                part = maps[:, :, row, column]
                count = part[0, 0].size
                if pool.statistic == "std":
                    deviations = part.std((2, 3), keepdims=True)
                    part = (part - part.mean((2, 3), keepdims=True)) ** 2
                    part = part / np.where(deviations > 0, deviations, 1)
                one = slice(at, at + layer.channels)
                lost = (worth[:, one] * centre[:, one]).sum(1)[:, None, None]
                parts = (worth[:, one, None, None] * part).sum(1)
                shared[:, row, column] += (parts - lost) / count
                at += layer.channels
    return shared


@settings(max_examples=80, deadline=None)
@given(
    height=st.integers(1, 9), width=st.integers(1, 9), pools=POOLS, seed=st.integers(0, 2**32 - 1)
)
def test_it_is_what_networks_pool_and_adds_up(
    height: int, width: int, pools: list[Pool], seed: int
) -> None:
    layer = Layer("some", 3, tuple(pools))
    random = np.random.default_rng(seed)
    maps = random.normal(size=(2, 3, height, width))
    maps[1] = maps[1, :, :1, :1]  # without any deviation
    worth, centre = random.normal(size=(2, 2, layer.width))
    vectors = pooled(maps, layer)
    assert vectors.shape == (2, layer.width) and vectors.dtype == np.float64
    by_torch = pooling.pooled(torch.from_numpy(maps), layer).numpy()
    # A deviation is the root of a difference there: where it is 0, 1e-8 is left below the root.
    assert np.allclose(vectors, by_torch, rtol=0, atol=1e-6)
    shared = shared_out(maps, layer, worth, centre)
    assert shared.shape == (2, height, width)
    assert np.allclose(shared, by_cells(maps, layer, worth, centre), rtol=0, atol=1e-12)
    whole = (worth * (vectors - centre)).sum(1)
    assert np.allclose(shared.sum((1, 2)), whole, rtol=0, atol=1e-11)


def test_tokens_of_torch_lie_otherwise_in_memory() -> None:
    tokens = np.random.default_rng(3).normal(size=(2, 9, 5))
    maps = tokens.transpose(0, 2, 1).reshape(2, 5, 3, 3)
    layer = Layer("block", 5, (Pool(grid=2), Pool("std")))
    worth = np.ones((2, layer.width))
    one, other = (
        shared_out(some, layer, worth, worth) for some in (maps, np.ascontiguousarray(maps))
    )
    assert np.allclose(one, other, rtol=0, atol=1e-12)


def test_by_hand() -> None:
    maps = np.array([[[[1.0, 3.0, 0.0, 0.0]]]])

    def shared(pool: Pool, worth: list[float], centre: float = 0) -> list[float]:
        values = np.array([worth], np.float64)
        layer = Layer("some", 1, (pool,))
        found: list[float] = shared_out(maps, layer, values, np.full_like(values, centre))[0, 0]
        return list(found)

    assert shared(Pool(), [2]) == [0.5, 1.5, 0, 0]
    assert shared(Pool(), [2], centre=1) == [0, 1, -0.5, -0.5]
    left_worth = [2, 0, 0, 0]  # a row of two cells; the second row of cells is the same row again
    assert shared(Pool(grid=2), left_worth) == [1, 3, 0, 0]
    deviation = 1.5**0.5  # around a mean of 1: (0 + 4 + 1 + 1) / 4
    shares = [0, 4 / 4 / deviation, 1 / 4 / deviation, 1 / 4 / deviation]
    assert shared(Pool("std"), [1]) == pytest.approx(shares)
    with pytest.raises(ValueError, match="class token of some has no position"):
        shared(Pool("class"), [1])


def test_maps_of_another_layer() -> None:
    with pytest.raises(ValueError, match="x has 4 channels, not 3"):
        pooled(np.zeros((1, 4, 2, 2)), Layer("x", 3))
