"""Any layers of any network: caught by name while it computes, pooled, set side by side."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import torch

from .pooling import PooledNetwork
from .registry import Layer


class PooledOutputs(PooledNetwork):
    """A network whose output is the pooled outputs of some of its modules.

    A layer's name is its module's, as `named_modules` gives it. What a module puts out is pooled
    at once, so no more maps are alive than in the network's own pass. Threads don't see each
    other's pictures.

    Raises:
        ValueError: the network has no module of some layer's name.
    """

    def __init__(
        self, network: torch.nn.Module, layers: tuple[Layer, ...], prefix: int = 0
    ) -> None:
        super().__init__()
        self.network = network
        self.pooled_layers = layers
        self.prefix = prefix
        self.caught = threading.local()
        modules = dict(network.named_modules())
        if unknown := [layer.name for layer in layers if layer.name not in modules]:
            raise ValueError(f"no layers {unknown}; there are {[name for name in modules if name]}")
        for layer in layers:
            modules[layer.name].register_forward_hook(partial(self._catch, layer))

    def each(
        self, pixels: torch.Tensor, use: Callable[[torch.Tensor, Layer], torch.Tensor]
    ) -> list[torch.Tensor]:
        """See `PooledNetwork.each`."""
        self.caught.use, self.caught.made = use, {}
        self.network(pixels)
        made: dict[str, torch.Tensor] = self.caught.made
        del self.caught.use, self.caught.made
        return [made[layer.name] for layer in self.pooled_layers]

    def _catch(
        self, layer: Layer, module: torch.nn.Module, inputs: object, output: torch.Tensor
    ) -> None:
        self.caught.made[layer.name] = self.caught.use(output, layer)
