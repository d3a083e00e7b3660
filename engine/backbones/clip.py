"""CLIP backbones through open_clip: intermediate layers pooled, then the joint embedding.

For the ResNets this is the feature vector of Risser-Maroix et al. (ICIP 2021): the four stages,
each averaged over positions, and the attention-pooled output: 5,440 values for RN50x4. For the
ViT it is our own reading of the same idea: each block's patch tokens averaged, then the
projection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import torch

from ..registry import BackboneSpec, Layer, Pool
from .checkpoint import fill, read_tensors
from .pooling import PooledNetwork


class PooledTower(PooledNetwork):
    """The layers of a CLIP image tower, mean over positions, then its output, side by side."""

    def __init__(self, visual: torch.nn.Module, layers: tuple[Layer, ...], skip_stem: bool) -> None:
        super().__init__()
        self.visual = visual
        self.pooled_layers = layers
        self.skip = 1 if skip_stem else 0

    def each(
        self, pixels: torch.Tensor, use: Callable[[torch.Tensor, Layer], torch.Tensor]
    ) -> list[torch.Tensor]:
        """See `PooledNetwork.each`."""
        out = self.visual.forward_intermediates(pixels)  # type: ignore[operator]
        activations = [*out["image_intermediates"][self.skip :], out["image_features"]]
        return [use(one, layer) for one, layer in zip(activations, self.pooled_layers, strict=True)]


_MEAN = (Pool(),)


def load(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    """See `load_network`. OpenAI's weights were trained with QuickGELU, which the architecture's
    plain config does not say: it is forced here, or a ViT would load and be subtly wrong."""
    import open_clip

    if any(layer.pools != _MEAN for layer in spec.layers):
        raise ValueError(f"{spec.name}: layers of CLIP are averaged over positions, nothing else")
    tensors = read_tensors(weights)
    logging.disable(logging.WARNING)  # it would warn of random weights, which are filled below
    try:
        network = open_clip.create_model(
            spec.architecture,
            pretrained=None,
            precision="fp32",
            force_quick_gelu=spec.weights_tag == "openai",
        )
    finally:
        logging.disable(logging.NOTSET)
    for extra in ("input_resolution", "context_length", "vocab_size"):
        tensors.pop(extra, None)  # settings that OpenAI stored among the tensors
    fill(network, {name: value.float() for name, value in tensors.items()}, weights)
    return PooledTower(network.visual, spec.layers, hasattr(network.visual, "layer4"))
