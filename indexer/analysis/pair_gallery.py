"""Pictures of a store embedded again: what its vectors no longer tell."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...core.contracts import Pixels
from ...core.progress import Progress
from ...core.scratch import scratch
from ...engine.backbones.runtime import pictures_a_pass
from ...engine.near_duplicates.outlines import SIDE, Outlines, likeness, likeness_of_parts, outline
from ...engine.search.normalize import unit
from ...engine.search.search import SCORE_DECIMALS
from ..decoding.reread import reread
from ..store.store import Store
from .pair_ranking import Alike, BackgroundPairs

SAME_PICTURE = 0.8
"""Details that agree at least so well are of one picture; less than what counts as a duplicate."""
_BACKGROUND = 2000
"""Random pairs whose cosines are measured."""


@dataclass(frozen=True, eq=False)
class Gallery:
    """Pictures that are embedded again, as far as they were tried; rows are those of
    `images`."""

    store: Store
    progress: Progress
    images: NDArray[np.int64]
    """(n,), ascending."""
    tried: NDArray[np.bool_]
    """(n,): whether they were read."""
    there: NDArray[np.bool_]
    """(n,): whether they could be read."""
    embeddings: NDArray[np.float32]
    """(n, d): through the lens, without hubness correction."""
    plain: NDArray[np.float16]
    """(n, D): features, of length 1."""
    outlines: Outlines
    """(n, SIDE, SIDE): of what the backbone sees."""

    @classmethod
    @contextmanager
    def opened(cls, store: Store, found: Alike, progress: Progress) -> Iterator[Gallery]:
        """For all pictures of these pairs; none is read yet."""
        images = np.unique(found.pairs)
        count, embedder = len(images), store.embedder
        width = embedder.lens.width
        with (
            scratch((count, embedder.backbone.spec.dimension), np.float16) as plain,
            scratch((count, width), np.float32) as embeddings,
            scratch((count, SIDE, SIDE), np.uint8) as outlines,
        ):
            tried, there = np.zeros(count, bool), np.zeros(count, bool)
            yield cls(store, progress, images, tried, there, embeddings, plain, outlines)

    def encode_decoded(self, found: Alike) -> Alike:
        """These pairs with their plain cosines, without those that can't be read."""
        rows = np.searchsorted(self.images, found.pairs)
        self._embed(np.setdiff1d(rows, np.flatnonzero(self.tried)))
        usable = self.there[rows].all(axis=1)
        cosines = [self._cosine(self.plain, one, other) for one, other in rows[usable]]
        plain = np.array(cosines, np.float64).round(SCORE_DECIMALS)
        return replace(found.rows(usable), plain=plain)

    def _embed(self, rows: NDArray[np.int64]) -> None:
        embedder = self.store.embedder
        geometry, images = embedder.backbone.spec.geometry, self.images[rows]
        self.tried[rows] = True
        found = reread(self.store, images, geometry, what="embedding", progress=self.progress)
        while batch := list(islice(found, pictures_a_pass(self.store.settings))):
            at = np.searchsorted(self.images, [number for number, _ in batch])
            pixels = np.stack([picture.pixels for _, picture in batch])
            self.plain[at] = unit(embedder.backbone.features(pixels))
            self.outlines[at] = [_small_outline(one) for one in pixels]
            self.there[at] = True
        with self.store.catalog.reading() as reader:
            known, stored = reader.vectors_there(images)
        if len(known):
            self.embeddings[np.searchsorted(self.images, known)] = embedder.lens.embeddings_of(
                stored
            )

    def background(self) -> BackgroundPairs:
        """As random pairs of what was embedded show them."""
        rows = np.flatnonzero(self.there)
        if len(rows) < 2:
            return BackgroundPairs.of(np.empty(0), np.empty(0))
        random = np.random.default_rng(0)
        one = random.integers(len(rows), size=_BACKGROUND)
        other = (one + random.integers(1, len(rows), size=_BACKGROUND)) % len(rows)
        pairs = np.unique(np.sort(np.stack([rows[one], rows[other]], 1), axis=1), axis=0)
        lens = self.store.lens
        alike = [
            lens.compared(self.embeddings[one : one + 1]) @ self.embeddings[other]
            for one, other in pairs
        ]
        plain = [self._cosine(self.plain, *both) for both in pairs]
        return BackgroundPairs.of(np.array(alike).ravel(), np.array(plain))

    def one_picture(self, found: Alike) -> NDArray[np.bool_]:
        """(n,): whether the two of each pair are the same picture."""
        one, other = (self.outlines[side] for side in np.searchsorted(self.images, found.pairs).T)
        squares = np.ones(len(one))
        return (
            np.maximum(likeness(one, other), likeness_of_parts(one, other, squares)) >= SAME_PICTURE
        )

    @staticmethod
    def _cosine(side: NDArray[np.floating], one: int, other: int) -> float:
        return float(side[one].astype(np.float32) @ side[other].astype(np.float32))


def _small_outline(pixels: Pixels) -> Outlines:
    return outline(np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)))
