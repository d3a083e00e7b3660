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

import numpy as np
from onnx import ModelProto, TensorProto

from ..regions import cells_of, kept_of
from ..spec import BackboneSpec, Layer, View, names_beside
from ..views import resampling
from .nodes import Graph
from .tensors import Block, Convolution

_RELU6 = 6 / 255
"""What 1 stands for in activations that end at 6."""


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
    graph = Graph()
    beside = names_beside(spec)
    features = [
        _features(graph, one, prefix, blocks, ranges, "" if len(beside) > 1 else "features")
        for (prefix, one), blocks in zip(beside.items(), networks, strict=True)
    ]
    if len(features) > 1:
        graph.add("Concat", features, "features", axis=1)
    return _model(graph, spec)


def _features(
    graph: Graph,
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
                maps = graph.as_bytes(maps, convolution.name, _RELU6, 0)
            else:
                key = f"{block.name}/alone" if block.has_skip and last else block.name
                maps = graph.as_bytes(maps, key, ranges[key] / 127.5, 128)
        if block.has_skip:
            maps = graph.add("Add", [maps, entered], f"sum/{block.name}")
            if ranges is not None:
                maps = graph.as_bytes(maps, block.name, ranges[block.name] / 127.5, 128)
        if block.name in layers:
            pooled += _pool(graph, layers[block.name], maps, size, block.name)
    views = max(1, len(spec.views))
    each = spec.dimension // views
    features = graph.add("Concat", pooled, axis=1)  # (views * n, each)
    features = graph.add("Reshape", [features, graph.numbers("c/by_view", [views, -1, each])])
    features = graph.add("Transpose", [features], perm=[1, 0, 2])
    rows = graph.numbers("c/rows", [-1, spec.dimension])
    return graph.add("Reshape", [features, rows], name)


def _model(graph: Graph, spec: BackboneSpec) -> ModelProto:
    side = spec.geometry.size
    return graph.model(
        spec.name,
        {"pixels": (TensorProto.UINT8, ["n", side, side, 3])},
        {"features": (TensorProto.FLOAT, ["n", spec.dimension])},
    )


def _in_float(graph: Graph, spec: BackboneSpec) -> tuple[str, int]:
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


def _in_bytes(graph: Graph, spec: BackboneSpec) -> tuple[str, int]:
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


def _resized(graph: Graph, maps: str, kept: int, view: View) -> str:
    """By linear interpolation of two pixels a side."""
    ratio = (view.size + 1e-3) / kept  # sizes are rounded down
    factors = graph.constant("c/ratio", np.array([1, 1, ratio, ratio], np.float32))
    maps = graph.add("Cast", [maps], to=TensorProto.FLOAT)
    how = {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}
    return graph.add("Resize", [maps, "", factors], **how)


def _cut(graph: Graph, maps: str, start: int, kept: int, axes: tuple[int, int]) -> str:
    if start == 0:
        return maps
    edges = ("start", [start] * 2), ("end", [start + kept] * 2), ("axes", list(axes))
    return graph.add("Slice", [maps, *(graph.numbers(f"c/{name}", at) for name, at in edges)])


def _convolve(
    graph: Graph, one: Convolution, maps: str, size: int, in_bytes: bool, is_padded: bool
) -> str:
    bias = one.bias
    if is_padded:  # the stem, whose bytes stand for 0 to 2
        bias = bias - one.weights.sum((1, 2, 3))
    if in_bytes:
        scale = graph.scales[maps]
        parameters = graph.quantized(one.name, one.weights, bias, scale, one.groups)
    else:
        parameters = graph.in_float(one.name, one.weights, bias)
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


def _pool(graph: Graph, layer: Layer, maps: str, size: int, name: str) -> list[str]:
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


def _deviation(graph: Graph, flat: str) -> str:
    """(n, channels): of the values of each channel; divides by their number."""
    squares = graph.add("Mul", [flat, flat])
    of_squares, mean = (
        graph.add("ReduceMean", [some], axes=[2], keepdims=0) for some in (squares, flat)
    )
    variance = graph.add("Sub", [of_squares, graph.add("Mul", [mean, mean])])
    variance = graph.add("Max", [variance, graph.constant("c/0", np.float32(0))])
    return graph.add("Sqrt", [variance])
