"""The bundled backbone, pooled as the paper pools its own, to run where those can't be had."""

from __future__ import annotations

from dataclasses import replace

from tll_index.engine.backbones.registry import DEFAULT, BackboneSpec, Layer, register, spec_of
from tll_index.engine.images.decode import Geometry

LAST = "efficientnet_lite0_last"
"""Only the last layer, as in the paper's baseline."""
STAGES = "efficientnet_lite0_stages"
"""The last block of each stage and the last layer, each averaged, as in the paper's adaptation."""

_BLOCKS = {"0.0": 16, "1.1": 24, "2.1": 40, "3.2": 80, "4.2": 112, "5.3": 192, "6.0": 320}


def install() -> None:
    """Register them for this process. They see one centre crop of 224 px, as the network's authors
    do: one pass, where the shipped row takes two."""
    last = (Layer("conv_head", 1280),)
    stages = tuple(Layer(f"blocks.{name}", channels) for name, channels in _BLOCKS.items())
    for name, layers in ((LAST, last), (STAGES, stages + last)):
        register(_pooled(name, layers))


def _pooled(name: str, layers: tuple[Layer, ...]) -> BackboneSpec:
    shipped = spec_of(DEFAULT)
    geometry = Geometry(size=224, fit="crop", crop=0.875)
    return replace(shipped, name=name, layers=layers, geometry=geometry, views=())
