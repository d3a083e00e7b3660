"""Activations of one layer -> one vector: means and deviations by cells, or the class token."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from ..registry import Layer, Pool


def pooled(activations: torch.Tensor, layer: Layer, prefix: int = 0) -> torch.Tensor:
    """The layer's pools side by side: (n, layer.width).

    Args:
        activations: (n, channels, height, width) maps; or (n, tokens, channels), `prefix` tokens
            without a place, the class token first, then those of a square, row after row; or
            (n, channels), which is a map of one position.

    Raises:
        ValueError: they are not what `layer` says.
    """
    maps = _maps(activations, layer, prefix)
    if maps.shape[1] != layer.channels:
        raise ValueError(f"{layer.name} has {maps.shape[1]} channels, not {layer.channels}")
    return torch.cat(
        [
            activations[:, 0] if pool.statistic == "class" else _pooled(maps, pool)
            for pool in layer.pools
        ],
        dim=1,
    )


def _maps(activations: torch.Tensor, layer: Layer, prefix: int) -> torch.Tensor:
    """Those of them that have a place, (n, channels, height, width)."""
    has_class = activations.ndim == 3 and prefix > 0
    if not has_class and any(pool.statistic == "class" for pool in layer.pools):
        raise ValueError(f"{layer.name} has no class token")
    if activations.ndim == 4:
        return activations
    if activations.ndim == 2:
        return activations[:, :, None, None]
    tokens = activations[:, prefix:]
    side = math.isqrt(tokens.shape[1])
    if side**2 != tokens.shape[1]:
        raise ValueError(f"{layer.name} has {tokens.shape[1]} tokens, which make no square")
    return tokens.transpose(1, 2).unflatten(2, (side, side))


def _pooled(maps: torch.Tensor, pool: Pool) -> torch.Tensor:
    cells = _by_cells(maps, pool.grid)
    if pool.statistic == "std":
        squares = _by_cells(maps.square(), pool.grid)
        cells = (squares - cells.square()).clamp_min(0).sqrt()
    return cells.permute(0, 2, 3, 1).flatten(1)  # cell by cell, the channels of each together


def _by_cells(maps: torch.Tensor, grid: int) -> torch.Tensor:
    """(n, channels, height, width) -> (n, channels, grid, grid): adaptive average pooling, as two
    products with a matrix, which exporters know for any height and width."""
    if grid == 1:
        return maps.mean((2, 3), keepdim=True)
    height, width = (
        torch.from_numpy(_cells_of(int(side), grid)).to(maps.device, maps.dtype)
        for side in maps.shape[2:]
    )
    return height @ maps @ width.T


@lru_cache(maxsize=64)
def _cells_of(side: int, grid: int) -> NDArray[np.float32]:
    """(grid, side): each row averages the positions of one cell."""
    cells = np.zeros((grid, side), np.float32)
    for cell in range(grid):
        start, end = cell * side // grid, -(-(cell + 1) * side // grid)
        cells[cell, start:end] = 1 / (end - start)
    return cells
