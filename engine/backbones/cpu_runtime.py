"""A bundled network on the CPU: by ONNX Runtime for few pictures, by OpenVINO for many."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path

from ...core.contracts import Features, Pixels
from .onnx_runtime import OnnxRuntime
from .openvino_runtime import OpenVinoRuntime, has_openvino

MANY = 16
"""From so many pictures at once, OpenVINO: it takes longer to begin, and three times the memory.
What a batch becomes depends on its size alone, so the same call gives the same features."""


class CpuRuntime:
    """A network in 8 bits, in both runtimes, each loaded when it is first needed.

    Both compute the same whole numbers but where values are added and rounded, so features agree to
    a cosine of about 0.999; see docs/decisions/networks.md for what that does to results.
    """

    name = "8 bits cpu"

    def __init__(
        self, model: Path, cache_dir: Path | None = None, few: bool = True, many: bool = True
    ) -> None:
        """
        Args:
            model: the ONNX file.
            cache_dir: see `OpenVinoRuntime`.
            few, many: which of the runtimes to use, ONNX Runtime and OpenVINO.
        """
        self._model = model
        self._cache_dir = cache_dir
        self._uses_few, self._uses_many = few or not many, many and (not few or has_openvino())
        self._lock = threading.Lock()

    def run(self, pixels: Pixels) -> Features:
        """See `Runtime.run`."""
        if self._uses_many and (len(pixels) >= MANY or not self._uses_few):
            with self._lock:
                return self._many.run(pixels)
        return self.few.run(pixels)

    def prepare(self, count: int) -> None:
        """Load what a batch of so many pictures needs."""
        if self._uses_many and (count >= MANY or not self._uses_few):
            with self._lock:
                _ = self._many
        else:
            _ = self.few

    @cached_property
    def few(self) -> OnnxRuntime:
        """The network in ONNX Runtime."""
        return OnnxRuntime(self._model)

    @cached_property
    def _many(self) -> OpenVinoRuntime:
        return OpenVinoRuntime(self._model, self._cache_dir)
