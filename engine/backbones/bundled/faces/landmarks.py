"""O-Net, the last of MTCNN's three networks, as ONNX: a closer look at each face that was found.

    pixels  (n, 48, 48, 3) uint8 RGB, squares around faces
    found   (n, 16) float32: the logits of no face and of a face, the four edges of a better box,
            the x of the five points, their y

Edges and points are in shares of the square's side; edges from those of the square.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto

from ..nodes import Graph

SIDE, VALUES = 48, 16
_MEAN, _SCALE = 127.5, 1 / 128
_OUTPUTS = ("dense6_1", "dense6_2", "dense6_3")

Tensors = Mapping[str, NDArray[np.float32]]


def build(tensors: Tensors) -> ModelProto:
    """The network of the tensors of facenet-pytorch's `onet.pt`, by name."""
    graph = Graph()
    maps = graph.add("Transpose", ["pixels"], perm=[0, 3, 1, 2])
    maps = graph.add("Cast", [maps], to=TensorProto.FLOAT)
    for number, window in ((1, 3), (2, 3), (3, 2), (4, 0)):
        weights, bias = (tensors[f"conv{number}.{kind}"] for kind in ("weight", "bias"))
        if number == 1:  # what it sees is (pixels - mean) * scale
            weights = weights * np.float32(_SCALE)
            bias = bias - np.float32(_MEAN) * weights.sum((1, 2, 3))
        maps = _convolved(graph, f"{number}", weights, bias, tensors[f"prelu{number}.weight"], maps)
        if window:
            maps = graph.add(
                "MaxPool", [maps], kernel_shape=[window] * 2, strides=[2, 2], ceil_mode=1
            )
    # Its dense layer was trained on columns of columns.
    dense = tensors["dense5.weight"].reshape(-1, 3, 3, 128).transpose(0, 3, 2, 1)
    flat = graph.add("Flatten", [maps], axis=1)
    values = _dense(graph, "5", flat, dense.reshape(len(dense), -1), tensors["dense5.bias"])
    values = _bent(graph, values, tensors["prelu5.weight"], 5)
    weights, bias = (
        np.concatenate([tensors[f"{name}.{kind}"] for name in _OUTPUTS])
        for kind in ("weight", "bias")
    )
    _dense(graph, "6", values, weights, bias, "found")
    return graph.model(
        "face_landmarks",
        {"pixels": (TensorProto.UINT8, ["n", SIDE, SIDE, 3])},
        {"found": (TensorProto.FLOAT, ["n", VALUES])},
    )


def _convolved(
    graph: Graph,
    name: str,
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    slopes: NDArray[np.float32],
    maps: str,
) -> str:
    """A convolution and its PReLU, max(x, 0) + slope * min(x, 0), which ONNX Runtime takes longer
    for than for the convolution. So the convolution makes y = (1 - slope) * x here, and of that
    max(y, 0) + slope / (1 - slope) * y is the same: what runtimes fuse. Slopes are below 1."""
    rest = 1 - slopes
    scaled = graph.in_float(name, weights * rest[:, None, None, None], bias * rest)
    made = graph.add("Conv", [maps, *scaled], f"conv/{name}", kernel_shape=list(weights.shape[2:]))
    slope = graph.constant(f"slopes/{name}", (slopes / rest)[:, None, None, None])
    bent = graph.add("Conv", [made, slope], group=len(slopes), kernel_shape=[1, 1])
    return graph.add("Add", [bent, graph.add("Relu", [made])])


def _bent(graph: Graph, maps: str, slopes: NDArray[np.float32], number: int) -> str:
    return graph.add("PRelu", [maps, graph.constant(f"slopes/{number}", slopes)])


def _dense(
    graph: Graph,
    name: str,
    values: str,
    weights: NDArray[np.float32],
    bias: NDArray[np.float32],
    output: str = "",
) -> str:
    parameters = graph.in_float(name, np.ascontiguousarray(weights.T), bias)
    return graph.add("Gemm", [values, *parameters], output)
