"""Texts -> vectors in the space that a backbone with a text encoder puts pictures into as well."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ...core.config import Settings
from ...core.contracts import UnitVectors
from ...core.errors import UsageError
from ...core.privacy import hub_unasked
from ..search.normalize import unit
from .libraries import require_libraries
from .network import provider_of
from .registry import BackboneSpec, specs
from .weights import Weights, find, how_to_get

if TYPE_CHECKING:
    import torch


class TextEncoder:
    """The side of a network that reads texts. Made by `load_text_encoder`."""

    def __init__(self, tower: Callable[[Sequence[str]], torch.Tensor]) -> None:
        """`tower`: n texts -> (n, d) float32, of any length; raises `UsageError` as `vectors`."""
        self._tower = tower

    def vectors(self, texts: Sequence[str]) -> UnitVectors:
        """(n, d) float32 of length 1, beside the `BackboneSpec.joint` part of pictures. Each text
        is taken as it is: nothing like 'a photo of' is put before it.

        Raises:
            UsageError: a text is empty, is no text, or longer than the network reads.
        """
        for text in texts:
            if not text.strip():
                raise UsageError("the text to search with is empty")
            try:
                text.encode()
            except UnicodeEncodeError:
                raise UsageError(f"{text[:40]!r} can't be searched for: it is not UTF-8") from None
        return unit(np.asarray(self._tower(texts).float().numpy(), np.float32))


def load_text_encoder(spec: BackboneSpec, weights: Weights) -> TextEncoder:
    """The texts' side of a backbone, in torch on the CPU: a text is soon read.

    Raises:
        UsageError: it has none; says which have.
        WeightsError: as `load_network`.
        TllError: its libraries aren't installed.
    """
    require_text_space(spec)
    require_libraries(spec)
    provider = provider_of(spec)
    with hub_unasked():
        return TextEncoder(provider.load_text_encoder(spec, weights.path))


def require_text_space(spec: BackboneSpec) -> None:
    """Refuse a backbone without a text encoder.

    Raises:
        UsageError: says which have some.
    """
    if not spec.has_text_encoder:
        raise UsageError(
            f"{spec.name} can't read texts; these backbones can: {_text_backbones()} ('tll-index "
            f"build DIR --text --backbone {_first().name} --store NEW')"
        )


def choose_text_backbone(settings: Settings) -> str:
    """The first backbone with a text encoder whose weights are here.

    Raises:
        UsageError: there is none; says how to get one.
        TllError: nor are the libraries that it would need.
    """
    for spec in specs():
        if spec.has_text_encoder and find(spec, settings.weights_dir):
            return spec.name
    require_libraries(_first())
    raise UsageError(
        f"no weights of a backbone that reads texts ({_text_backbones()}) are here; for "
        f"{_first().name}, {how_to_get(_first())}"
    )


def _first() -> BackboneSpec:
    return next(spec for spec in specs() if spec.has_text_encoder)


def _text_backbones() -> str:
    return ", ".join(spec.name for spec in specs() if spec.has_text_encoder)
