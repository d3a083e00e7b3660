"""Where in a picture a backbone's features come from: their worth, shared out over its square."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Features, Pixels
from ...core.errors import NoAttributionError
from ..backbones.backbone import Backbone
from ..backbones.maps import MapsNetwork, load_maps
from ..backbones.regions import kept_of
from ..backbones.spec import BackboneSpec, Layer
from ..backbones.weights import Weights
from . import shares

SUM_GRID = 28
"""Cells a side that the square is cut into: as many as the bundled network's finest layer has."""


@dataclass(frozen=True, eq=False)
class Activations:
    """The maps that a backbone pools of some pictures, before it does."""

    spec: BackboneSpec
    maps: tuple[NDArray[np.float64], ...]
    """As `BackboneSpec.pooled` orders layers, one each: (n, channels, height, width)."""

    def features(self) -> Features:
        """(n, D): what `Backbone.features` would return, but for rounding."""
        vectors = [
            shares.pooled(maps, layer)
            for maps, (_, layer) in zip(self.maps, self.spec.pooled(), strict=True)
        ]
        return np.concatenate(vectors, axis=1).astype(np.float32)

    def shared_out(
        self, worth: NDArray[np.floating], centre: NDArray[np.floating]
    ) -> NDArray[np.float32]:
        """(n, SUM_GRID, SUM_GRID): what each cell of the square gives to the sum of
        worth * (features - centre); the cells' sum is that sum.

        A position of a layer is taken to see its own part of the picture, though it sees more, the
        more the deeper the layer is; and to see all of its part alike.

        Args:
            worth, centre: (n, D).
        """
        side = self.spec.geometry.size
        given = np.zeros((len(worth), SUM_GRID, SUM_GRID))
        at = 0
        for maps, (view, layer) in zip(self.maps, self.spec.pooled(), strict=True):
            start, kept = (0, side) if view is None else kept_of(side, view)
            part = slice(at, at + layer.width)
            by_position = shares.shared_out(
                maps, layer, worth[:, part].astype(np.float64), centre[:, part].astype(np.float64)
            )
            rows, columns = (
                overlaps(count, start / side, (start + kept) / side, SUM_GRID)
                for count in by_position.shape[1:]
            )
            given += rows @ by_position @ columns.T
            at += layer.width
        return given.astype(np.float32)


def activations_of(backbone: Backbone, pixels: Pixels, device: str = "auto") -> Activations:
    """Run the backbone's network up to where it pools.

    Args:
        pixels: (n, size, size, 3) uint8 RGB, as it is shown them.
        device: what torch computes on, where it runs the network.

    Raises:
        NoAttributionError: its provider does not say what it pools, or some features have no
        region.
        UsageError: there is no such device.
    """
    spec = backbone.spec
    for _, layer in spec.pooled():
        if any(pool.statistic == "class" for pool in layer.pools):
            raise _no_attribution(spec, layer)
    found = _network(spec, backbone.weights, device).maps(pixels)
    for (_, layer), maps in zip(spec.pooled(), found, strict=True):
        if maps.shape[2:] == (1, 1):
            raise _no_attribution(spec, layer)
    return Activations(spec, tuple(maps.astype(np.float64) for maps in found))


def _no_attribution(spec: BackboneSpec, layer: Layer) -> NoAttributionError:
    return NoAttributionError(
        f"{layer.name} of {spec.name} describes the whole picture, not its regions; use the "
        "method mask"
    )


@lru_cache(maxsize=1)
def _network(spec: BackboneSpec, weights: Weights, device: str) -> MapsNetwork:
    """The last one is kept, for explanations in a row."""
    return load_maps(spec, weights, device)


@lru_cache(maxsize=64)
def overlaps(parts: int, start: float, end: float, cells: int) -> NDArray[np.float64]:
    """(cells, parts): how much of each of the equal parts of [start, end] lies in each of the
    equal cells of [0, 1]. What the parts hold is spread over the cells by a product with it, and
    nothing is lost if they are within."""
    edges, bounds = np.linspace(start, end, parts + 1), np.linspace(0, 1, cells + 1)
    low = np.maximum(edges[:-1], bounds[:-1, None])
    high = np.minimum(edges[1:], bounds[1:, None])
    return np.clip(high - low, 0, None) * (parts / (end - start))
