"""OpenVINO: many pictures on the CPU, in 8 bits at three times the speed of float32."""

from __future__ import annotations

import importlib.util
import io
from pathlib import Path
from typing import Any

import numpy as np

from ...core.config import cores
from ...core.contracts import Features, Pixels
from ...core.privacy import load_openvino

CHUNK = 4
"""Pictures that a thread puts through the network at a time; fewer are filled up. More are not
faster, and take more memory."""


def has_openvino() -> bool:
    """Whether it is installed; not every system has it."""
    return importlib.util.find_spec("openvino") is not None


class OpenVinoRuntime:
    """A network in OpenVINO on the CPU: from `pixels` to `features`, see `bundled.graph`. Each core
    has a stream of its own, of one thread."""

    name = "openvino cpu"

    def __init__(self, model: bytes | Path, precision: str = "f32") -> None:
        """
        Args:
            model: an ONNX file, or what it holds.
            precision: of what is not in whole numbers: f32 or bf16, as OpenVINO calls them.
        """
        openvino = load_openvino()
        core = openvino.Core()
        source = io.BytesIO(model) if isinstance(model, bytes) else str(model)
        network = core.read_model(source)
        _, *square = network.input().partial_shape
        network.reshape([CHUNK, *square])
        streams = cores()
        compiled = core.compile_model(
            network,
            "CPU",
            {
                "PERFORMANCE_HINT": "THROUGHPUT",
                "INFERENCE_PRECISION_HINT": precision,
                "NUM_STREAMS": streams,
                "INFERENCE_NUM_THREADS": streams,
                "ENABLE_CPU_PINNING": False,  # decoders want cores too
            },
        )
        self._width = int(compiled.output().shape[1])
        self._queue: Any = openvino.AsyncInferQueue(compiled, streams)

    def run(self, pixels: Pixels) -> Features:
        """See `Runtime.run`. One caller at a time."""
        features = np.empty((len(pixels), self._width), np.float32)

        def keep(request: Any, at: int) -> None:
            rows = features[at : at + CHUNK]
            rows[:] = request.get_output_tensor(0).data[: len(rows)]

        self._queue.set_callback(keep)
        for at in range(0, len(pixels), CHUNK):
            self._queue.start_async({0: _filled(pixels[at : at + CHUNK])}, at)
        self._queue.wait_all()
        return features


def _filled(pixels: Pixels) -> Pixels:
    if len(pixels) == CHUNK:
        return np.ascontiguousarray(pixels)
    filled = np.zeros((CHUNK, *pixels.shape[1:]), np.uint8)
    filled[: len(pixels)] = pixels
    return filled
