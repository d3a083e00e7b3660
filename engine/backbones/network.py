"""How networks are built and filled with weights: one small module for each provider."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING

from ...privacy import hub_unasked
from ..registry import BackboneSpec

if TYPE_CHECKING:
    import torch


def load_network(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    """The network of `spec` with the weights of that file: (n, 3, size, size) -> (n, dimension).

    Raises:
        WeightsError: the file is damaged, or its tensors are not exactly this architecture's.
    """
    provider = importlib.import_module(spec.provider, __name__)
    with hub_unasked():
        network: torch.nn.Module = provider.load(spec, weights)
    if spec.views:
        from .views import Views

        network = Views(network, spec.views)
    return network.eval().requires_grad_(False)
