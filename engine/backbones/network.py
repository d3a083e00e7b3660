"""A backbone's network, built and filled with weights by its provider."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...core.privacy import hub_unasked
from .registry import BackboneSpec

if TYPE_CHECKING:
    import torch


def provider_of(spec: BackboneSpec) -> Any:
    """The module that knows its architecture; see `BackboneSpec.provider`."""
    return importlib.import_module(spec.provider, f"{__package__}.providers")


def load_network(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    """The network of `spec` with the weights of that file: (n, 3, size, size) -> (n, dimension).

    Raises:
        WeightsError: the file is damaged, or its tensors are not exactly this architecture's.
    """
    provider = provider_of(spec)
    with hub_unasked():
        network: torch.nn.Module = provider.load(spec, weights)
    if spec.views:
        from .views import Views

        network = Views(network, spec.views)
    return network.eval().requires_grad_(False)
