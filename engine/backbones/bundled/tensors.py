"""Convolutions of EfficientNet-Lite out of published weights, their norms folded into them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..spec import BackboneSpec


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution with its norm: what it does to maps, with TensorFlow's "same" padding."""

    name: str
    """`blocks.2.1/0`: the first one of that block."""
    weights: NDArray[np.float32]
    """(filters, channels / groups, k, k)."""
    bias: NDArray[np.float32]
    """(filters,)."""
    stride: int
    groups: int
    relu6: bool
    """Whether values are cut to [0, 6] afterwards."""

    def pads(self, size: int) -> tuple[int, int]:
        """Rows (and columns) of zeros before and after maps of that side."""
        k = self.weights.shape[-1]
        missing = max(0, (-(-size // self.stride) - 1) * self.stride + k - size)
        return missing // 2, missing - missing // 2


@dataclass(frozen=True, eq=False)
class Block:
    """Convolutions one after the other; some blocks add what they got to what they made of it."""

    name: str
    convolutions: tuple[Convolution, ...]
    has_skip: bool


def blocks_of(spec: BackboneSpec, weights: Path, prefix: str = "") -> list[Block]:
    """The stem and all blocks up to the last layer that `spec` pools, in order. Their names begin
    with `prefix`."""
    from ..network import provider_of

    network: Any = provider_of(spec).load(spec, weights)
    stem = _folded(f"{prefix}stem/0", network.stem[0], network.stem[1], relu6=True)
    blocks = [Block(f"{prefix}stem", (stem,), False)]
    for step, module in zip(network.names, network.steps, strict=True):
        name = f"{prefix}{step}"
        if hasattr(module, "conv_pwl"):  # widens, filters, narrows
            pairs = [
                (module.conv_pw, module.bn1),
                (module.conv_dw, module.bn2),
                (module.conv_pwl, module.bn3),
            ]
        else:
            pairs = [(module.conv_dw, module.bn1), (module.conv_pw, module.bn2)]
        convolutions = tuple(
            _folded(f"{name}/{at}", *pair, relu6=at < len(pairs) - 1)
            for at, pair in enumerate(pairs)
        )
        blocks.append(Block(name, convolutions, bool(module.has_skip)))
    return blocks


def _folded(name: str, convolution: Any, norm: Any, *, relu6: bool) -> Convolution:
    """A convolution and the norm behind it as one convolution."""
    scale = (norm.weight.double() / (norm.running_var.double() + norm.eps).sqrt()).detach()
    weights = convolution.weight.detach().double() * scale[:, None, None, None]
    bias = norm.bias.detach().double() - norm.running_mean.double() * scale
    return Convolution(
        name,
        weights.float().numpy(),
        bias.float().numpy(),
        convolution.stride[0],
        convolution.groups,
        relu6,
    )
