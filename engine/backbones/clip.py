"""CLIP backbones through open_clip: intermediate layers pooled, then the joint embedding.

For the ResNets this is the feature vector of Risser-Maroix et al. (ICIP 2021): the four stages,
each averaged over positions, and the attention-pooled output: 5,440 values for RN50x4. For the
ViT it is our own reading of the same idea: each block's patch tokens averaged, then the
projection.
"""

from __future__ import annotations

import logging
from pathlib import Path

import torch

from ..registry import BackboneSpec, Pool
from .checkpoint import fill, read_tensors


class PooledTower(torch.nn.Module):
    """The layers of a CLIP image tower, mean over positions, then its output, side by side."""

    def __init__(self, visual: torch.nn.Module, skip_stem: bool) -> None:
        super().__init__()
        self.visual = visual
        self.skip = 1 if skip_stem else 0

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, size, size) float32 -> (n, D) float32."""
        out = self.visual.forward_intermediates(pixels)  # type: ignore[operator]
        maps = out["image_intermediates"][self.skip :]
        pooled = [layer.mean((2, 3)) for layer in maps]
        return torch.cat([*pooled, out["image_features"]], dim=1)


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
    return PooledTower(network.visual, skip_stem=hasattr(network.visual, "layer4"))
