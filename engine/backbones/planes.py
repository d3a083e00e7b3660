"""Squares of bytes as torch's networks want them: planes of normalised numbers."""

from __future__ import annotations

import torch

from .spec import BackboneSpec


class Planes(torch.nn.Module):
    """(n, size, size, 3) uint8 RGB -> (n, 3, size, size) float32, channels last in memory:
    (pixels / 255 - mean) / std. Without a spec, the pixels as they are."""

    def __init__(self, spec: BackboneSpec | None) -> None:
        super().__init__()
        mean, std = ((0.0,) * 3, (1 / 255,) * 3) if spec is None else (spec.mean, spec.std)
        deviations = torch.tensor(std)[:, None, None]
        self.scale: torch.Tensor
        self.shift: torch.Tensor
        self.register_buffer("scale", 1 / (255 * deviations))
        self.register_buffer("shift", torch.tensor(mean)[:, None, None] / deviations)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """See the class."""
        planes = pixels.permute(0, 3, 1, 2).float()
        return planes * self.scale - self.shift


class FromPixels(torch.nn.Module):
    """A network behind its `Planes`: squares of bytes in, features out."""

    def __init__(self, network: torch.nn.Module, spec: BackboneSpec) -> None:
        super().__init__()
        self.planes = Planes(spec)
        self.network = network

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, size, size, 3) uint8 RGB -> (n, D) float32."""
        return self.network(self.planes(pixels))
