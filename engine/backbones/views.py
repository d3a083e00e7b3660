"""Several views of one picture: the whole of it and its middle, each through the same network."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import interpolate

from .spec import View


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
    """(n, 3, side, side) -> (n, 3, view.size, view.size), by antialiased bicubic interpolation, or
    by the linear one of bundled networks.

    The first is linear in rows and in columns, so it is two products with one matrix: exporters
    know those, and have no antialiasing.
    """
    start, kept = kept_of(int(pixels.shape[-1]), view)
    middle = pixels[:, :, start : start + kept, start : start + kept]
    if kept == view.size:
        return middle
    if view.interpolation == "linear":
        return interpolate(middle, view.size, mode="bilinear", align_corners=False)
    matrix = torch.from_numpy(resampling(kept, view.size)).to(pixels.device, pixels.dtype)
    return matrix @ middle @ matrix.T


def kept_of(side: int, view: View) -> tuple[int, int]:
    """Where what the view keeps of a square begins, and how long it is, in pixels."""
    kept = round(side * view.keep)
    return (side - kept) // 2, kept


@lru_cache(maxsize=32)
def resampling(before: int, after: int) -> NDArray[np.float32]:
    """(after, before): what interpolation does to one column."""
    columns = torch.eye(before)[None, None]
    size = after, before
    rows = interpolate(columns, size, mode="bicubic", align_corners=False, antialias=True)
    return rows[0, 0].numpy()
