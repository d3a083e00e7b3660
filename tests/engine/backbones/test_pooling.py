"""Pooling by cells, held against NumPy: which positions a cell has, what is made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from tll_index.engine.backbones.pooling import pooled
from tll_index.engine.backbones.registry import Layer, Pool

POOLS = st.builds(Pool, st.sampled_from(["mean", "std"]), st.integers(1, 4))


def cells(side: int, grid: int) -> list[tuple[int, int]]:
    """Where each cell of a side begins and ends: every position that it touches is in it."""
    return [(side * i // grid, math.ceil(side * (i + 1) / grid)) for i in range(grid)]


def by_hand(maps: NDArray[np.float32], layer: Layer) -> NDArray[np.float64]:
    """Pool after pool, row after row of cells, cell after cell, channel after channel."""
    values = []
    for pool in layer.pools:
        statistic = np.mean if pool.statistic == "mean" else np.std
        for top, bottom in cells(maps.shape[2], pool.grid):
            for left, right in cells(maps.shape[3], pool.grid):
                part = maps[:, :, top:bottom, left:right].astype(np.float64)
                values.append(statistic(part, axis=(2, 3)))
    return np.concatenate(values, axis=1)


@settings(max_examples=80, deadline=None)
@given(
    height=st.integers(1, 13),
    width=st.integers(1, 13),
    channels=st.integers(1, 5),
    pools=st.lists(POOLS, min_size=1, max_size=4),
    seed=st.integers(0, 999),
)
def test_it_is_numpys(height: int, width: int, channels: int, pools: list[Pool], seed: int) -> None:
    layer = Layer("any", channels, tuple(pools))
    random = np.random.default_rng(seed)
    maps = random.normal(0.5, 1, (2, channels, height, width)).astype(np.float32)
    vectors = pooled(torch.from_numpy(maps), layer).numpy()
    assert vectors.shape == (2, layer.width) and vectors.dtype == np.float32
    # A deviation is the root of a difference: where it is 0, float32 leaves 1e-7 below the root.
    assert np.allclose(vectors, by_hand(maps, layer), atol=3e-3)


def test_cells_overlap_where_the_side_is_no_multiple() -> None:
    assert cells(10, 3) == [(0, 4), (3, 7), (6, 10)]
    maps = torch.arange(100.0).reshape(1, 1, 10, 10)
    rows = [15 + 1.5 + row * 30 for row in (0, 1, 2)]  # the mean of 4 x 4 from (3 row, 0)
    expected = [[mean + 3 * column for mean in rows for column in (0, 1, 2)]]
    assert pooled(maps, Layer("any", 1, (Pool(grid=3),))).tolist() == expected


def test_order_of_values() -> None:
    """(channel, row, column) of 2 x 2 maps is told by its digits."""
    digits = [[[100 * c + 10 * y + x for x in (1, 2)] for y in (1, 2)] for c in (1, 2)]
    maps = torch.tensor([digits], dtype=torch.float32)
    layer = Layer("any", 2, (Pool(grid=2), Pool(), Pool("std")))
    means = [111, 211, 112, 212, 121, 221, 122, 222, 116.5, 216.5]
    vector = pooled(maps, layer)[0]
    assert vector[:10].tolist() == means
    assert vector[10:].tolist() == pytest.approx([math.sqrt(25.25)] * 2, rel=1e-4)


@pytest.mark.parametrize("value", [0.0, 1.0, -2.5, 3.3, 1e-3, 40.1])
@pytest.mark.parametrize("grid", [1, 2, 3])
def test_nothing_deviates_in_constant_maps(value: float, grid: int) -> None:
    vectors = pooled(torch.full((2, 3, 10, 10), value), Layer("any", 3, (Pool("std", grid),)))
    assert (vectors >= 0).all() and (vectors <= 1e-3 * abs(value)).all()  # never NaN
    if value in (0, 1, -2.5):
        assert (vectors == 0).all()


def test_widths_of_a_layer() -> None:
    layer = Layer("any", 5, (Pool(grid=3), Pool(), Pool("std", 2)))
    assert list(layer.blocks()) == [45, 5, 20] and layer.width == 70
    assert Layer("any", 7).width == 7


def test_tokens_are_a_map_and_the_class_token_stands_apart() -> None:
    """(n, tokens, channels): two tokens without a place, then the rows of a square of 3 x 3."""
    tokens = np.random.default_rng(4).normal(size=(2, 2 + 9, 5)).astype(np.float32)
    maps = tokens[:, 2:].reshape(2, 3, 3, 5).transpose(0, 3, 1, 2)
    pools = (Pool(), Pool("std"), Pool(grid=3))
    layer = Layer("block", 5, (*pools, Pool("class")))
    ours = pooled(torch.from_numpy(tokens), layer, prefix=2).numpy()
    expected = [by_hand(maps, Layer("block", 5, pools)), tokens[:, 0]]
    assert ours.shape == (2, layer.width)
    assert np.allclose(ours, np.concatenate(expected, axis=1), atol=1e-5)


def test_a_vector_is_a_map_of_one_position() -> None:
    vector = torch.arange(6.0).reshape(2, 3)
    assert (pooled(vector, Layer("embedding", 3)) == vector).all()
    assert (pooled(vector, Layer("embedding", 3, (Pool("std"),))) == 0).all()


@pytest.mark.parametrize(
    ("shape", "layer", "prefix", "says"),
    [
        ((1, 4, 2, 2), Layer("x", 3), 0, "x has 4 channels, not 3"),
        ((1, 5, 4), Layer("x", 5), 1, "x has 4 channels, not 5"),
        ((1, 6, 4), Layer("x", 4), 1, "x has 5 tokens, which make no square"),
        ((1, 4, 4), Layer("x", 4, (Pool("class"),)), 0, "x has no class token"),
        ((1, 4, 2, 2), Layer("x", 4, (Pool("class"),)), 1, "x has no class token"),
        ((1, 4), Layer("x", 4, (Pool("class"),)), 1, "x has no class token"),
    ],
)
def test_activations_that_are_not_the_layers(
    shape: tuple[int, ...], layer: Layer, prefix: int, says: str
) -> None:
    with pytest.raises(ValueError, match=says):
        pooled(torch.zeros(shape), layer, prefix)
