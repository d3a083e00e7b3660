"""dlib's face recognition network as ONNX: a ResNet of 29 convolutions.

    pixels    (n, 150, 150, 3) uint8 RGB, chips as `alignment.chip` cuts them
    features  (n, 128) float32, dlib's face embedding

Two convolutions make a block, whose input is added to what they make of it. Where a block halves
its maps, the input is averaged over 2 x 2 and its missing channels are 0. dlib halves without
padding, so what the convolutions make may lack a row and a column; these are 0 as well.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from onnx import ModelProto, TensorProto

from ..nodes import Graph
from .dlib_weights import DlibWeights, Filters

WIDTH = 128
_BYTE = 1 / 256
"""What the network divides pixels by, once their mean is taken away."""


def build(network: DlibWeights, ranges: Mapping[str, float] | None = None) -> ModelProto:
    """The network.

    Args:
        ranges: for a network in 8 bits, how far from 0 the values of `named` get; None for one in
            float32.
    """
    made = _Recognition(network, ranges)
    return made.graph.model(
        "face_recognition",
        {"pixels": (TensorProto.UINT8, ["n", network.side, network.side, 3])},
        {"features": (TensorProto.FLOAT, ["n", WIDTH])},
    )


def named(network: DlibWeights) -> dict[str, str]:
    """The ranges that a network in 8 bits takes, and the tensors in float32 that they are of."""
    found = {"stem": "cut/stem"}
    for number in range(len(network.filters) // 2):
        name = f"block{number}"
        found |= {f"{name}/0": f"cut/{name}/0", f"{name}/1": f"conv/{name}/1", name: f"cut/{name}"}
    return found


class _Recognition:
    """The graph while it is made."""

    def __init__(self, network: DlibWeights, ranges: Mapping[str, float] | None) -> None:
        self.graph = Graph()
        self._ranges = ranges
        stem, *rest = network.filters
        maps = self._seen(network)
        if ranges is not None:  # which takes pixels as they are
            mean = np.array(network.mean, np.float32) * np.float32(_BYTE)
            bias = stem.bias - np.einsum("fcij,c->f", stem.weights, mean)
            weights = np.pad(stem.weights, [(0, 0), (0, 1), (0, 0), (0, 0)])
            stem = Filters(weights, bias.astype(np.float32), stem.stride, stem.padding)
        maps = self._cut(self._convolved("stem", stem, maps), "stem")
        maps = self.graph.add("MaxPool", [maps], "pooled", kernel_shape=[3, 3], strides=[2, 2])
        if ranges is not None:
            maps = self.graph.as_bytes(maps, "pooled", ranges["stem"] / 255, 0)
        size = _after(_after(network.side, 7, 2), 3, 2)
        for number, pair in enumerate(zip(rest[::2], rest[1::2], strict=True)):
            maps, size = self._block(f"block{number}", pair, maps, size)
        pooled = self.graph.add("ReduceMean", [maps], axes=[2, 3], keepdims=0)
        head = self.graph.constant("weights/head", network.head)
        self.graph.add("MatMul", [pooled, head], "features")

    def _seen(self, network: DlibWeights) -> str:
        graph = self.graph
        planes = graph.add("Transpose", ["pixels"], perm=[0, 3, 1, 2])
        scale = graph.constant("c/byte", np.float32(_BYTE))
        if self._ranges is not None:
            # A fourth channel of 0: OpenVINO computes the stem in float32 if nothing is in front.
            zero = graph.constant("c/0", np.uint8(0))
            pads = graph.numbers("c/fourth", [0, 0, 0, 0, 0, 1, 0, 0])
            planes = graph.add("Pad", [planes, pads, zero])
            name = graph.add("DequantizeLinear", [planes, scale, zero])
            graph.scales[name] = _BYTE
            return name
        planes = graph.add("Cast", [planes], to=TensorProto.FLOAT)
        mean = graph.constant("c/mean", np.array(network.mean, np.float32)[:, None, None])
        return graph.add("Mul", [graph.add("Sub", [planes, mean]), scale])

    def _block(
        self, name: str, pair: tuple[Filters, Filters], maps: str, size: int
    ) -> tuple[str, int]:
        """What comes out, and its side."""
        first, second = pair
        entered, inside = maps, _after(size, 3, first.stride, first.padding)
        maps = self._cut(self._convolved(f"{name}/0", first, maps), f"{name}/0")
        maps = self._convolved(f"{name}/1", second, maps)
        if first.stride > 1:
            size //= 2
            entered = self._halved(name, entered, len(first.weights), first.weights.shape[1])
        missing = size - inside
        if self._ranges is not None:
            maps = self.graph.as_bytes(
                maps, f"{name}/1", self._ranges[f"{name}/1"] / 127.5, 128, missing
            )
        elif missing:
            maps = self._padded(name, maps, missing)
        return self._cut(self.graph.add("Add", [maps, entered], f"sum/{name}"), name), size

    def _halved(self, name: str, maps: str, filters: int, channels: int) -> str:
        """Its channels averaged over 2 x 2, and others of 0: as a convolution, which runtimes
        compute in 8 bits like any other."""
        weights = np.zeros((filters, channels, 2, 2), np.float32)
        weights[np.arange(channels), np.arange(channels)] = 0.25
        still = Filters(weights, np.zeros(filters, np.float32), 2, 0)
        halved = self._convolved(f"{name}/half", still, maps)
        if self._ranges is None:
            return halved
        return self.graph.as_bytes(halved, f"{name}/half", self.graph.scales[maps], 0)

    def _convolved(self, name: str, filters: Filters, maps: str) -> str:
        graph = self.graph
        if self._ranges is None:
            parameters = graph.in_float(name, filters.weights, filters.bias)
        else:
            parameters = graph.quantized(name, filters.weights, filters.bias, graph.scales[maps])
        return graph.add(
            "Conv",
            [maps, *parameters],
            f"conv/{name}",
            kernel_shape=list(filters.weights.shape[2:]),
            strides=[filters.stride] * 2,
            pads=[filters.padding] * 4,
        )

    def _cut(self, maps: str, name: str) -> str:
        """Without what is below 0, which in 8 bits nothing stands for."""
        if self._ranges is None:
            return self.graph.add("Relu", [maps], f"cut/{name}")
        return self.graph.as_bytes(maps, name, self._ranges[name] / 255, 0)

    def _padded(self, name: str, maps: str, missing: int) -> str:
        pads = self.graph.numbers(f"c/missing_{missing}", [0, 0, 0, 0, 0, 0, missing, missing])
        return self.graph.add("Pad", [maps, pads], f"padded/{name}")


def _after(size: int, k: int, stride: int, padding: int = 0) -> int:
    """Side of maps after a window of k x k."""
    return (size + 2 * padding - k) // stride + 1
