"""A backbone cut into stages: what stays frozen, and what may be thawed step by step."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from tll_index.core.errors import UsageError
from tll_index.engine.backbones.network import provider_of
from tll_index.engine.backbones.registry import spec_of
from tll_index.engine.backbones.weights import Weights


@dataclass(frozen=True, eq=False)
class Body:
    """A network without its top."""

    frozen: torch.nn.Module
    """(n, 3, height, width) -> maps (n, c, h, w): never trained."""
    stages: tuple[torch.nn.Module, ...]
    """What follows, in order; the last may be thawed first."""
    channels: int
    """Of the maps that the last stage gives."""


def body_of(backbone: str, weights: Weights) -> Body:
    """The body of an EfficientNet or a ResNet: all but its last two stages is `frozen`.

    Raises:
        UsageError: another kind of network.
        WeightsError: the file is damaged or of another architecture; never a random network.
    """
    spec = spec_of(backbone)
    provider = provider_of(spec)
    if not hasattr(provider, "load_whole"):
        raise UsageError(f"the pair classifier has no way to cut {backbone} into stages")
    whole: Any = provider.load_whole(spec, weights.path).eval().requires_grad_(False)
    chain = torch.nn.Sequential
    if hasattr(whole, "blocks") and hasattr(whole, "conv_head"):
        *first, before, last = whole.blocks
        return Body(
            chain(whole.conv_stem, whole.bn1, *first),
            (before, chain(last, whole.conv_head, whole.bn2)),
            whole.conv_head.out_channels,
        )
    if hasattr(whole, "layer4"):
        stem = whole.conv1, whole.bn1, whole.act1, whole.maxpool
        return Body(
            chain(*stem, whole.layer1, whole.layer2),
            (whole.layer3, whole.layer4),
            whole.num_features,
        )
    raise UsageError(f"the pair classifier has no way to cut {backbone} into stages")
