"""Where in a picture a backbone's features come from: their worth, shared out over its square."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Features, Pixels
from ...core.errors import NoAttributionError
from ..backbones.backbone import Backbone, normalised
from ..backbones.runtime import torch_device
from ..backbones.spec import BackboneSpec, Layer

if TYPE_CHECKING:
    import torch

SUM_GRID = 28
"""Cells a side that the square is cut into: as many as the bundled network's finest layer has."""


@dataclass(frozen=True, eq=False)
class Activations:
    """The maps that a backbone pools of some pictures, before it does."""

    spec: BackboneSpec
    maps: tuple[torch.Tensor, ...]
    """For each view, each layer: (n, channels, height, width) float64."""

    def features(self) -> Features:
        """(n, D): what `Backbone.features` would return, but for rounding."""
        import torch

        from ..backbones.pooling import pooled

        layers = self.spec.layers * max(1, len(self.spec.views))
        vectors = [pooled(maps, layer) for maps, layer in zip(self.maps, layers, strict=True)]
        return torch.cat(vectors, dim=1).float().numpy()

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
        import torch

        from ..backbones.pooling import shared_out
        from ..backbones.views import kept_of

        side = self.spec.geometry.size
        given = np.zeros((len(worth), SUM_GRID, SUM_GRID))
        maps, at = iter(self.maps), 0
        for view in self.spec.views or (None,):
            start, kept = (0, side) if view is None else kept_of(side, view)
            for layer in self.spec.layers:
                part = slice(at, at + layer.width)
                shares = shared_out(
                    next(maps),
                    layer,
                    torch.from_numpy(worth[:, part].astype(np.float64)),
                    torch.from_numpy(centre[:, part].astype(np.float64)),
                ).numpy()
                rows, columns = (
                    overlaps(count, start / side, (start + kept) / side, SUM_GRID)
                    for count in shares.shape[1:]
                )
                given += rows @ shares @ columns.T
                at += layer.width
        return given.astype(np.float32)


def activations_of(backbone: Backbone, pixels: Pixels, device: str = "auto") -> Activations:
    """Run the backbone's network, in torch, up to where it pools.

    Args:
        pixels: (n, size, size, 3) uint8 RGB, as it is shown them.

    Raises:
        NoAttributionError: its provider does not say what it pools, or some features have no
        region.
        UsageError: there is no such device.
    """
    import torch

    from ..backbones.pooling import PooledNetwork
    from ..backbones.views import Views, seen

    spec, weights = backbone.spec, backbone.weights
    for layer in spec.layers:
        if any(pool.statistic == "class" for pool in layer.pools):
            raise _no_attribution(spec, layer)
    on = torch_device(device)
    network: torch.nn.Module = _network(spec, weights.path, weights.sha256, on)
    if isinstance(network, Views):
        network = network.network
    if not isinstance(network, PooledNetwork):
        raise NoAttributionError(f"{spec.name} does not say what it pools; use the method mask")
    found = []
    with torch.inference_mode():
        square = torch.from_numpy(normalised(pixels, spec)).to(on)
        for view in [seen(square, view) for view in spec.views] or [square]:
            for layer, maps in zip(spec.layers, network.activations(view), strict=True):
                if maps.shape[2:] == (1, 1):
                    raise _no_attribution(spec, layer)
                found.append(maps.cpu().double())
    return Activations(spec, tuple(found))


def _no_attribution(spec: BackboneSpec, layer: Layer) -> NoAttributionError:
    return NoAttributionError(
        f"{layer.name} of {spec.name} describes the whole picture, not its regions; use the "
        "method mask"
    )


@lru_cache(maxsize=1)
def _network(
    spec: BackboneSpec, weights: Path, sha256: str, device: torch.device
) -> torch.nn.Module:
    """The last one is kept, for explanations in a row."""
    from ..backbones.network import load_network

    return load_network(spec, weights).to(device)


@lru_cache(maxsize=64)
def overlaps(parts: int, start: float, end: float, cells: int) -> NDArray[np.float64]:
    """(cells, parts): how much of each of the equal parts of [start, end] lies in each of the
    equal cells of [0, 1]. What the parts hold is spread over the cells by a product with it, and
    nothing is lost if they are within."""
    edges, bounds = np.linspace(start, end, parts + 1), np.linspace(0, 1, cells + 1)
    low = np.maximum(edges[:-1], bounds[:-1, None])
    high = np.minimum(edges[1:], bounds[1:, None])
    return np.clip(high - low, 0, None) * (parts / (end - start))
