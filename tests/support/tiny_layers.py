"""A backbone with places, small enough for tests: two layers, pooled in every way, seen twice.

The first layer sees squares of 8 x 8 pixels that don't overlap, and nothing in those of the
grey 127: so what else a picture shows is at a place that a test can know.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file

import tiny
from tll_index.engine.backbones.checkpoint import fill, read_tensors
from tll_index.engine.backbones.outputs import PooledOutputs
from tll_index.engine.backbones.registry import BackboneSpec, Layer, Pool, View, register
from tll_index.engine.images.decode import Geometry

_ALL_POOLS = (Pool(grid=3), Pool(), Pool("std"), Pool("std", grid=2))

SPEC = replace(
    tiny.SPEC,
    name="tiny-layers",
    provider="tiny_layers",
    layers=(Layer("squares.1", 16, _ALL_POOLS), Layer("pairs.1", 8, (Pool(), Pool("std")))),
    geometry=Geometry(size=64, fit="squash"),
    mean=(127 / 255,) * 3,
)
ROWS = (
    SPEC,
    replace(SPEC, name="tiny-crop", geometry=Geometry(size=64, fit="crop", crop=0.9)),
    replace(SPEC, name="tiny-looks", views=(View(64), View(48, keep=0.5))),
    replace(SPEC, name="tiny-plain", layers=(Layer("squares.1", 16),)),
    replace(SPEC, name="tiny-end", layers=(Layer("squares.1", 16), Layer("end", 8))),
)


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        conv, relu = torch.nn.Conv2d, torch.nn.ReLU
        self.squares = torch.nn.Sequential(conv(3, 16, 8, stride=8, bias=False), relu())
        self.pairs = torch.nn.Sequential(conv(16, 8, 3, stride=2, padding=1, bias=False), relu())
        self.end = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.end(self.pairs(self.squares(pixels)))
        return out


def load(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    network = Network()
    fill(network, read_tensors(weights), weights)
    return PooledOutputs(network, spec.layers)


def install(weights_dir: Path) -> None:
    """Add the rows, and weights for each."""
    torch.manual_seed(5)
    state = {name: value.contiguous() for name, value in Network().state_dict().items()}
    for spec in ROWS:
        register(spec)
        save_file(state, weights_dir / f"{spec.name}.safetensors")
