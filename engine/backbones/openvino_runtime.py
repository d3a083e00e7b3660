"""OpenVINO: many pictures on the CPU, in 8 bits at three times the speed of float32."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import threading
from pathlib import Path
from typing import Any

import numpy as np

from ...core.cache_folder import CacheFolder
from ...core.config import cores
from ...core.contracts import Features, Pixels
from ...core.extras import is_installed
from ...core.privacy import load_openvino

CHUNK = 4
"""Pictures that a thread puts through the network at a time; fewer are filled up. More are not
faster, and take more memory."""


def has_openvino() -> bool:
    """Whether it is installed; not every system has it."""
    return is_installed("openvino")


def has_bf16() -> bool:
    """Whether OpenVINO is here, and the processor computes in bf16."""
    if not has_openvino():
        return False
    return "BF16" in load_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


class OpenVinoRuntime:
    """A network in OpenVINO on the CPU: from `pixels` to `features`, see `bundled.graph`. Each core
    has a stream of its own, of one thread."""

    name = "openvino cpu"

    def __init__(
        self, model: bytes | Path, cache_dir: Path | None = None, precision: str = "f32"
    ) -> None:
        """
        Args:
            model: an ONNX file, or what it holds.
            cache_dir: where the network is kept as it is after it was prepared for this kind of
                processor, which takes longer than all else.
            precision: of what is not in whole numbers: f32 or bf16, as OpenVINO calls them.
        """
        openvino = load_openvino()
        core = openvino.Core()
        streams = cores()
        how = {
            "PERFORMANCE_HINT": "THROUGHPUT",
            "INFERENCE_PRECISION_HINT": precision,
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": streams,
            "ENABLE_CPU_PINNING": False,  # decoders want cores too
        }
        data = model if isinstance(model, bytes) else model.read_bytes()
        made_by = [openvino.__version__, precision]
        kept = None if cache_dir is None else _Kept(cache_dir, data, core, made_by)
        compiled = kept.compiled(core, how) if kept is not None else None
        if compiled is None:
            network = core.read_model(io.BytesIO(data))
            _, *square = network.input().partial_shape
            network.reshape([CHUNK, *square])
            compiled = core.compile_model(network, "CPU", how)
            if kept is not None:
                kept.keep(compiled)
        self._lock = threading.Lock()
        self._width = int(compiled.output().shape[1])
        self._queue: Any = openvino.AsyncInferQueue(compiled, streams)

    def run(self, pixels: Pixels) -> Features:
        """See `Runtime.run`. Threads wait for each other: all cores work for each."""
        features = np.empty((len(pixels), self._width), np.float32)

        def keep(request: Any, at: int) -> None:
            rows = features[at : at + CHUNK]
            rows[:] = request.get_output_tensor(0).data[: len(rows)]

        with self._lock:
            self._queue.set_callback(keep)
            for at in range(0, len(pixels), CHUNK):
                self._queue.start_async({0: _filled(pixels[at : at + CHUNK])}, at)
            self._queue.wait_all()
        return features


class _Kept:
    """The sealed file of the cache for one network on one kind of processor."""

    def __init__(self, cache_dir: Path, model: bytes, core: Any, made_by: list[str]) -> None:
        made_for = [
            *made_by,
            CHUNK,
            core.get_property("CPU", "FULL_DEVICE_NAME"),
            *core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"),
        ]
        digest = hashlib.sha256(json.dumps(made_for).encode() + model).hexdigest()
        self._name = f"openvino-{digest[:24]}.blob"
        self._files = CacheFolder(cache_dir, "networks")

    def compiled(self, core: Any, how: dict[str, Any]) -> Any:
        """The network; None where it is not kept whole, or can't be used."""
        if (blob := self._files.read(self._name)) is None:
            return None
        with contextlib.suppress(Exception):  # OpenVINO's, which are many: prepared again
            return core.import_model(io.BytesIO(blob), "CPU", how)
        return None

    def keep(self, compiled: Any) -> None:
        """Keep it, if that can be; without it the next process prepares it again."""
        with contextlib.suppress(OSError):
            self._files.write(self._name, compiled.export_model().getvalue())


def _filled(pixels: Pixels) -> Pixels:
    if len(pixels) == CHUNK:
        return np.ascontiguousarray(pixels)
    filled = np.zeros((CHUNK, *pixels.shape[1:]), np.uint8)
    filled[: len(pixels)] = pixels
    return filled
