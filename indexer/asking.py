"""One query: what an index finds -> hits, with paths; equal scores in order of path."""

from __future__ import annotations

import os
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from ..contracts import Hit
from ..engine.search import SCORE_DECIMALS, Neighbours
from ..errors import StoreDamagedError
from .reader import Reader


def best_hits(
    reader: Reader,
    nearest: Callable[[int], Neighbours],
    k: int,
    without: bytes | None,
    scale: float,
) -> tuple[Hit, ...]:
    """The `k` best hits.

    Args:
        nearest: the so many images that are nearest to the query, or fewer where there are no more.
        without: SHA-256 of a content that is left out.
        scale: see `Lens.scale`.

    Raises:
        StoreDamagedError: the catalog has lost a record.
    """
    this = None if without is None else reader.image_of(without)
    # However the query itself and orphans lie, the k-th hit is no later than this:
    last = k - 1 + reader.orphans + (this is not None)
    wanted = last + 2
    while True:
        found = nearest(wanted)
        ids, scores = found.ids[0], found.scores[0]
        # Ties are broken by path, so all pictures that tie with the last must be seen.
        if len(ids) < wanted or scores[last] > scores[-1]:
            return _ranked(reader, ids, scores, k, this, without, scale)
        wanted *= 2


def _ranked(
    reader: Reader,
    ids: NDArray[np.int64],
    scores: NDArray[np.float64],
    k: int,
    this: int | None,
    without: bytes | None,
    scale: float,
) -> tuple[Hit, ...]:
    found: list[tuple[float, list[bytes], int]] = []
    for number, score in zip(ids.tolist(), scores.tolist(), strict=True):
        if len(found) >= k and score < found[k - 1][0]:
            break
        if number == this:
            continue
        if paths := reader.paths_of(number):
            found.append((score, paths, number))
        elif not reader.is_orphan(number):
            raise StoreDamagedError(
                f"the catalog has lost the paths of image {number}; 'tll-index repair' mends it"
            )
    found.sort(key=lambda one: (-one[0], one[1][0]))
    hits = []
    for rank, (score, paths, number) in enumerate(found[:k], start=1):
        record = reader.image(number)
        if record is None:
            raise StoreDamagedError(
                f"the catalog has lost the record of image {number}; 'tll-index repair' mends it"
            )
        if without is not None and record.sha256 == without.hex():
            raise StoreDamagedError(
                f"the catalog has lost the content of image {number}; 'tll-index repair' mends it"
            )
        names = tuple(os.fsdecode(path) for path in paths)
        score = round(scale * score, SCORE_DECIMALS)
        hits.append(Hit(rank, score, names[0], names, record.width, record.height))
    return tuple(hits)
