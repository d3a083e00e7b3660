"""ONNX Runtime: a network on the CPU, without torch, ready in a tenth of a second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...core.config import cores
from ...core.contracts import Features, Pixels
from ...core.privacy import load_onnxruntime


class OnnxRuntime:
    """A network in ONNX Runtime on the CPU: from `pixels` to `features`, see `bundled.graph`."""

    name = "onnx cpu"

    def __init__(self, model: bytes | Path) -> None:
        """`model`: an ONNX file, or what it holds."""
        self._session = load_session(model)

    def run(self, pixels: Pixels) -> Features:
        """See `Runtime.run`."""
        (features,) = self._session.run(["features"], {"pixels": np.ascontiguousarray(pixels)})
        return np.asarray(features, np.float32)


def load_session(model: bytes | Path) -> Any:
    """The model of that file, or of its bytes, ready to run on the CPU."""
    source = model if isinstance(model, bytes) else str(model)
    return load_onnxruntime().InferenceSession(
        source, session_options(), providers=["CPUExecutionProvider"]
    )


def session_options() -> Any:
    """Of a session that leaves the cores to decoders while it waits."""
    options = load_onnxruntime().SessionOptions()
    options.intra_op_num_threads = cores()
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    # Threads that wait would take the cores from those that decode pictures.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
