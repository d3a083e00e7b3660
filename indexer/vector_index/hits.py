"""One query: what an index finds -> hits, with paths; equal scores in order of path."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Hit, UnitVectors
from ...core.errors import StoreDamagedError
from ...engine.search.search import SCORE_DECIMALS, Neighbours
from ..catalog.base import Reader


@dataclass(frozen=True, eq=False)
class SearchRequest:
    """One question."""

    query: UnitVectors
    """(1, d) float32 of length 1, as `Lens.query_of` gives it."""
    k: int
    scale: float
    """See `Lens.scale`."""
    without: frozenset[bytes] = frozenset()
    """SHA-256 of contents that are left out."""


def best_hits(
    reader: Reader,
    nearest: Callable[[int], Neighbours],
    request: SearchRequest,
    allows: Callable[[bytes], bool] | None = None,
) -> tuple[Hit, ...]:
    """The `k` best hits.

    Args:
        nearest: the so many images that are nearest to the query, or fewer where there are no more.
        lets: whether a path may stand for its picture; None is any.

    Raises:
        StoreDamagedError: the catalog has lost a record.
    """
    these = {image for one in request.without if (image := reader.image_of(one)) is not None}
    # However the query itself and orphans lie, the k-th hit is no later than this:
    last = request.k - 1 + reader.orphans + len(these)
    wanted = last + 2
    while True:
        found = nearest(wanted)
        ids, scores = found.ids[0], found.scores[0]
        # Ties are broken by path, so all pictures that tie with the last must be seen.
        if len(ids) < wanted or scores[last] > scores[-1]:
            return _ranked(reader, ids, scores, request, these, allows)
        wanted *= 2


def _ranked(
    reader: Reader,
    ids: NDArray[np.int64],
    scores: NDArray[np.float64],
    request: SearchRequest,
    these: set[int],
    allows: Callable[[bytes], bool] | None,
) -> tuple[Hit, ...]:
    k, without = request.k, {content.hex() for content in request.without}
    found: list[tuple[float, list[bytes], int]] = []
    for number, score in zip(ids.tolist(), scores.tolist(), strict=True):
        if len(found) >= k and score < found[k - 1][0]:
            break
        if number in these:
            continue
        if paths := reader.paths_of(number):
            if allows is not None:
                paths.sort(key=lambda path: not allows(path))  # those first that are let through
            found.append((score, paths, number))
        elif not reader.is_orphan(number):
            raise StoreDamagedError(
                f"the catalog has lost the paths of image {number}; 'tll-index repair' mends it"
            )
    found.sort(key=lambda one: (-one[0], one[1][0]))
    hits = []
    for rank, (score, paths, number) in enumerate(found[:k], start=1):
        record = reader.record(number)
        if record.sha256 in without:
            raise StoreDamagedError(
                f"the catalog has lost the content of image {number}; 'tll-index repair' mends it"
            )
        names = tuple(os.fsdecode(path) for path in sorted(paths))
        score = round(request.scale * score, SCORE_DECIMALS)
        first = os.fsdecode(paths[0])
        hits.append(Hit(rank, score, first, names, record.width, record.height, record.sha256))
    return tuple(hits)
