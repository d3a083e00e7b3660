"""What an index finds -> hits, with paths; equal scores in order of path."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Hit, UnitVectors
from ...core.errors import StoreDamagedError
from ...engine.search.search import SCORE_DECIMALS, Neighbours
from ..catalog.base import Reader
from .path_filter import Allowed
from .vector_index import R, VectorIndex


def rank_hits(
    index: VectorIndex[R],
    reader: R,
    queries: UnitVectors,
    k: int,
    *,
    scale: float = 1.0,
    without: Sequence[Collection[bytes]] | None = None,
    allowed: Allowed | None = None,
) -> list[tuple[Hit, ...]]:
    """The `k` best hits of each query, best first; the same as of each alone.

    Args:
        reader: of `index.reading()`.
        queries: (n, d) float32 of length 1, as `Lens.query_of` gives them.
        scale: see `Lens.scale`.
        without: for each query, SHA-256 of contents that are left out; None leaves out nothing.
        allowed: the images that a filter lets through.

    Raises:
        StoreDamagedError: the catalog has lost a record, or a vector.
    """
    numbers = None if allowed is None else allowed.images
    hidden = [_numbers_of(reader, contents) for contents in without or [()] * len(queries)]
    orphans = reader.orphans
    # However left-out images and orphans lie, the k-th hit is no later than this:
    last = [k - 1 + orphans + len(images) for images in hidden]
    found: dict[int, Neighbours] = {}
    wanted = {row: last[row] + 2 for row in range(len(queries))}
    while wanted:
        # A query is asked for as many as it would be alone: an index may look harder for more.
        for count, rows in _by_count(wanted).items():
            for row, near in zip(
                rows, index.nearest(queries[rows], count, reader, numbers), strict=True
            ):
                scores = near.scores[0]
                # Ties are broken by path, so all pictures that tie with the last must be seen.
                if len(scores) < count or scores[last[row]] > scores[-1]:
                    found[row] = near
                    del wanted[row]
                else:
                    wanted[row] = 2 * count
    return [
        _hits(reader, found[row].ids[0], found[row].scores[0], k, scale, hidden[row], allowed)
        for row in range(len(queries))
    ]


def _by_count(wanted: dict[int, int]) -> dict[int, list[int]]:
    rows: dict[int, list[int]] = defaultdict(list)
    for row, count in wanted.items():
        rows[count].append(row)
    return rows


def _numbers_of(reader: Reader, contents: Collection[bytes]) -> dict[int, str]:
    """Number -> content, of those contents that are images."""
    found = ((reader.image_of(content), content.hex()) for content in contents)
    return {number: content for number, content in found if number is not None}


def _hits(
    reader: Reader,
    ids: NDArray[np.int64],
    scores: NDArray[np.float64],
    k: int,
    scale: float,
    hidden: dict[int, str],
    allowed: Allowed | None,
) -> tuple[Hit, ...]:
    found: list[tuple[float, list[bytes], int]] = []
    for number, score in zip(ids.tolist(), scores.tolist(), strict=True):
        if len(found) >= k and score < found[k - 1][0]:
            break
        if number in hidden:
            continue
        if paths := reader.paths_of(number):
            if allowed is not None:  # those first that are let through
                paths.sort(key=lambda path: not allowed.paths.allows(path))
            found.append((score, paths, number))
        elif not reader.is_orphan(number):
            raise StoreDamagedError(
                f"the catalog has lost the paths of image {number}; 'tll-index repair' mends it"
            )
    found.sort(key=lambda one: (-one[0], one[1][0]))
    hits = []
    for rank, (score, paths, number) in enumerate(found[:k], start=1):
        record = reader.record(number)
        if record.sha256 in hidden.values():
            raise StoreDamagedError(
                f"the catalog has lost the content of image {number}; 'tll-index repair' mends it"
            )
        names = tuple(os.fsdecode(path) for path in sorted(paths))
        score = round(scale * score, SCORE_DECIMALS)
        first = os.fsdecode(paths[0])
        hits.append(Hit(rank, score, first, names, record.width, record.height, record.sha256))
    return tuple(hits)
