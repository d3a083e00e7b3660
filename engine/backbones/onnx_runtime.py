"""ONNX Runtime: a network on the CPU, without torch, ready in a tenth of a second."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.config import cores
from ...core.contracts import Features, Pixels
from ...core.privacy import load_onnxruntime


class OnnxRuntime:
    """A network in ONNX Runtime on the CPU: from `pixels` to `features`, see `bundled.graph`."""

    name = "onnx cpu"

    def __init__(self, model: bytes | Path) -> None:
        """`model`: an ONNX file, or what it holds."""
        self._model = model
        self._session = _session(model)

    def run(self, pixels: Pixels) -> Features:
        """See `Runtime.run`."""
        (features,) = self._session.run(["features"], {"pixels": np.ascontiguousarray(pixels)})
        return np.asarray(features, np.float32)

    def maps(self, pixels: Pixels, layers: Sequence[str]) -> list[NDArray[np.float32]]:
        """What the network pools of these layers: (views * n, channels, height, width) each, the
        first views of all pictures first. Only of a network that names its maps."""
        names = [f"maps/{layer}" for layer in layers]
        data = self._model if isinstance(self._model, bytes) else self._model.read_bytes()
        session = _session(with_outputs(data, names))
        found: list[NDArray[np.float32]] = session.run(names, {"pixels": pixels})
        return found


def with_outputs(model: bytes, names: Iterable[str]) -> bytes:
    """The same ONNX model, from which these tensors can be asked as well.

    A message in protobuf's encoding that follows another one adds to it: the graph (field 7 of the
    model) gets more outputs (its field 12), each with a name (field 1) alone.
    """
    outputs = b"".join(_field(12, _field(1, name.encode())) for name in names)
    return model + _field(7, outputs)


def _field(number: int, body: bytes) -> bytes:
    length, coded = len(body), bytearray([number << 3 | 2])
    while length > 0x7F:
        coded.append(length & 0x7F | 0x80)
        length >>= 7
    return bytes(coded) + bytes([length]) + body


def _session(model: bytes | Path) -> Any:
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
