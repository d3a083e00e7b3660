"""Any layers of any network: caught by name while it computes, pooled, set side by side."""

from __future__ import annotations

import threading
from functools import partial

import torch

from ..registry import Layer
from .pooling import pooled


class PooledOutputs(torch.nn.Module):
    """A network whose output is the pooled outputs of some of its modules.

    A layer's name is its module's, as `named_modules` gives it. What a module puts out is pooled
    at once, so no more maps are alive than in the network's own pass. Threads don't see each
    other's pictures.

    Args:
        prefix: how many tokens of a sequence have no place in the picture, the class token first.

    Raises:
        ValueError: the network has no module of some layer's name.
    """

    def __init__(
        self, network: torch.nn.Module, layers: tuple[Layer, ...], prefix: int = 0
    ) -> None:
        super().__init__()
        self.network = network
        self.layers = layers
        self.prefix = prefix
        self.caught = threading.local()
        modules = dict(network.named_modules())
        if unknown := [layer.name for layer in layers if layer.name not in modules]:
            raise ValueError(f"no layers {unknown}; there are {[name for name in modules if name]}")
        for layer in layers:
            modules[layer.name].register_forward_hook(partial(self._catch, layer))

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(n, 3, size, size) float32 -> (n, D) float32."""
        self.caught.vectors = {}
        self.network(pixels)
        vectors: dict[str, torch.Tensor] = self.caught.vectors
        del self.caught.vectors
        return torch.cat([vectors[layer.name] for layer in self.layers], dim=1)

    def _catch(
        self, layer: Layer, module: torch.nn.Module, inputs: object, output: torch.Tensor
    ) -> None:
        self.caught.vectors[layer.name] = pooled(output, layer, self.prefix)
