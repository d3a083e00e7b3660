"""The networks that come with tll-index, as ONNX files: nothing is exported or fetched for them.

`python -m tll_index.engine.backbones.bundled.make` (`make backbone`) makes the files again from the
published weights, to the byte. Only `make` and what it imports need `onnx` and torch.
"""

from __future__ import annotations

from pathlib import Path


def graph_file(name: str) -> Path:
    """Where the ONNX file of that name is installed."""
    return Path(__file__).resolve().parent / name
