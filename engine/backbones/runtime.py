"""How a network is run: the one seam between NumPy and a deep-learning runtime.

Everything before it (decoding, resizing) and after it (lens, search) is NumPy, so another runtime
is another class with the same two members: torch's is here, others in `onnx_runtime`,
`openvino_runtime` and `cpu_runtime`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ...core.config import Settings
from ...core.contracts import Features, Pixels
from ...core.errors import UsageError
from ...core.extras import is_installed
from .registry import IN_FLOAT
from .spec import BackboneSpec
from .weights import Weights

if TYPE_CHECKING:
    import torch

    from .cpu_runtime import CpuRuntime


class Runtime(Protocol):
    """A loaded network."""

    name: str
    """What runs it and where, such as `torch cpu`."""

    def run(self, pixels: Pixels) -> Features:
        """(n, size, size, 3) uint8 RGB -> (n, D) float32."""


def load_runtime(spec: BackboneSpec, weights: Weights, settings: Settings) -> Runtime:
    """The network of `spec`, ready to run as `settings.runtime` and `settings.device` say.

    Raises:
        WeightsError: see `load_network`.
        UsageError: there is no such device, or what is asked for can't be had.
    """
    wanted, device = settings.runtime, settings.device
    if wanted in ("onnx", "openvino") and device not in ("auto", "cpu"):
        raise UsageError(f"runtime {wanted} is for the CPU; device {device!r} needs runtime torch")
    if wanted == "openvino":
        from .openvino_runtime import has_openvino

        if not has_openvino():
            raise UsageError("runtime openvino: pip install openvino; or take auto")
    if spec.precision == "int8":
        return _in_bytes(spec, weights, settings)
    on_cpu = device == "cpu" or (device == "auto" and (wanted != "auto" or not has_gpu()))
    if wanted != "torch" and on_cpu:
        from .onnx_export import ExportError, exported

        cache = settings.cache_dir
        try:
            model = weights.path if weights.is_graph else exported(spec, weights, cache)
        except ExportError as error:
            if wanted != "auto":
                raise UsageError(f"runtime {wanted}: {error}; use torch, or auto") from None
        else:
            if wanted == "openvino":
                from .openvino_runtime import OpenVinoRuntime

                return OpenVinoRuntime(model, settings.cache_dir)
            if wanted == "auto" and isinstance(model, bytes) and spec.megabytes >= LARGE:
                from .cpu_runtime import HalfRuntime

                return HalfRuntime(model, spec.geometry.size, cache)
            from .onnx_runtime import OnnxRuntime

            return OnnxRuntime(model)
    from .network import load_network

    return TorchRuntime(load_network(spec, weights.path), device, spec.geometry.size, spec)


def load_recognition(settings: Settings) -> CpuRuntime:
    """The network that describes faces, ready to run as `settings.runtime` says."""
    from ..faces.networks import RECOGNITION

    return _in_both(RECOGNITION, settings)


def _in_bytes(spec: BackboneSpec, weights: Weights, settings: Settings) -> Runtime:
    wanted, device = settings.runtime, settings.device
    if wanted == "torch" or device not in ("auto", "cpu"):
        what = "runtime torch" if wanted == "torch" else f"device {device!r}"
        raise UsageError(
            f"{what}: {spec.name} is computed in 8 bits, on the CPU; take the backbone {IN_FLOAT}"
        )
    return _in_both(weights.path, settings)


def _in_both(model: Path, settings: Settings) -> CpuRuntime:
    """A network in 8 bits, by one runtime or both, as `settings.runtime` says."""
    from .cpu_runtime import CpuRuntime

    wanted = settings.runtime
    return CpuRuntime(model, settings.cache_dir, few=wanted != "openvino", many=wanted != "onnx")


def has_gpu() -> bool:
    """Whether torch can use a GPU here. It is only loaded, and asked, where there is a driver for
    one: that takes seconds, which a query on a CPU should not wait for."""
    if not (any(os.path.exists(path) for path in _DRIVERS) and is_installed("torch")):
        return False
    import torch

    return torch.cuda.is_available()


_DRIVERS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
"""NVIDIA's, Windows' for Linux, AMD's."""


def pictures_a_pass(settings: Settings) -> int:
    """How many pictures to put through a network at once, and into a transaction."""
    if settings.batch_size:
        return settings.batch_size
    on_gpu = settings.device != "cpu" and settings.runtime != "onnx" and has_gpu()
    return _ON_GPU if on_gpu else _ON_CPU


_ON_CPU, _ON_GPU = 32, 256
"""Where a GPU's memory holds less, `TorchRuntime` takes what it holds."""

HALF_TOLERANCE = 1e-3
"""What features in float16 may differ from others, as a part of the largest of them: as much as
those of ONNX Runtime may, so that all are interchangeable in a store."""

LARGE = 50
"""Megabytes of weights from which a network gains by half precision more than it takes to begin."""


class TorchRuntime:
    """A network in eager torch, channels-last, on the CPU or a CUDA GPU. There it computes in half
    precision, if that is found to give the same features."""

    def __init__(
        self,
        network: torch.nn.Module,
        device: str = "auto",
        size: int = 0,
        spec: BackboneSpec | None = None,
    ) -> None:
        """
        Args:
            size: of its input, in pixels a side; 0 leaves half precision out.
            spec: says how pixels are normalised; None leaves them as they are.
        """
        import torch

        from .planes import Planes

        self._device = torch_device(device)
        self._network = network.to(self._device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._planes = Planes(spec).to(self._device)
        self._half = False
        if size and self._device.type == "cuda":
            self._half = self.half_is_faithful(size)
        self.name = f"torch {self._device}{' half' if self._half else ''}"

    def run(self, pixels: Pixels) -> Features:
        """See `Runtime.run`. Where the memory holds no such batch, it is halved."""
        import torch

        try:
            return self._run(pixels, self._half)
        except torch.cuda.OutOfMemoryError:
            if len(pixels) < 2:
                raise
        middle = len(pixels) // 2
        return np.concatenate([self.run(pixels[:middle]), self.run(pixels[middle:])])

    def half_is_faithful(self, size: int) -> bool:
        """Whether float16 gives the features of float32, to `HALF_TOLERANCE`, on pictures of
        noise."""
        noise = np.random.default_rng(0).integers(0, 256, (4, size, size, 3), dtype=np.uint8)
        wanted, found = (self._run(noise, half) for half in (False, True))
        difference = np.abs(found - wanted).max()
        return bool(difference <= HALF_TOLERANCE * np.abs(wanted).max())  # not where it is NaN

    def _run(self, squares: Pixels, half: bool) -> Features:
        import torch

        with (
            torch.inference_mode(),
            torch.autocast(self._device.type, torch.float16, enabled=half),
        ):
            pixels = torch.from_numpy(np.ascontiguousarray(squares))
            if self._device.type == "cuda":
                pixels = pixels.pin_memory()  # from where a GPU fetches by itself
            planes = self._planes(pixels.to(self._device, non_blocking=True))
            features: Features = self._network(planes).float().cpu().numpy()
        return features


def torch_device(device: str = "auto") -> torch.device:
    """The device of that name; auto is a GPU where there is one.

    Raises:
        UsageError: there is no such device, or nothing can be computed on it.
    """
    import torch

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        found = torch.device(device)
        if found.type not in ("cpu", "cuda", "mps", "xpu"):
            raise RuntimeError("not a device to compute on")
        torch.empty(1, device=found)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise UsageError(f"device {device!r} can't be used: {reason}") from None
    return found
