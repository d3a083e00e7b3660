"""What each position of a layer's maps gave to the vector that the layer was pooled to.

In float64, for any runtime's maps. `pooled` is `backbones.pooling.pooled` of the same maps, which
a test compares, and `shared_out` is the way back.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..backbones.regions import cells_of
from ..backbones.spec import Layer, Pool

Values = NDArray[np.float64]


def pooled(maps: Values, layer: Layer) -> Values:
    """(n, channels, height, width) -> the layer's pools side by side: (n, layer.width).

    Raises:
        ValueError: the maps have other channels than the layer, or a class token was pooled.
    """
    flat = _flat(maps, layer)
    return np.concatenate([_pooled(flat, maps.shape, pool, layer) for pool in layer.pools], axis=1)


def _pooled(flat: Values, shape: tuple[int, ...], pool: Pool, layer: Layer) -> Values:
    shares = _shares_of(shape, pool, layer)
    if pool.statistic == "mean":
        cells = flat @ shares.T  # (n, channels, cells)
    else:
        cells = np.stack([_deviations(_squares(flat, one), one) for one in shares], axis=2)
    return cells.transpose(0, 2, 1).reshape(len(flat), -1)  # cell by cell, the channels together


def shared_out(maps: Values, layer: Layer, worth: Values, centre: Values) -> Values:
    """(n, height, width): what each position gives to the sum of `worth * (pooled - centre)`; over
    all positions it adds up to that.

    A mean is the sum of its positions' parts. A deviation s is the sum of (x - mean)^2 / (s count):
    the positions that differ most from their cell's mean made it. Of `centre` every position of a
    cell has the same part.

    Args:
        maps: (n, channels, height, width), with which `pooled` made the layer's vector.
        worth, centre: (n, layer.width).

    Raises:
        ValueError: as `pooled`.
    """
    flat = _flat(maps, layer)
    given = np.zeros((len(flat), flat.shape[2]))
    at = 0
    for pool, width in zip(layer.pools, layer.blocks(), strict=True):
        shares = _shares_of(maps.shape, pool, layer)
        by_cell = (len(flat), len(shares), layer.channels)
        cell_worth, cell_centre = (
            some[:, at : at + width].reshape(by_cell) for some in (worth, centre)
        )
        for cell, share in enumerate(shares):
            values, weights = flat, cell_worth[:, cell]
            lost = (weights * cell_centre[:, cell]).sum(axis=1, keepdims=True)
            if pool.statistic == "std":
                values = _squares(flat, share)
                deviations = _deviations(values, share)
                nothing = np.zeros_like(weights)
                weights = np.divide(weights, deviations, out=nothing, where=deviations > 0)
            given += share * ((weights[:, None] @ values)[:, 0] - lost)
        at += width
    return given.reshape(len(maps), *maps.shape[2:])


def _flat(maps: Values, layer: Layer) -> Values:
    """(n, channels, positions)."""
    if maps.shape[1] != layer.channels:
        raise ValueError(f"{layer.name} has {maps.shape[1]} channels, not {layer.channels}")
    return maps.reshape(*maps.shape[:2], -1)


def _shares_of(shape: tuple[int, ...], pool: Pool, layer: Layer) -> Values:
    """(cells, positions): the share of each position in each cell's mean."""
    if pool.statistic == "class":
        raise ValueError(f"the class token of {layer.name} has no position")
    rows, columns = (cells_of(side, pool.grid) for side in shape[2:])
    shares = rows[:, None, :, None] * columns[None, :, None, :]
    return shares.reshape(pool.grid**2, -1)


def _squares(flat: Values, share: Values) -> Values:
    """Of each value's difference from the mean of one cell."""
    return np.square(flat - (flat @ share)[..., None])


def _deviations(squares: Values, share: Values) -> Values:
    """(n, channels): of the values in one cell."""
    return np.sqrt(squares @ share)
