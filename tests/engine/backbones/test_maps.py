"""The maps of bundled networks, by ONNX Runtime: the very values that are pooled; torch's order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tll_index.core.config import load_settings
from tll_index.core.contracts import Pixels
from tll_index.core.errors import UsageError
from tll_index.engine.backbones.bundled import graph_file
from tll_index.engine.backbones.maps import TorchMaps, load_maps
from tll_index.engine.backbones.onnx_maps import OnnxMaps
from tll_index.engine.backbones.onnx_runtime import OnnxRuntime
from tll_index.engine.backbones.registry import ROWS, BackboneSpec, spec_of
from tll_index.engine.backbones.runtime import torch_device
from tll_index.engine.backbones.weights import locate
from tll_index.engine.explain.attribution import Activations

BUNDLED = [row.name for row in ROWS if row.graph]


def graph_of(spec: BackboneSpec) -> Path:
    assert spec.graph is not None
    return graph_file(spec.graph)


@pytest.fixture
def squares() -> Pixels:
    """Three of them, smooth from pixel to pixel, so that views differ little by their rounding."""
    rows, columns = np.mgrid[:299, :299]
    waves = [np.sin(rows / (9 + 5 * i)) * np.cos(columns / (7 + 3 * i)) for i in range(9)]
    planes = (128 + 127 * np.stack(waves)).astype(np.uint8)
    return planes.reshape(3, 3, 299, 299).transpose(0, 2, 3, 1)


@pytest.mark.parametrize("name", BUNDLED)
def test_pooled_they_are_the_networks_features(name: str, squares: Pixels) -> None:
    spec = spec_of(name)
    network = OnnxMaps(spec, graph_of(spec))
    features = OnnxRuntime(graph_of(spec)).run(squares)
    for count in (3, 1):
        maps = network.maps(squares[:count])
        assert [(len(one), one.shape[1]) for one in maps] == [
            (count, layer.channels) for _, layer in spec.pooled()
        ]
        found = Activations(spec, tuple(one.astype(np.float64) for one in maps)).features()
        assert np.abs(found - features[:count]).max() < 1e-4


def test_they_are_torchs_view_by_view_and_layer_by_layer(squares: Pixels) -> None:
    spec = spec_of("efficientnet_lite0")
    by_torch = TorchMaps(spec, graph_of(spec), torch_device("cpu")).maps(squares[:2])
    by_onnx = OnnxMaps(spec, graph_of(spec)).maps(squares[:2])
    for one, other in zip(by_onnx, by_torch, strict=True):
        assert one.shape == other.shape and one.dtype == other.dtype == np.float32
        assert np.abs(one - other).max() < 1e-3


@pytest.mark.parametrize("name", BUNDLED)
def test_who_computes_them(name: str, home: Path) -> None:
    """A device that ONNX Runtime does not have is for torch, which has no network in 8 bits."""
    spec = spec_of(name)
    weights = locate(spec, load_settings().weights_dir)
    assert all(isinstance(load_maps(spec, weights, on), OnnxMaps) for on in ("auto", "cpu"))
    says = "is computed in 8 bits" if spec.precision == "int8" else "can't be used"
    with pytest.raises(UsageError, match=f"device 'nix'.*{says}"):
        load_maps(spec, weights, "nix")
