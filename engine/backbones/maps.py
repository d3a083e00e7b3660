"""The maps that a network pools: by ONNX Runtime for bundled networks, by torch for others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ...core.contracts import Maps, Pixels
from ...core.errors import NoAttributionError, UsageError
from .runtime import torch_device
from .spec import BackboneSpec
from .weights import Weights

if TYPE_CHECKING:
    import torch


class MapsNetwork(Protocol):
    """A loaded network that gives its maps."""

    def maps(self, pixels: Pixels) -> list[Maps]:
        """For each view, each layer; of one position where a layer has lost all positions.

        Args:
            pixels: (n, size, size, 3) uint8 RGB.

        Raises:
            NoAttributionError: its provider does not say what it pools.
        """


def load_maps(spec: BackboneSpec, weights: Weights, device: str = "auto") -> MapsNetwork:
    """The network of `spec`, for its maps. A bundled one has the values that ONNX Runtime pools,
    whatever runs the backbone, unless a device is named that only torch can use.

    Raises:
        UsageError: there is no such device, or the network can't be run on it.
        WeightsError: see `load_network`.
    """
    if weights.is_graph and device in ("auto", "cpu"):
        from .onnx_maps import OnnxMaps

        return OnnxMaps(spec, weights.path)
    if spec.precision != "float32":
        raise UsageError(f"device {device!r}: {spec.name} is computed in 8 bits, on the CPU")
    return TorchMaps(spec, weights.path, torch_device(device))


class TorchMaps:
    """A network in eager torch, for its maps, on any device."""

    def __init__(self, spec: BackboneSpec, weights: Path, device: torch.device) -> None:
        from .network import load_network
        from .views import Views

        network = load_network(spec, weights).to(device)
        self._network = network.network if isinstance(network, Views) else network
        self._spec = spec
        self._device = device

    def maps(self, pixels: Pixels) -> list[Maps]:
        """See `MapsNetwork.maps`."""
        import torch

        from .planes import Planes
        from .pooling import PooledNetwork
        from .views import seen

        network, spec = self._network, self._spec
        if not isinstance(network, PooledNetwork):
            raise NoAttributionError(f"{spec.name} does not say what it pools; use the method mask")
        with torch.inference_mode():
            squares = torch.from_numpy(np.ascontiguousarray(pixels)).to(self._device)
            planes = Planes(spec).to(self._device)(squares)
            return [
                maps.float().cpu().numpy()
                for view in [seen(planes, view) for view in spec.views] or [planes]
                for maps in network.activations(view)
            ]
