"""FaceNet's Inception-ResNet-v1 (Schroff et al. 2015; Szegedy et al. 2016): built here, pooled.

The tensors have the names of facenet-pytorch's published checkpoints, which load strictly, less
their classifier of identities (`logits`). Layers are named after the modules below; `last_bn` is
the embedding of 512 values before it is scaled to length 1.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch.nn import BatchNorm1d, BatchNorm2d, Conv2d, Linear, MaxPool2d, Module, Sequential

from ..checkpoint import fill, read_tensors
from ..outputs import PooledOutputs
from ..registry import BackboneSpec

_EPSILON = 0.001  # TensorFlow's, where the weights come from


class Convolution(Module):
    """Convolution, batch norm, ReLU."""

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        padding: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = Conv2d(inputs, outputs, kernel, stride, padding, bias=False)
        self.bn = BatchNorm2d(outputs, eps=_EPSILON)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.bn(self.conv(maps)).relu_()


class Branches(Module):
    """Modules that see the same maps; what they make of them is set side by side."""

    def __init__(self, *branches: Module) -> None:
        super().__init__()
        for number, branch in enumerate(branches):
            self.add_module(f"branch{number}", branch)
        self.count = len(branches)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        parts = [getattr(self, f"branch{number}")(maps) for number in range(self.count)]
        return torch.cat(parts, dim=1)


class Residual(Branches):
    """What the branches find, mixed by a 1 x 1 convolution and scaled, is added to the maps."""

    def __init__(
        self, channels: int, found: int, *branches: Module, scale: float, ends_in_relu: bool = True
    ) -> None:
        super().__init__(*branches)
        self.conv2d = Conv2d(found, channels, 1)
        self.scale = scale
        self.ends_in_relu = ends_in_relu

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        out = maps + self.scale * self.conv2d(super().forward(maps))
        return out.relu_() if self.ends_in_relu else out


def _block35() -> Residual:
    return Residual(
        256,
        96,
        Convolution(256, 32, 1),
        Sequential(Convolution(256, 32, 1), Convolution(32, 32, 3, padding=1)),
        Sequential(
            Convolution(256, 32, 1),
            Convolution(32, 32, 3, padding=1),
            Convolution(32, 32, 3, padding=1),
        ),
        scale=0.17,
    )


def _crossed(channels: int, width: int, length: int, scale: float, relu: bool = True) -> Residual:
    """A block with a wide and a high convolution, one after the other, for a large square one."""
    reach = length // 2
    return Residual(
        channels,
        2 * width,
        Convolution(channels, width, 1),
        Sequential(
            Convolution(channels, width, 1),
            Convolution(width, width, (1, length), padding=(0, reach)),
            Convolution(width, width, (length, 1), padding=(reach, 0)),
        ),
        scale=scale,
        ends_in_relu=relu,
    )


class InceptionResnetV1(Module):
    """Pictures of 160 px to 512 values. Modules are applied in the order that they stand in."""

    def __init__(self) -> None:
        super().__init__()
        self.conv2d_1a = Convolution(3, 32, 3, stride=2)
        self.conv2d_2a = Convolution(32, 32, 3)
        self.conv2d_2b = Convolution(32, 64, 3, padding=1)
        self.maxpool_3a = MaxPool2d(3, stride=2)
        self.conv2d_3b = Convolution(64, 80, 1)
        self.conv2d_4a = Convolution(80, 192, 3)
        self.conv2d_4b = Convolution(192, 256, 3, stride=2)
        self.repeat_1 = Sequential(*(_block35() for _ in range(5)))
        self.mixed_6a = Branches(
            Convolution(256, 384, 3, stride=2),
            Sequential(
                Convolution(256, 192, 1),
                Convolution(192, 192, 3, padding=1),
                Convolution(192, 256, 3, stride=2),
            ),
            MaxPool2d(3, stride=2),
        )
        self.repeat_2 = Sequential(*(_crossed(896, 128, 7, 0.1) for _ in range(10)))
        self.mixed_7a = Branches(
            Sequential(Convolution(896, 256, 1), Convolution(256, 384, 3, stride=2)),
            Sequential(Convolution(896, 256, 1), Convolution(256, 256, 3, stride=2)),
            Sequential(
                Convolution(896, 256, 1),
                Convolution(256, 256, 3, padding=1),
                Convolution(256, 256, 3, stride=2),
            ),
            MaxPool2d(3, stride=2),
        )
        self.repeat_3 = Sequential(*(_crossed(1792, 192, 3, 0.2) for _ in range(5)))
        self.block8 = _crossed(1792, 192, 3, 1.0, relu=False)
        self.last_linear = Linear(1792, 512, bias=False)
        self.last_bn = BatchNorm1d(512, eps=_EPSILON)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, size, size) float32 -> (n, 512) float32, of no particular length."""
        maps = pixels
        for module in list(self.children())[:-2]:
            maps = module(maps)
        return self.last_bn(self.last_linear(maps.mean((2, 3))))


def load(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    """See `load_network`."""
    network = InceptionResnetV1()
    tensors = read_tensors(weights)
    for identities in ("logits.weight", "logits.bias"):
        tensors.pop(identities, None)
    fill(network, tensors, weights)
    return PooledOutputs(network, spec.layers)
