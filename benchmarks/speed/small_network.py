"""The command line with one more backbone: a few filters, which take no time.

    python -m benchmarks.speed.small_network build DIR --backbone few-filters

As the network of the tests, but with vectors as long as those of the shipped lens, and without
torch in the process. The bundled network is loaded beside it and run once, so that what a build
holds besides its pictures is what it always holds.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tll_index.engine.backbones.registry import BackboneSpec, Layer, register
from tll_index.engine.backbones.runtime import pictures_a_pass
from tll_index.engine.images.decode import Geometry

if TYPE_CHECKING:
    import torch


_WIDTH = 128

SPEC = BackboneSpec(
    name="few-filters",
    title="Random filters",
    provider=__name__ if __name__ != "__main__" else "benchmarks.speed.small_network",
    architecture="conv8",
    weights_tag="seed 7",
    layers=(Layer("conv", _WIDTH),),
    geometry=Geometry(size=32, fit="squash"),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    parameters=_WIDTH * 3 * 8 * 8,
    megabytes=1,
    licence="Apache-2.0",
    paper="none",
)


def load(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    """What the registry's providers do: the network with its weights."""
    import torch

    from tll_index.engine.backbones.checkpoint import fill, read_tensors

    network = torch.nn.Sequential()
    network.add_module("conv", torch.nn.Conv2d(3, _WIDTH, 8, stride=8, bias=False))
    network.add_module("relu", torch.nn.ReLU())
    network.add_module("pool", torch.nn.AvgPool2d(4))
    network.add_module("flat", torch.nn.Flatten())
    fill(network, read_tensors(weights), weights)
    return network.eval()


def write_weights(folder: Path) -> None:
    """Put the weights where the registry looks for them, once."""
    from safetensors.numpy import save_file

    file = folder / f"{SPEC.name}.safetensors"
    if not file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        filters = np.random.default_rng(7).normal(0, 1 / 14, (_WIDTH, 3, 8, 8)).astype(np.float32)
        save_file({"conv.weight": filters}, file)


if __name__ == "__main__":
    from tll_index.cli import main
    from tll_index.core.config import load_settings
    from tll_index.engine.backbones.backbone import load_backbone

    register(SPEC)
    beside = load_backbone()
    size = beside.spec.geometry.size
    beside.features(np.zeros((pictures_a_pass(load_settings()), size, size, 3), np.uint8))
    main()
