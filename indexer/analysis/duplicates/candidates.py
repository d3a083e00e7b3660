"""Which pictures may be the same as which: by the lens, and by outlines in any orientation."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ....core.progress import Progress
from ....engine.near_duplicates.orientation import ORIENTATIONS, UPRIGHT
from ..knn_graph import Neighbourhoods
from .sketches import Sketches

NEIGHBOURS = 20
"""Candidates for each picture: so many that look most like it through the lens,"""
LEAST_COSINE = 0.4
"""and at least so much; what is compressed hard or made very small looks less like itself."""
LEAST_COSINE_OF_PARTS = 0.55
"""Of those that a part is looked for in, which takes longer."""
OUTLINE_NEIGHBOURS = 12
"""And so many whose outlines are most like its own, in each of the eight orientations,"""
LEAST_COSINE_OF_OUTLINES = 0.6
"""and at least so much, at 16 x 16: two pictures by chance have 0 +- 0.1."""
LEAST_COSINE_OF_OUTLINES_OF_PARTS = 0.8

_EXACT = 40_000
"""More keys than that are kept in lists, of which a search looks into some."""
_NPROBE = 24
_AT_A_TIME = 1024


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of pictures, each once for an orientation, as rows of their sketches; the lower row
    first."""

    pairs: NDArray[np.int64]
    """(n, 2)."""
    orientations: NDArray[np.int64]
    """(n,): in which of ORIENTATIONS the second lies as the first."""
    may_be_parts: NDArray[np.bool_]
    """(n,): whether they are so much alike that a part is looked for, which takes longer."""

    @classmethod
    def joined(cls, parts: Iterable[Candidates]) -> Candidates:
        """All of these, each once."""
        all_parts = list(parts)
        pairs = np.concatenate([np.empty((0, 2), np.int64), *(one.pairs for one in all_parts)])
        lies = np.concatenate([np.empty(0, np.int64), *(one.orientations for one in all_parts)])
        partly = np.concatenate([np.empty(0, bool), *(one.may_be_parts for one in all_parts)])
        order = np.lexsort((~partly, lies, pairs[:, 1], pairs[:, 0]))
        keyed = np.column_stack([pairs, lies])[order]
        new = np.ones(len(keyed), bool)
        new[1:] = (keyed[1:] != keyed[:-1]).any(axis=1)
        return cls(keyed[new, :2], keyed[new, 2], partly[order][new])

    def readable(self, sketches: Sketches) -> Candidates:
        """Those of which both can be read."""
        there = sketches.readable[self.pairs].all(axis=1)
        return Candidates(self.pairs[there], self.orientations[there], self.may_be_parts[there])


def by_lens(sketches: Sketches, blocks: Iterable[Neighbourhoods]) -> Iterator[Candidates]:
    """Those that look alike through the lens."""
    for block in blocks:
        row, column = np.nonzero(block.cosines >= LEAST_COSINE)
        numbers = np.stack([block.images[row], block.others[row, column]], 1)
        rows = np.searchsorted(sketches.images, numbers).clip(0, len(sketches.images) - 1)
        known = (sketches.images[rows] == numbers).all(axis=1)
        upright = np.full(int(known.sum()), ORIENTATIONS.index(UPRIGHT))
        near = block.cosines[row, column][known] >= LEAST_COSINE_OF_PARTS
        yield Candidates(np.sort(rows[known], 1), upright, near)


def by_outline(sketches: Sketches, progress: Progress) -> Iterator[Candidates]:
    """Those with much the same outline, also mirrored and turned."""
    rows = np.flatnonzero(sketches.readable)
    if len(rows) < 2:
        return
    index = _index(sketches, rows)
    wanted = min(OUTLINE_NEIGHBOURS + 1, len(rows))
    progress.start("comparing outlines", len(rows), "pictures")
    for start in range(0, len(rows), _AT_A_TIME):
        some = rows[start : start + _AT_A_TIME]
        for number, orientation in enumerate(ORIENTATIONS):
            # What lies so as a picture is asked for: the picture, taken back.
            lying = orientation.inverse.of(sketches.keys[some]).reshape(len(some), -1)
            cosines, found = index.search(np.ascontiguousarray(lying), wanted)
            near = (cosines >= LEAST_COSINE_OF_OUTLINES) & (found >= 0)
            row, column = np.nonzero(near)
            one, other = some[row], rows[found[row, column]]
            first = one < other  # the other way round it is found as well, with the inverse
            yield Candidates(
                np.stack([one[first], other[first]], 1),
                np.full(int(first.sum()), number),
                cosines[row, column][first] >= LEAST_COSINE_OF_OUTLINES_OF_PARTS,
            )
            back = ORIENTATIONS.index(orientation.inverse)
            last = one > other
            yield Candidates(
                np.stack([other[last], one[last]], 1),
                np.full(int(last.sum()), back),
                cosines[row, column][last] >= LEAST_COSINE_OF_OUTLINES_OF_PARTS,
            )
        progress.advance(len(some))


def _index(sketches: Sketches, rows: NDArray[np.int64]) -> faiss.Index:
    """Of the keys of these, by inner product."""
    width = sketches.keys[0].size
    index: Any = faiss.IndexFlatIP(width)
    if len(rows) > _EXACT:
        lists = int(4 * np.sqrt(len(rows)))
        index = faiss.IndexIVFFlat(index, width, lists, faiss.METRIC_INNER_PRODUCT)
        some = np.sort(np.random.default_rng(0).permutation(rows)[: 40 * lists])
        index.train(sketches.keys[some].reshape(-1, width))
        index.nprobe = _NPROBE
    for start in range(0, len(rows), _AT_A_TIME):
        index.add(sketches.keys[rows[start : start + _AT_A_TIME]].reshape(-1, width))
    return index
