"""The networks that find and describe faces, as ONNX files that come with tll-index."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ...core.privacy import load_onnxruntime

_SHIPPED = Path(__file__).resolve().parent / "shipped"

DETECTION = _SHIPPED / "face_detection.onnx"
"""YuNet: faces in a picture; see `proposals`."""
LANDMARKS = _SHIPPED / "face_landmarks.onnx"
"""O-Net: five points of one face; see `landmarks`."""
RECOGNITION = _SHIPPED / "face_recognition_int8.onnx"
"""dlib's network in 8 bits: from chips, (n, 150, 150, 3) uint8 `pixels`, to (n, 128) float32
`features`."""
RECOGNITION_WIDTH = 128


def load_session(model: Path) -> Any:
    """The network, on one thread: pictures are decoded by as many processes as there are cores."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
