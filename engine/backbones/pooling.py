"""Activations with a place in the picture -> one vector: means and deviations, by cells."""

from __future__ import annotations

import torch
from torch.nn.functional import adaptive_avg_pool2d

from ..registry import Layer, Pool


def pooled(maps: torch.Tensor, layer: Layer) -> torch.Tensor:
    """(n, channels, height, width) -> (n, layer.width), the layer's pools side by side."""
    return torch.cat([_pooled(maps, pool) for pool in layer.pools], dim=1)


def _pooled(maps: torch.Tensor, pool: Pool) -> torch.Tensor:
    cells = adaptive_avg_pool2d(maps, pool.grid)
    if pool.statistic == "std":
        squares = adaptive_avg_pool2d(maps.square(), pool.grid)
        cells = (squares - cells.square()).clamp_min(0).sqrt()
    return cells.permute(0, 2, 3, 1).flatten(1)  # cell by cell, the channels of each together
