"""A network on the CPU: by ONNX Runtime for few pictures, by OpenVINO for many."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path

import numpy as np

from ...core.contracts import Features, Pixels
from .onnx_runtime import OnnxRuntime
from .openvino_runtime import OpenVinoRuntime, has_bf16, has_openvino

MANY = 16
"""From so many pictures at once, OpenVINO: it takes longer to begin, and more memory.
What a batch becomes depends on its size alone, so the same call gives the same features."""


BF16_COSINE = 0.9999
"""What features in bf16 must have in common with those in float32, to be mixed with them in a
store. Single ones differ by more than in float16, since a value has eight bits."""


class HalfRuntime:
    """A large network in float32 by ONNX Runtime for few pictures, and in bf16 by OpenVINO for
    many, where the processor can and the features have the cosine `BF16_COSINE`."""

    name = "onnx cpu, bf16 for many"

    def __init__(self, model: bytes, size: int, cache_dir: Path) -> None:
        """
        Args:
            model: what its ONNX file holds.
            size: of its input, in pixels a side.
            cache_dir: see `OpenVinoRuntime`.
        """
        self._model, self._size, self._cache_dir = model, size, cache_dir
        self._few = OnnxRuntime(model)
        self._lock = threading.Lock()

    def run(self, pixels: Pixels) -> Features:
        """See `Runtime.run`."""
        if len(pixels) < MANY:
            return self._few.run(pixels)
        with self._lock:
            many = self._many
        return (many or self._few).run(pixels)

    @cached_property
    def _many(self) -> OpenVinoRuntime | None:
        """None where it is not to be had, or computes something else."""
        if not has_bf16():
            return None
        half = OpenVinoRuntime(self._model, self._cache_dir, "bf16")
        shape = (4, self._size, self._size, 3)
        noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
        wanted, found = self._few.run(noise), half.run(noise)
        norms = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
        cosines = (found * wanted).sum(axis=1) / norms
        return half if cosines.min() >= BF16_COSINE else None  # not where it is NaN


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

    def run(self, pixels: Pixels, among: int = 0) -> Features:
        """See `Runtime.run`.

        Args:
            among: of how many pictures these are some, where another network sees all of them: both
                then go the same way.
        """
        return self._for(max(among, len(pixels))).run(pixels)

    def prepare(self, count: int) -> None:
        """Load what a batch of so many pictures needs."""
        self._for(count)

    def _for(self, count: int) -> OnnxRuntime | OpenVinoRuntime:
        with self._lock:  # or two threads would load it
            if self._uses_many and (count >= MANY or not self._uses_few):
                return self._many
            return self.few

    @cached_property
    def few(self) -> OnnxRuntime:
        """The network in ONNX Runtime."""
        return OnnxRuntime(self._model)

    @cached_property
    def _many(self) -> OpenVinoRuntime:
        return OpenVinoRuntime(self._model, self._cache_dir)
