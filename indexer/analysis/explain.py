"""Why two pictures look alike, to a store's backbone and lens, or without any store."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.config import Settings, load_settings
from ...core.errors import UsageError
from ...core.paths import named
from ...core.progress import Progress
from ...engine.explain.explain import Explanation, explain
from ...engine.explain.sides import Subject
from ...engine.images.decode import Geometry, Limits, Picture
from ...engine.images.sources import decoded_source, name_of
from ...engine.lens.embedder import Embedder, choose_bundled, load_embedder
from ..store.store import Store

if TYPE_CHECKING:
    from ...engine.images.sources import PictureSource
    from ...engine.lens.lens import Lens

_DRAWN = Geometry(512, fit="squash")
"""What a picture is drawn from."""


def why(
    a: PictureSource | Picture,
    b: PictureSource | Picture,
    *,
    store: Store | str | os.PathLike[str] | None = None,
    backbone: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    lens: Lens | str | os.PathLike[str] | None = None,
    method: str = "auto",
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> Explanation:
    """Which regions make `a` and `b` alike.

    Args:
        a, b: as for `Store.query`; or what `engine.decode` made of them for this backbone. They
            need not be indexed. `a` is the query and `b` is found, which makes a difference to
            the score alone, and only with hubness correction.
        store: whose backbone and lens to use: an open one, or its folder.
        backbone, weights, lens: without a store, what to use instead of the bundled backbone, its
            weights and its lens; see `load_embedder`.
        method: `sum`, `mask`, or `auto`; see `engine.explain`.
        progress: hears how far the method mask is.

    Raises:
        UsageError: no such method, or the backbone can't be used with it; a backbone beside a
            store.
        PictureError: a picture can't be used.
        StoreError, WeightsError, LensError
    """
    if isinstance(store, Store):
        settings = settings or store.settings
    settings = settings or load_settings()
    if store is None:
        embedder = load_embedder(
            backbone or choose_bundled(settings).backbone,
            settings,
            weights=None if weights is None else named(weights),
            lens=Path(lens) if isinstance(lens, os.PathLike) else lens,
        )
    elif (backbone, weights, lens) != (None, None, None):
        raise UsageError("a store has its own backbone, weights and lens: name those, or a store")
    else:
        embedder = _embedder_of(store, settings)
    geometry, limits = embedder.backbone.spec.geometry, Limits.of(settings)
    subjects = [_subject(one, geometry, limits) for one in (a, b)]
    return explain(embedder, *subjects, settings=settings, method=method, progress=progress)


def _embedder_of(store: Store | str | os.PathLike[str], settings: Settings) -> Embedder:
    if isinstance(store, Store):
        return store.embedder
    with Store.open(store, settings=settings) as opened:
        return opened.embedder


def _subject(source: PictureSource | Picture, geometry: Geometry, limits: Limits) -> Subject:
    if isinstance(source, Picture):
        size = geometry.size
        if source.pixels.shape != (size, size, 3):
            raise UsageError(f"a decoded picture must have {size} x {size} pixels here")
        return Subject("-", source)
    picture, whole = (decoded_source(source, fit, limits).picture for fit in (geometry, _DRAWN))
    return Subject(name_of(source), picture, whole.pixels)
