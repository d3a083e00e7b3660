"""Several looks at one picture: the whole of it and its middle, each through the same network."""

from __future__ import annotations

import torch
from torch.nn.functional import interpolate

from ..registry import View


class Views(torch.nn.Module):
    """A network that sees each square several times; its vectors are set side by side."""

    def __init__(self, network: torch.nn.Module, views: tuple[View, ...]) -> None:
        super().__init__()
        self.network = network
        self.views = views

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, size, size) float32 -> (n, D) float32."""
        return torch.cat([self.network(seen(pixels, view)) for view in self.views], dim=1)


def seen(pixels: torch.Tensor, view: View) -> torch.Tensor:
    """(n, 3, side, side) -> (n, 3, view.size, view.size)."""
    side = pixels.shape[-1]
    kept = round(side * view.keep)
    start = (side - kept) // 2
    middle = pixels[:, :, start : start + kept, start : start + kept]
    if kept == view.size:
        return middle
    return interpolate(
        middle, (view.size, view.size), mode="bicubic", align_corners=False, antialias=True
    )
