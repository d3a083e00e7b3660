"""Networks as ONNX, node by node: squares in uint8 -> both views -> blocks -> pooled layers.

    pixels    (n, size, size, 3) uint8 RGB
    features  (n, D) float32, as `BackboneSpec.pooled` orders layers

The views are two pictures of one batch, all first views before all second ones. Maps that are
pooled are called `maps/<layer>`, (views * n, channels, height, width) float32, so that they can be
asked for: see `onnx_maps.with_outputs`. A second network's names begin with its own, its maps'
too: `maps/efficientnet_lite1/<layer>`; see `spec.names_beside`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from ..regions import cells_of, kept_of
from ..spec import BackboneSpec, Layer, View, names_beside
from ..views import resampling
from .quantize import rounded, scales
from .tensors import Block, Convolution

OPSET, IR_VERSION = 17, 8

_RELU6 = 6 / 255
"""What 1 stands for in activations that end at 6."""


@dataclass
class _Graph:
    """The nodes and constants so far."""

    nodes: list[NodeProto] = field(default_factory=list)
    constants: dict[str, TensorProto] = field(default_factory=dict)
    scales: dict[str, float] = field(default_factory=dict)
    """What 1 stands for in tensors that are whole numbers of 8 bits times something."""

    views: dict[tuple[View, ...], str] = field(default_factory=dict)
    """In 8 bits, what several networks may see: made once."""

    def constant(self, name: str, values: Any) -> str:
        """Its name, which has a number at its end where there are other values of the same name."""
        made, plain, others = np.asarray(values, order="C"), name, 0
        while (known := self.constants.get(name)) is not None:
            if known.SerializeToString() == numpy_helper.from_array(made, name).SerializeToString():
                return name
            others += 1
            name = f"{plain}_{others}"
        self.constants[name] = numpy_helper.from_array(made, name)
        return name

    def add(self, kind: str, inputs: Sequence[str], name: str = "", **attributes: Any) -> str:
        name = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=name, **attributes))
        return name

    def numbers(self, name: str, values: Sequence[int]) -> str:
        return self.constant(name, np.array(values, np.int64))


def build(
    spec: BackboneSpec,
    networks: Sequence[Sequence[Block]],
    ranges: Mapping[str, float] | None = None,
) -> ModelProto:
    """The network of `spec`, or its several ones side by side.

    Args:
        networks: the blocks of each; their names begin as `names_beside` says.
        ranges: for networks in 8 bits, how far from 0 the values of each block get; None for
            float32.
    """
    graph = _Graph()
    beside = names_beside(spec)
    features = [
        _features(graph, one, prefix, blocks, ranges, "" if len(beside) > 1 else "features")
        for (prefix, one), blocks in zip(beside.items(), networks, strict=True)
    ]
    if len(features) > 1:
        graph.add("Concat", features, "features", axis=1)
    return _model(graph, spec)


def _features(
    graph: _Graph,
    spec: BackboneSpec,
    prefix: str,
    blocks: Sequence[Block],
    ranges: Mapping[str, float] | None,
    name: str,
) -> str:
    """(n, D): what one network gives, in a tensor of that name."""
    maps, size = _in_float(graph, spec) if ranges is None else _in_bytes(graph, spec)
    layers = {f"{prefix}{layer.name}": layer for layer in spec.layers}
    pooled: list[str] = []
    for block in blocks:
        entered = maps
        for number, convolution in enumerate(block.convolutions):
            is_padded = ranges is not None and block is blocks[0]
            maps = _convolve(graph, convolution, maps, size, ranges is not None, is_padded)
            size = -(-size // convolution.stride)
            last = number == len(block.convolutions) - 1
            if ranges is None:
                if convolution.relu6:
                    limits = [graph.constant(f"c/{n}", np.float32(n)) for n in (0, 6)]
                    maps = graph.add("Clip", [maps, *limits], f"relu6/{convolution.name}")
            elif convolution.relu6:  # what does not fit into the bytes is what ReLU6 cuts off
                maps = _as_bytes(graph, maps, convolution.name, _RELU6, 0)
            else:
                key = f"{block.name}/alone" if block.has_skip and last else block.name
                maps = _as_bytes(graph, maps, key, ranges[key] / 127.5, 128)
        if block.has_skip:
            maps = graph.add("Add", [maps, entered], f"sum/{block.name}")
            if ranges is not None:
                maps = _as_bytes(graph, maps, block.name, ranges[block.name] / 127.5, 128)
        if block.name in layers:
            pooled += _pool(graph, layers[block.name], maps, size, block.name)
    views = max(1, len(spec.views))
    each = spec.dimension // views
    features = graph.add("Concat", pooled, axis=1)  # (views * n, each)
    features = graph.add("Reshape", [features, graph.numbers("c/by_view", [views, -1, each])])
    features = graph.add("Transpose", [features], perm=[1, 0, 2])
    rows = graph.numbers("c/rows", [-1, spec.dimension])
    return graph.add("Reshape", [features, rows], name)


def _model(graph: _Graph, spec: BackboneSpec) -> ModelProto:
    side = spec.geometry.size
    made = helper.make_graph(
        graph.nodes,
        spec.name,
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, ["n", side, side, 3])],
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["n", spec.dimension])],
        list(graph.constants.values()),
    )
    return helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="tll-index",
    )


def _in_float(graph: _Graph, spec: BackboneSpec) -> tuple[str, int]:
    """Both views, normalised, and their side."""
    mean, std = (np.array(some, np.float32)[:, None, None] for some in (spec.mean, spec.std))
    planes = graph.add("Transpose", ["pixels"], perm=[0, 3, 1, 2])
    planes = graph.add("Cast", [planes], to=TensorProto.FLOAT)
    scale = graph.constant("c/scale", np.float32(1) / (np.float32(255) * std))
    planes = graph.add("Mul", [planes, scale])
    planes = graph.add("Sub", [planes, graph.constant("c/shift", mean / std)])
    views = []
    for view in spec.views:
        start, kept = kept_of(spec.geometry.size, view)
        seen = _cut(graph, planes, start, kept, (2, 3))
        if kept != view.size:
            matrix = resampling(kept, view.size)
            seen = graph.add("MatMul", [graph.constant(f"c/rows_{view.size}", matrix), seen])
            seen = graph.add("MatMul", [seen, graph.constant(f"c/columns_{view.size}", matrix.T)])
        views.append(seen)
    return graph.add("Concat", views, axis=0), spec.views[0].size


def _in_bytes(graph: _Graph, spec: BackboneSpec) -> tuple[str, int]:
    """Both views as bytes, not normalised, with the stem's padding: grey of the middle."""
    if spec.views in graph.views:
        return graph.views[spec.views], spec.views[0].size
    if spec.mean != (0.5,) * 3 or spec.std != (0.5,) * 3:
        raise ValueError("bytes are taken to stand for -1 to 1")
    one, zero = graph.constant("c/one", np.float32(1)), graph.constant("c/zero", np.uint8(0))
    views = []
    for view in spec.views:
        start, kept = kept_of(spec.geometry.size, view)
        seen = _cut(graph, "pixels", start, kept, (1, 2))
        seen = graph.add("Transpose", [seen], perm=[0, 3, 1, 2])
        if kept != view.size:
            seen = _resized(graph, seen, kept, view)
            seen = graph.add("QuantizeLinear", [seen, one, zero])
        views.append(seen)
    both = graph.add("Concat", views, axis=0)
    pads = graph.numbers("c/pads", [0, 0, 0, 0, 0, 0, 1, 1])
    both = graph.add("Pad", [both, pads, graph.constant("c/grey", np.uint8(128))])
    scale = float(np.float32(1 / 127.5))
    name = graph.add("DequantizeLinear", [both, graph.constant("c/byte", np.float32(scale)), zero])
    graph.scales[name] = scale
    graph.views[spec.views] = name
    return name, spec.views[0].size


def _resized(graph: _Graph, maps: str, kept: int, view: View) -> str:
    """By linear interpolation of two pixels a side."""
    ratio = (view.size + 1e-3) / kept  # sizes are rounded down
    factors = graph.constant("c/ratio", np.array([1, 1, ratio, ratio], np.float32))
    maps = graph.add("Cast", [maps], to=TensorProto.FLOAT)
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return graph.add("Resize", [maps, "", factors], **how)


def _cut(graph: _Graph, maps: str, start: int, kept: int, axes: tuple[int, int]) -> str:
    if start == 0:
        return maps
    edges = ("start", [start] * 2), ("end", [start + kept] * 2), ("axes", list(axes))
    return graph.add("Slice", [maps, *(graph.numbers(f"c/{name}", at) for name, at in edges)])


def _convolve(
    graph: _Graph, one: Convolution, maps: str, size: int, in_bytes: bool, is_padded: bool
) -> str:
    bias = one.bias
    if is_padded:  # the stem, whose bytes stand for 0 to 2
        bias = bias - one.weights.sum((1, 2, 3))
    if in_bytes:
        parameters = _quantized(graph, one, bias, graph.scales[maps])
    else:
        parameters = [
            graph.constant(f"weights/{one.name}", one.weights),
            graph.constant(f"bias/{one.name}", bias),
        ]
    before, after = (0, 0) if is_padded else one.pads(size)
    return graph.add(
        "Conv",
        [maps, *parameters],
        f"conv/{one.name}",
        kernel_shape=list(one.weights.shape[2:]),
        strides=[one.stride] * 2,
        group=one.groups,
        pads=[before, before, after, after],
    )


def _quantized(
    graph: _Graph, one: Convolution, bias: NDArray[np.float32], input_scale: float
) -> list[str]:
    """Its weights and bias, as whole numbers and what turns them back."""
    scale = scales(one.weights, one.groups, bias, input_scale)
    bias_scale = (scale * np.float32(input_scale)).astype(np.float32)
    whole: dict[str, tuple[NDArray[Any], NDArray[np.float32]]] = {
        "weights": (rounded(one.weights, scale), scale),
        "bias": (np.round(bias / bias_scale).astype(np.int32), bias_scale),
    }
    return [
        graph.add(
            "DequantizeLinear",
            [
                graph.constant(f"{kind}/{one.name}", values),
                graph.constant(f"{kind}/{one.name}/scale", of_each),
                graph.constant(f"{kind}/{one.name}/zero", np.zeros(len(values), values.dtype)),
            ],
            f"{kind}/{one.name}/real",
            axis=0,
        )
        for kind, (values, of_each) in whole.items()
    ]


def _as_bytes(graph: _Graph, maps: str, name: str, scale: float, zero: int) -> str:
    """The same maps, each value the nearest of 256."""
    scale = float(np.float32(scale))
    how = [
        graph.constant(f"scale/{name}", np.float32(scale)),
        graph.constant(f"zero/{name}", np.uint8(zero)),
    ]
    coded = graph.add("QuantizeLinear", [maps, *how], f"bytes/{name}")
    real = graph.add("DequantizeLinear", [coded, *how], f"real/{name}")
    graph.scales[real] = scale
    return real


def _pool(graph: _Graph, layer: Layer, maps: str, size: int, name: str) -> list[str]:
    """Vectors of one layer, in the order of its pools: means of cells and of all by one product."""
    maps = graph.add("Identity", [maps], f"maps/{name}")
    shape = graph.numbers(f"c/flat_{layer.channels}_{size}", [0, layer.channels, size * size])
    flat = graph.add("Reshape", [maps, shape])
    vectors = []
    for pool in layer.pools:
        if pool.statistic == "std":
            if pool.grid != 1:
                raise ValueError("deviations by cells are not made here")
            vectors.append(_deviation(graph, flat))
            continue
        cells = cells_of(size, pool.grid)
        shares = np.einsum("ir,jc->rcij", cells, cells).reshape(size * size, -1)
        of_cells = graph.constant(f"c/cells_{size}_{pool.grid}", shares.astype(np.float32))
        means = graph.add("MatMul", [flat, of_cells])  # (n, channels, cells)
        means = graph.add("Transpose", [means], perm=[0, 2, 1])
        vectors.append(graph.add("Flatten", [means], axis=1))
    return vectors


def _deviation(graph: _Graph, flat: str) -> str:
    """(n, channels): of the values of each channel; divides by their number."""
    squares = graph.add("Mul", [flat, flat])
    of_squares, mean = (
        graph.add("ReduceMean", [some], axes=[2], keepdims=0) for some in (squares, flat)
    )
    variance = graph.add("Sub", [of_squares, graph.add("Mul", [mean, mean])])
    variance = graph.add("Max", [variance, graph.constant("c/0", np.float32(0))])
    return graph.add("Sqrt", [variance])
