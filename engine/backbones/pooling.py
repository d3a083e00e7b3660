"""Activations of one layer -> one vector: means and deviations by cells, or the class token.

And back: what the values of that vector are worth -> what each position gave.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray

from .registry import Layer, Pool


class PooledNetwork(torch.nn.Module):
    """A network whose output is the activations of some of its layers, pooled, side by side.

    Subclasses say with `each` how to get at the activations.
    """

    pooled_layers: tuple[Layer, ...]
    """Those that are pooled, in the order of the output."""
    prefix = 0
    """How many tokens of a sequence have no position in the picture, the class token first."""

    def each(
        self, pixels: torch.Tensor, use: Callable[[torch.Tensor, Layer], torch.Tensor]
    ) -> list[torch.Tensor]:
        """What `use` makes of the activations of each layer, in order; it gets them as soon as they
        are computed, and keeps what it wants of them."""
        raise NotImplementedError

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, size, size) float32 -> (n, D) float32."""
        return torch.cat(self.each(pixels, self._pooled), dim=1)

    def activations(self, pixels: torch.Tensor) -> list[torch.Tensor]:
        """Those of each layer that have a position, before they are pooled: (n, channels, height,
        width); of one position where a layer has lost all positions."""
        return self.each(
            pixels, lambda activations, layer: as_maps(activations, layer, self.prefix)
        )

    def _pooled(self, activations: torch.Tensor, layer: Layer) -> torch.Tensor:
        return pooled(activations, layer, self.prefix)


def pooled(activations: torch.Tensor, layer: Layer, prefix: int = 0) -> torch.Tensor:
    """The layer's pools side by side: (n, layer.width).

    Args:
        activations: (n, channels, height, width) maps; or (n, tokens, channels), `prefix` tokens
            without a position, the class token first, then those of a square, row after row; or
            (n, channels), which is a map of one position.

    Raises:
        ValueError: they are not what `layer` says.
    """
    maps = as_maps(activations, layer, prefix)
    if maps.shape[1] != layer.channels:
        raise ValueError(f"{layer.name} has {maps.shape[1]} channels, not {layer.channels}")
    return torch.cat(
        [
            activations[:, 0] if pool.statistic == "class" else _pooled(maps, pool)
            for pool in layer.pools
        ],
        dim=1,
    )


def as_maps(activations: torch.Tensor, layer: Layer, prefix: int = 0) -> torch.Tensor:
    """Those of them that have a position, (n, channels, height, width); see `pooled`."""
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


def shared_out(
    maps: torch.Tensor, layer: Layer, worth: torch.Tensor, centre: torch.Tensor
) -> torch.Tensor:
    """(n, height, width): what each position gives to the sum of `worth * (pooled - centre)`; over
    all positions it adds up to that.

    A mean is the sum of its positions' parts. A deviation s is the sum of (x - mean)^2 / (s count):
    the positions that differ most from their cell's mean made it. Of `centre` every position of a
    cell has the same part.

    Args:
        maps: (n, channels, height, width), with which `pooled` made the layer's vector.
        worth, centre: (n, layer.width).

    Raises:
        ValueError: a class token was pooled, which has no position.
    """
    given = maps.new_zeros((len(maps), *maps.shape[2:]))
    at = 0
    for pool, width in zip(layer.pools, layer.blocks(), strict=True):
        if pool.statistic == "class":
            raise ValueError(f"the class token of {layer.name} has no position")
        by_cell = (len(maps), pool.grid, pool.grid, layer.channels)
        cell_worth, cell_centre = (
            some[:, at : at + width].reshape(by_cell) for some in (worth, centre)
        )
        rows, columns = (
            torch.from_numpy(cells_of(side, pool.grid)).to(maps) for side in maps.shape[2:]
        )
        for row in range(pool.grid):
            for column in range(pool.grid):
                share = rows[row, :, None] * columns[column]  # of each position, in the cell's mean
                values, weights = maps, cell_worth[:, row, column]
                lost = (weights * cell_centre[:, row, column]).sum(1)[:, None, None]
                if pool.statistic == "std":
                    means = (maps * share).sum((2, 3), keepdim=True)
                    values = (maps - means).square()
                    deviations = (values * share).sum((2, 3)).sqrt()
                    weights = torch.where(deviations > 0, weights / deviations, 0)
                given += share * (torch.einsum("nc,nchw->nhw", weights, values) - lost)
        at += width
    return given


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
        torch.from_numpy(cells_of(int(side), grid)).to(maps.device, maps.dtype)
        for side in maps.shape[2:]
    )
    return height @ maps @ width.T


@lru_cache(maxsize=64)
def cells_of(side: int, grid: int) -> NDArray[np.float64]:
    """(grid, side): each row averages the positions of one cell."""
    cells = np.zeros((grid, side))
    for cell in range(grid):
        start, end = cell * side // grid, -(-(cell + 1) * side // grid)
        cells[cell, start:end] = 1 / (end - start)
    return cells
