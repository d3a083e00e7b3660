"""What made a store, loaded when it is first needed: lens, embedder, text encoder."""

from __future__ import annotations

import threading
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.config import Settings
from ...core.paths import is_file
from ...engine.backbones.registry import spec_of
from ...engine.backbones.weights import locate
from ...engine.lens.embedder import (
    Embedder,
    conversion_of,
    identity_of,
    load_embedder,
)
from ...engine.lens.identity import difference, require_same
from ...engine.lens.lens import Lens
from ..backends.base import Backend
from .imported import require_not_imported

if TYPE_CHECKING:
    from ...engine.backbones.text_encoder import TextEncoder


class StoreModel:
    """The lens, embedder and text encoder that made a store, each loaded when it is first needed.
    Safe to use from several threads."""

    def __init__(
        self,
        backend: Backend,
        settings: Settings,
        weights: Path | None,
    ) -> None:
        """
        Args:
            backend: the store's.
            weights: where the weights are, if they have moved.
        """
        self.weights = weights
        self._backend = backend
        self._settings = settings
        self._lock = threading.Lock()
        self._embedder: Embedder | None = None
        self._text: TextEncoder | None = None

    @property
    def loaded(self) -> Embedder | None:
        """See `Store.loaded`."""
        return self._embedder

    def lend(self, embedder: Embedder) -> None:
        """See `Store.lend`."""
        if difference(self._backend.about.made_by, embedder.identity) is None:
            self._embedder = embedder

    @property
    def embedder(self) -> Embedder:
        """See `Store.embedder`."""
        with self._lock:
            if self._embedder is None:
                require_not_imported(self._backend.location, self._backend.about)
                made_by = self._backend.about.made_by
                embedder = load_embedder(
                    made_by.backbone,
                    self._settings,
                    weights=self._file(),
                    lens=self.lens,
                    conversion=conversion_of(made_by),
                    first=1,  # whoever builds lends another
                )
                require_same(made_by, embedder.identity)
                self._embedder = embedder
            return self._embedder

    @property
    def text(self) -> TextEncoder:
        """Its text encoder; raises as `Store.embedder`."""
        from ...engine.backbones.text_encoder import load_text_encoder

        with self._lock:
            if self._text is None:
                made_by = self._backend.about.made_by
                spec = spec_of(made_by.backbone).converting(conversion_of(made_by))
                if self._embedder is not None:
                    weights = self._embedder.backbone.weights
                else:
                    weights = locate(spec, self._settings.weights_dir, self._file())
                    require_same(made_by, identity_of(spec, weights, self.lens))
                self._text = load_text_encoder(spec, weights)
            return self._text

    @cached_property
    def lens(self) -> Lens:
        """What made the vectors, without its backbone."""
        if self._embedder is not None:
            return self._embedder.lens
        return self._backend.lens()

    def _file(self) -> Path | None:
        """Of the weights, where they are known to be; None is wherever they are found."""
        hint = self._backend.about.weights_file
        if self.weights is None and hint is not None and is_file(hint):
            return Path(hint)
        return self.weights
