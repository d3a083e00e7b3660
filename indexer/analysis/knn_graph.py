"""For every picture of a store, those that look most like it: through its index, not all pairs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...core.progress import Progress
from ...engine.lens.lens import Lens
from ...engine.search.normalize import unit
from ...engine.search.search import SCORE_DECIMALS, products
from ..catalog.base import Reader
from ..store.store import Store
from ..vector_index.live_index import vectors_of

QUERIES_AT_ONCE = 256
"""Pictures that are queries at a time; fewer where vectors are long, so that memory stays
bounded."""
_MOST_VALUES = 1 << 19
"""Values of the queries at a time; those of their candidates are up to some hundred times as
many."""


@dataclass(frozen=True, eq=False)
class Neighbourhoods:
    """Some pictures, and those that look most like each, best first; equal cosines in order of
    number. Hubness correction is left out of it: what is near is so in both directions."""

    images: NDArray[np.int64]
    """(n,): their numbers in the catalog, ascending."""
    others: NDArray[np.int64]
    """(n, k): never the picture itself; -1 where there are no more."""
    cosines: NDArray[np.float64]
    """(n, k): between how the two look through the lens; -inf where the number is -1."""


def neighbourhoods(
    store: Store,
    k: int,
    *,
    progress: Progress | None = None,
    block: int | None = None,
    faces: bool = True,
) -> Iterator[Neighbourhoods]:
    """The `k` nearest of every picture of the store, a block of pictures at a time, all of one
    moment. Pictures that no path shows any more are neither queries nor found.

    Candidates are what the store's index offers, which is all where it is exact; they are compared
    with their vectors in the catalog.

    Args:
        block: pictures at a time; default: as many as memory stays bounded with.
        faces: whether faces count, where the store compares them.

    Raises:
        StoreDamagedError: the catalog lacks a vector that it lists.
    """
    progress, lens = progress or Progress(), store.lens
    block = block or max(1, min(QUERIES_AT_ONCE, _MOST_VALUES // lens.dimension))
    offers = store.indexes.offers()
    with store.catalog.reading() as reader:
        offers.follow(reader)
        orphans = reader.orphan_numbers()
        images = np.setdiff1d(reader.image_numbers(), orphans, assume_unique=True)
        progress.start("comparing", len(images), "pictures")
        for start in range(0, len(images), block):
            some = images[start : start + block]
            embeddings = _embeddings(reader, some, lens)
            if not faces:
                embeddings = lens.without_faces(embeddings)
            # The picture itself and orphans may take the slots of others.
            offered = offers.candidates(lens.plain_query_of(embeddings), k + 1 + len(orphans))
            offered[(offered == some[:, None]) | np.isin(offered, orphans)] = -1
            yield _nearest(reader, some, embeddings, offered, k, lens)
            progress.advance(len(some))


def _embeddings(reader: Reader, images: NDArray[np.int64], lens: Lens) -> UnitVectors:
    return unit(lens.embeddings_of(vectors_of(reader, images, lens.dimension)))


def _nearest(
    reader: Reader,
    images: NDArray[np.int64],
    embeddings: UnitVectors,
    offered: NDArray[np.int64],
    k: int,
    lens: Lens,
) -> Neighbourhoods:
    """The best of what each of `images` is offered, by the exact vectors."""
    numbers, rows = np.unique(offered, return_inverse=True)
    rows = rows.reshape(offered.shape)
    gallery = np.zeros((len(numbers), embeddings.shape[1]), np.float32)
    there = numbers >= 0
    gallery[there] = _embeddings(reader, numbers[there], lens) if there.any() else 0
    cosines = (
        products(lens.compared(embeddings), gallery, rows).astype(np.float64).round(SCORE_DECIMALS)
    )
    cosines[offered < 0] = -np.inf
    order = np.lexsort((offered, -cosines), axis=1)[:, :k]
    cosines = np.take_along_axis(cosines, order, axis=1)
    others = np.take_along_axis(offered, order, axis=1)
    return Neighbourhoods(images, others, cosines)
