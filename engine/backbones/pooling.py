"""Activations of one layer -> one vector: means and deviations by cells, or the class token.

`engine.explain.shares` is the way back: what each position gave.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from .regions import cells_of
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
