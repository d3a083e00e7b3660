"""Networks as ONNX: exported from torch once, kept, and run without torch from then on.

On a CPU that is two to three times as fast as eager torch, and nothing of torch need be loaded for
it. What was exported is only ever used if it computes what torch computes. The bundled networks are
ONNX already.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import inspect
import io
import json
import logging
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.cache_folder import CacheFolder
from ...core.privacy import load_onnxruntime
from .onnx_runtime import OnnxRuntime, session_options
from .spec import BackboneSpec
from .weights import Weights

if TYPE_CHECKING:
    import torch

EXPORT_FORMAT = 3
"""To be raised when the same network would now be exported otherwise."""

TOLERANCE = 1e-3
"""What exported features may differ from torch's, as a part of the largest of them."""

MOST_MEGABYTES = 1500
"""Larger networks aren't exported: an ONNX file ends at 2 GB."""

_OPSET = 17


class ExportError(Exception):
    """An error about a network that can't be had as ONNX; the message says why."""


def exported(spec: BackboneSpec, weights: Weights, cache_dir: Path) -> bytes:
    """The network of `spec` with these weights as ONNX; exported first where `cache_dir` does not
    hold it, or not whole.

    Raises:
        ExportError: it can't be exported, or would compute something else. That is remembered.
        WeightsError: see `load_network`.
    """
    if spec.megabytes > MOST_MEGABYTES:
        raise ExportError(f"{spec.name} is too large for an ONNX file")
    kept = _Kept(spec, weights, cache_dir)
    if (model := kept.read()) is not None:
        return model
    if reason := kept.refusal():
        raise ExportError(reason)
    try:
        model = export(spec, weights.path)
    except ExportError as error:
        kept.refuse(str(error))
        raise
    kept.write(model)
    return model


def export(spec: BackboneSpec, weights: Path) -> bytes:
    """The network of `spec` as ONNX: `pixels` (n, size, size, 3) uint8 to `features` (n, D).

    Raises:
        ExportError: it can't be, or the result differs from torch's by more than `TOLERANCE`.
        WeightsError: see `load_network`.
    """
    import torch

    from .network import load_network
    from .planes import FromPixels

    network = FromPixels(load_network(spec, weights), spec).eval()
    size = spec.geometry.size
    noise = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (3, size, size, 3), generator=noise, dtype=torch.uint8)
    with torch.inference_mode():
        wanted = network(pixels).float().numpy()
    try:
        model = _simplified(_as_onnx(network, pixels[:2]))
        found = OnnxRuntime(model).run(pixels.numpy())
    except Exception as error:  # the exporter's and the runtime's own, which are many
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ExportError(f"{spec.name} can't be exported: {reason[0][:200]}") from error
    difference = float(np.abs(found - wanted).max()) if found.shape == wanted.shape else np.inf
    if not difference <= TOLERANCE * max(1.0, float(np.abs(wanted).max())):
        raise ExportError(f"{spec.name} computes something else as ONNX (by {difference:.2g})")
    return model


def _as_onnx(network: torch.nn.Module, example: torch.Tensor) -> bytes:
    import torch

    out: Any = io.BytesIO()  # which torch takes, whatever it declares
    arguments: dict[str, Any] = {
        "input_names": ["pixels"],
        "output_names": ["features"],
        "dynamic_axes": {"pixels": {0: "n"}, "features": {0: "n"}},
        "opset_version": _OPSET,
    }
    # The newer exporter needs a package more, and takes ten times as long.
    if "dynamo" in inspect.signature(torch.onnx.export).parameters:
        arguments["dynamo"] = False
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # that sizes of maps become constants, as they should
            torch.onnx.export(network, (example,), out, **arguments)
    finally:
        logging.disable(level)
    return out.getvalue()


def _simplified(model: bytes) -> bytes:
    """The same network as ONNX Runtime puts it, so that sessions begin sooner: all but what suits
    one kind of processor alone, since a cache may be shared by several."""
    onnxruntime = load_onnxruntime()
    options = session_options()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "simplified.onnx"
        options.optimized_model_filepath = str(path)
        onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        return path.read_bytes()


class _Kept:
    """The sealed files of the cache for one network: the model, or why there is none."""

    def __init__(self, spec: BackboneSpec, weights: Weights, cache_dir: Path) -> None:
        made_by = {
            "format": EXPORT_FORMAT,
            "opset": _OPSET,
            "weights_sha256": weights.sha256,
            **spec.recipe(),
            **{name: importlib.metadata.version(name) for name in ("torch", "onnx", "onnxruntime")},
        }
        key = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).hexdigest()[:24]
        self._files = CacheFolder(cache_dir, "networks")
        self._name, self._refusal = (f"{spec.name}-{key}.{kind}" for kind in ("onnx", "refused"))

    def read(self) -> bytes | None:
        """The model; None where there is none, or not whole."""
        return self._files.read(self._name)

    def write(self, model: bytes) -> None:
        """Keep the model, if that can be; without it the next one will export again."""
        with contextlib.suppress(OSError):
            self._files.write(self._name, model)

    def refusal(self) -> str:
        """Why there can be no model; empty where that is not known."""
        return (self._files.read(self._refusal) or b"").decode()

    def refuse(self, reason: str) -> None:
        """Remember why there can be no model."""
        with contextlib.suppress(OSError):
            self._files.write(self._refusal, reason.encode())
