"""Rows about the bundled network in 8 bits: against itself in float32, alone and in a build, and
against what the processor could do."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from tll_index.core.config import cores
from tll_index.core.privacy import load_openvino
from tll_index.engine.backbones.backbone import load_backbone
from tll_index.engine.backbones.registry import DEFAULT, IN_FLOAT
from tll_index.engine.backbones.runtime import pictures_a_pass

from ..harness import Finding, in_turn
from ..processes import run_watched
from .network import squares
from .workload import Workload, copied

TIMES = 3.0
MEMORY = 700e6
OPERATIONS = 1.54e9
"""Of the network for a picture, both views: two for each product and sum."""
_SIDE = 1536
"""Of the matrices whose product says what the processor can do."""


def rates(workload: Workload) -> Finding:
    """Pictures a second of both rows, and operations a second of large products, in turn."""
    count = pictures_a_pass(workload.settings)
    batch = squares(workload, workload.pictures.some(count).paths)
    settings = replace(workload.settings, device="cpu", runtime="auto")
    one, other = (load_backbone(name, settings=settings) for name in (DEFAULT, IN_FLOAT))
    products = {f"{kind}_product": product(kind) for kind in ("f32", "bf16", "int8")}
    works: dict[str, Callable[[int], object]] = {
        "int8": lambda _: one.features(batch),
        "float32": lambda _: other.features(batch),
        **{name: (lambda _, run=run: run()) for name, run in products.items()},  # type: ignore[misc]
    }
    taken = in_turn(works, workload.sizes.model_rounds)
    ratios = [slow / fast for fast, slow in zip(taken["int8"], taken["float32"], strict=True)]
    found = {name: count / median(taken[name]) for name in ("int8", "float32")}
    peaks = {name: 2 * _SIDE**3 / min(taken[name]) for name in products}
    ratio = median(ratios)
    return Finding(
        ratio,
        ratio >= TIMES,
        {
            **{f"{name}_pictures_per_second": rate for name, rate in found.items()},
            "each_round": ratios,
            **{f"{name}_operations_per_second": peak for name, peak in peaks.items()},
            "share_of_int8_peak": found["int8"] * OPERATIONS / peaks["int8_product"],
            "share_of_float32_peak": found["float32"] * OPERATIONS / peaks["f32_product"],
        },
        f"{DEFAULT} by OpenVINO and {IN_FLOAT} by ONNX Runtime, batches of {count}, "
        f"{workload.sizes.model_rounds} rounds in turn, median of the rounds' ratios; peaks are "
        f"those of the best product of two matrices of {_SIDE} by {_SIDE} in OpenVINO",
    )


def product(kind: str) -> Callable[[], None]:
    """Multiplies two large matrices on each core, in f32, bf16 or int8."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    rng = np.random.default_rng(0)
    values = rng.integers(-60, 60, (_SIDE, _SIDE)).astype(np.int8)
    nodes: list[Any] = []
    constants: dict[str, Any] = {"weights": values.astype(np.float32)}
    inputs = ["x", "weights"]
    if kind == "int8":
        scale, zero = np.float32(0.02), np.uint8(128)
        constants = {"coded": values, "scale": scale, "zero": zero, "even": np.int8(0)}
        nodes += [
            helper.make_node("QuantizeLinear", ["x", "scale", "zero"], ["bytes"]),
            helper.make_node("DequantizeLinear", ["bytes", "scale", "zero"], ["real"]),
            helper.make_node("DequantizeLinear", ["coded", "scale", "even"], ["weights"]),
        ]
        inputs = ["real", "weights"]
    nodes.append(helper.make_node("MatMul", inputs, ["out"]))
    square = [_SIDE, _SIDE]
    graph = helper.make_graph(
        nodes,
        "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, square)],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, square)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    openvino: Any = load_openvino()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "product.onnx"
        onnx.save(model, str(file))
        core = openvino.Core()
        compiled = core.compile_model(
            core.read_model(str(file)),
            "CPU",
            {
                "INFERENCE_PRECISION_HINT": "bf16" if kind == "bf16" else "f32",
                "NUM_STREAMS": 1,
                "INFERENCE_NUM_THREADS": cores(),
            },
        )
    request = compiled.create_infer_request()
    request.set_input_tensor(openvino.Tensor(rng.normal(size=square).astype(np.float32)))
    return lambda: request.infer()


def builds(workload: Workload) -> Finding:
    """`tll-index build` with both rows, in turn, each a process of its own, and what it held."""
    sizes = workload.sizes
    folder, store = workload.scratch / "eight-bits", workload.scratch / "eight-bits-store"
    paths = copied(workload.pictures.some(sizes.build_pictures).paths, folder)
    peaks: dict[str, float] = {}

    def build(name: str) -> None:
        command = [sys.executable, "-m", "tll_index", "build", str(folder), "--quiet"]
        command += ["--store", str(store), "--backbone", name]
        held = run_watched(command)
        peaks[name] = max(peaks.get(name, 0.0), held.resident + held.children)
        shutil.rmtree(store)

    taken = in_turn(
        {name: (lambda _, name=name: build(name)) for name in (DEFAULT, IN_FLOAT)},  # type: ignore[misc]
        sizes.build_rounds,
    )
    shutil.rmtree(folder)
    ratios = [slow / fast for fast, slow in zip(taken[DEFAULT], taken[IN_FLOAT], strict=True)]
    ratio = median(ratios)
    return Finding(
        ratio,
        ratio >= TIMES and peaks[DEFAULT] <= MEMORY,
        {
            **{
                f"{'float32' if name == IN_FLOAT else 'int8'}_pictures_per_second": len(paths)
                / median(of_each)
                for name, of_each in taken.items()
            },
            "each_round": ratios,
            "int8_peak_bytes": peaks[DEFAULT],
            "float32_peak_bytes": peaks[IN_FLOAT],
        },
        f"`tll-index build` on {len(paths):,} pictures of {workload.pictures.name}, from the "
        f"shell's view (its start among it), {sizes.build_rounds} rounds in turn, median of the "
        "rounds' ratios; memory is the sum of the peaks of the process and of its children",
    )
