"""Whole numbers for weights: never beyond what 16 bits hold, and the best sum of a window."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tll_index.engine.backbones.bundled import graph_file
from tll_index.engine.backbones.bundled.quantize import CORRELATION, TOP, rounded, scales
from tll_index.engine.backbones.registry import BEST, DEFAULT, spec_of

SMALL = st.floats(-20, 20, width=32)
WINDOWS = npst.arrays(np.float32, (5, 3, 3, 3), elements=SMALL)
COLUMNS = npst.arrays(np.float32, (5, 8, 1, 1), elements=SMALL)
NO_BIAS = np.zeros(5, np.float32)


def most_of_two(whole: np.ndarray) -> int:
    """The largest size of two products that some processors add in 16 bits, of bytes of 255."""
    flat = whole.reshape(len(whole), -1).astype(int)
    if whole.shape[-1] == 1:
        return int(255 * np.abs(flat[:, :-1] + flat[:, 1:]).max())
    ordered = np.sort(flat, axis=1)
    return int(255 * max((ordered[:, -2:].sum(1)).max(), -(ordered[:, :2].sum(1)).min()))


@given(WINDOWS | COLUMNS)
def test_two_neighbours_never_saturate(weights: np.ndarray) -> None:
    scale = scales(weights, 1, NO_BIAS, 1.0)
    whole = rounded(weights, scale)
    assert np.abs(whole.astype(int)).max() <= TOP
    assert most_of_two(whole) <= np.iinfo(np.int16).max


@given(WINDOWS)
def test_each_weight_is_one_of_its_two_neighbours(weights: np.ndarray) -> None:
    scale = scales(weights, 1, NO_BIAS, 1.0)
    exact = weights.astype(float) / scale[:, None, None, None].astype(float)
    assert np.abs(rounded(weights, scale) - exact).max() < 1 + 1e-6


def test_a_smooth_surface_is_seen_as_it_is() -> None:
    """Of an edge detector, whose sum is near 0, rounding one by one would change what it makes of
    an even surface; here the error of a window is least for pixels that are alike."""
    weights = np.random.default_rng(0).normal(size=(64, 3, 3, 3)).astype(np.float32)
    weights -= weights.mean((1, 2, 3), keepdims=True)
    scale = scales(weights, 1, np.zeros(64, np.float32), 1.0)
    exact = weights / scale[:, None, None, None]
    ours, usual = rounded(weights, scale) - exact, np.round(exact) - exact
    rng = np.random.default_rng(1)
    shared = rng.normal(size=(4000, 1))
    windows = np.sqrt(CORRELATION) * shared + np.sqrt(1 - CORRELATION) * rng.normal(size=(4000, 27))

    def error(of_each: np.ndarray) -> float:
        return float(((windows @ of_each.reshape(64, -1).T) ** 2).mean())

    assert error(ours) < error(usual) / 4


def test_a_dead_filter_with_a_large_bias() -> None:
    """Its bias must fit into 32 bits."""
    weights, bias = np.zeros((5, 8, 1, 1), np.float32), np.full(5, 1e6, np.float32)
    scale = scales(weights, 1, bias, 1 / 127.5)
    assert np.isfinite(scale).all() and (np.abs(bias / (scale / 127.5)) < 2**31).all()
    assert not rounded(weights, scale).any()


@pytest.mark.parametrize(("name", "count"), [(DEFAULT, 48), (BEST, 48 + 63)])
def test_no_convolution_of_the_shipped_networks_saturates(name: str, count: int) -> None:
    """So features do not depend on the processor: sums of products are exact on all of them."""
    onnx = pytest.importorskip("onnx")
    model = onnx.load(str(graph_file(spec_of(name).graph or "")))
    groups = {
        node.input[1].removesuffix("/real"): next(a.i for a in node.attribute if a.name == "group")
        for node in model.graph.node
        if node.op_type == "Conv"
    }
    whole = {
        one.name: onnx.numpy_helper.to_array(one)
        for one in model.graph.initializer
        if one.name in groups
    }
    assert len(whole) == count
    for name, weights in whole.items():
        assert weights.dtype == np.int8, name
        if groups[name] == 1:
            assert most_of_two(weights) <= np.iinfo(np.int16).max, name
