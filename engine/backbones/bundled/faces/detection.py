"""YuNet, libfacedetection's detector, as ONNX.

    pixels  (n, height, width, 3) uint8 RGB, both sides multiples of 32
    found   (n, cells, 16) float32: what each cell of three grids says

A cell is a square of 8, 16 or 32 pixels; all of the finest grid come first, row by row. Its values:
the logits of a face and of an object, the centre and the logarithm of the sides of the face's box,
and five points. Places and sides are in cells, from the cell's corner at the top left.

All layers but the first are pairs: filters of 1 x 1 over all channels, then of 3 x 3 on each. The
four outputs of a grid are one such pair here.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from ..nodes import Graph

VALUES = 16
GRIDS = (8, 16, 32)
"""Pixels of a cell, a side."""
_OUTPUTS = ("cls", "obj", "bbox", "kps")

Arrays = Mapping[str, NDArray[np.float32]]


def build(arrays: Arrays) -> ModelProto:
    """The network of the arrays that `read_yunet` found."""
    made = _Detection(arrays)
    return made.graph.model(
        "face_detection",
        {"pixels": (TensorProto.UINT8, ["n", "height", "width", 3])},
        {"found": (TensorProto.FLOAT, ["n", "cells", VALUES])},
    )


class _Detection:
    """The graph while it is made."""

    def __init__(self, arrays: Arrays) -> None:
        self.graph = Graph()
        self._arrays = arrays
        maps = self._pair("backbone__model0_dp", self._stem())
        maps = self._pooled(maps)
        scales = []
        for stage in range(1, 6):
            if stage > 2:
                maps = self._pooled(maps)
            for half in (1, 2):
                maps = self._pair(f"backbone__model{stage}_dp{half}", maps)
            scales.append(maps)
        grids: list[str] = []
        coarser = ""
        for number, maps in reversed([*enumerate(scales[2:])]):
            if coarser:
                maps = self.graph.add("Add", [self._doubled(coarser), maps])
            coarser = self._pair(f"neck__lateral_convs__{number}", maps)
            grids.insert(0, self._said(number, coarser))
        self.graph.add("Concat", grids, "found", axis=1)

    def _stem(self) -> str:
        graph = self.graph
        maps = graph.add("Transpose", ["pixels"], perm=[0, 3, 1, 2])
        maps = graph.add("Cast", [maps], to=TensorProto.FLOAT)
        bias = self._arrays["backbone__model0_pw_bias"]
        flat = self._arrays["backbone__model0_pw_weight"].reshape(len(bias), -1)
        # 27 values of a window, colours together, filled up to 32; it was trained on BGR.
        weights = flat[:, :27].reshape(-1, 3, 3, 3)[..., ::-1].transpose(0, 3, 1, 2)
        return self._convolved("stem", weights, bias, maps, relu=True, stride=2)

    def _pair(self, name: str, maps: str) -> str:
        between = self._convolved(f"{name}/pw", *self._pointwise(name), maps)
        return self._convolved(f"{name}/dw", *self._depthwise(name), between, relu=True)

    def _said(self, number: int, maps: str) -> str:
        names = [f"bbox_head__multi_level_{output}__{number}" for output in _OUTPUTS]
        for step, kind in enumerate((self._pointwise, self._depthwise)):
            weights, bias = (np.concatenate(part) for part in zip(*map(kind, names), strict=True))
            maps = self._convolved(f"said{number}/{step}", weights, bias, maps)
        maps = self.graph.add("Transpose", [maps], perm=[0, 2, 3, 1])
        return self.graph.add("Reshape", [maps, self.graph.numbers("c/rows", [0, -1, VALUES])])

    def _pointwise(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        bias = self._arrays[f"{name}_pw_bias"]
        weights = self._arrays[f"{name}_pw_weight"].reshape(len(bias), -1)
        return weights[..., None, None], bias

    def _depthwise(self, name: str) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        bias = self._arrays[f"{name}_dw_bias"]
        weights = self._arrays[f"{name}_dw_weight"].reshape(9, len(bias)).T
        return weights.reshape(-1, 1, 3, 3), bias

    def _convolved(
        self,
        name: str,
        weights: NDArray[np.float32],
        bias: NDArray[np.float32],
        maps: str,
        relu: bool = False,
        stride: int = 1,
    ) -> str:
        k = weights.shape[-1]
        made = self.graph.add(
            "Conv",
            [maps, *self.graph.in_float(name, weights, bias)],
            f"conv/{name}",
            kernel_shape=[k, k],
            strides=[stride] * 2,
            group=len(weights) if weights.shape[1] == 1 else 1,
            pads=[k // 2] * 4,
        )
        return self.graph.add("Relu", [made]) if relu else made

    def _pooled(self, maps: str) -> str:
        return self.graph.add("MaxPool", [maps], kernel_shape=[2, 2], strides=[2, 2])

    def _doubled(self, maps: str) -> str:
        sides = self.graph.constant("c/double", np.array([1, 1, 2, 2], np.float32))
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        return self.graph.add("Resize", [maps, "", sides], mode="nearest", **how)
