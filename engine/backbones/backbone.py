"""A loaded backbone: RGB batches in, feature vectors out."""

from __future__ import annotations

import os

import numpy as np
from numpy.typing import NDArray

from ...core.config import Settings, load_settings
from ...core.contracts import Features, Pixels
from ...core.paths import named
from ..images.batches import Faces
from .cpu_runtime import CpuRuntime
from .libraries import require_libraries
from .registry import DEFAULT, BackboneSpec, spec_of
from .runtime import Runtime, load_recognition, load_runtime
from .weights import Weights, locate


class Backbone:
    """A frozen network with its own preprocessing. Made by `load_backbone`."""

    def __init__(
        self,
        spec: BackboneSpec,
        weights: Weights,
        runtime: Runtime,
        recognition: CpuRuntime | None = None,
    ) -> None:
        self.spec = spec
        self.weights = weights
        self.runtime = runtime
        self.recognition = recognition
        """What describes faces, of a backbone that compares them."""

    def converting(self, conversion: int) -> Backbone:
        """The same, its pictures made RGB by other rules."""
        spec = self.spec.converting(conversion)
        return Backbone(spec, self.weights, self.runtime, self.recognition)

    def prepare(self, count: int) -> None:
        """Load what a batch of so many pictures needs, where the runtime would wait for one."""
        for runtime in (self.runtime, self.recognition):
            if (prepare := getattr(runtime, "prepare", None)) is not None:
                prepare(count)

    def features(self, pixels: Pixels, faces: Faces | None = None) -> Features:
        """Pooled layers, side by side, not normalised.

        Args:
            pixels: (n, size, size, 3) uint8 RGB, as `engine.decode` gives them; n may be 0.
            faces: those that were found in these pictures (see `batch_of`), for a backbone that
                compares them; None is none.

        Returns:
            (n, D) float32; of a backbone that compares faces, their values and presence come last.
        """
        if len(pixels) == 0:
            return np.empty((0, self.spec.dimension), np.float32)
        return self.with_faces(self.runtime.run(pixels), faces)

    def with_faces(self, whole: Features, faces: Faces | None) -> Features:
        """(n, whole_dimension), the features of whole pictures -> (n, D): those of their faces
        beside, zeros for pictures without one; the same where no faces are compared."""
        if self.spec.faces is None or self.recognition is None:
            return whole
        found = np.zeros((len(whole), self.spec.faces.values + 1), np.float32)
        if faces is not None:
            rows = np.flatnonzero(faces.scores > 0)
            values = self.recognition.run(faces.chips, len(whole))
            if self.spec.faces.mirrored:
                mirrored = np.ascontiguousarray(faces.chips[:, :, ::-1])
                values = (values + self.recognition.run(mirrored, len(whole))) * np.float32(0.5)
            found[rows, :-1] = values
            found[rows, -1] = faces.scores[rows]
        return np.hstack([whole, found])


def normalised(pixels: Pixels, spec: BackboneSpec) -> NDArray[np.float32]:
    """(n, height, width, 3) uint8 -> (n, 3, height, width) float32: (pixels / 255 - mean) / std."""
    mean, std = (np.array(some, np.float32)[:, None, None] for some in (spec.mean, spec.std))
    scale, shift = np.float32(1) / (np.float32(255) * std), mean / std
    count, height, width, channels = pixels.shape
    batch = np.empty((count, channels, height, width), np.float32)
    for picture, planes in zip(pixels, batch, strict=True):  # one fits into a processor's cache
        planes[:] = picture.transpose(2, 0, 1)
        planes *= scale
        planes -= shift
    return batch


def load_backbone(
    name: str = DEFAULT,
    *,
    weights: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
) -> Backbone:
    """Load a backbone by its registry name.

    Args:
        name: see `tll-index backbones`.
        weights: a weights file to use instead of the one that is found.

    Raises:
        UsageError: no such backbone or device.
        WeightsError: missing or damaged weights; says how to get them.
        TllError: what it is run by isn't installed.
    """
    settings = settings or load_settings()
    spec = spec_of(name)
    require_libraries(spec, settings)
    located = locate(spec, settings.weights_dir, named(weights) if weights is not None else None)
    require_libraries(spec, settings, located.path)
    recognition = None if spec.faces is None else load_recognition(settings)
    return Backbone(spec, located, load_runtime(spec, located, settings), recognition)
