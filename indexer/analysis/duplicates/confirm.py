"""Which candidates are the same picture: a glance at their outlines, then a close look."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from ....core.progress import Progress
from ....core.scratch import scratch
from ....core.threads import calm_blas
from ....engine.near_duplicates.boxes import WHOLE, Box
from ....engine.near_duplicates.orientation import ORIENTATIONS, UPRIGHT, Orientation
from ....engine.near_duplicates.outlines import (
    likeness_of_packed,
    likeness_of_parts,
    position_of_part,
)
from ....engine.near_duplicates.pixel_comparison import (
    COMPARISON_GEOMETRY,
    FINE,
    MOST_DIFFERENT,
    Sight,
    agreement,
)
from ...decoding.reread import reread
from ...store.store import Store
from .candidates import CandidatePairs
from .sketches import Sketches

PROMISING = 0.8
"""Outlines that agree so well, of wholes or of a part in a whole, are worth a close look."""
STRICT = 0.92
"""At a lower threshold the close look, too, lets more pass."""
_AT_A_TIME = 512
"""Pairs that are compared at once."""
_PICTURES_AT_A_TIME = 2048
"""Whose larger copies are kept at once, in a scratch file of 0.9 GB."""
_MOST_REFUSED = 32
"""A picture that so many were no copies of, the most promising first, is one of many on one form:
of others like it no more are looked at."""


@dataclass(frozen=True, slots=True)
class Promise:
    """Two pictures that may be one."""

    one: int
    other: int
    """Rows of their sketches."""
    orientation: Orientation
    """In which the other lies as the one."""
    likeness: float
    """Of their outlines."""
    here: Box
    there: Box
    """What of each may show the same; of the other as it then lies."""

    @property
    def rank(self) -> float:
        """What looks the same mirrored or turned, is as it is."""
        return self.likeness - 0.02 * (self.orientation != UPRIGHT)


@dataclass(frozen=True, slots=True)
class Match:
    """Two pictures that are one."""

    likeness: float
    orientation: Orientation


Matches = dict[tuple[int, int], Match]
"""By the rows of their sketches, the lower first."""


def promises(
    sketches: Sketches,
    candidates: CandidatePairs,
    threshold: float,
    workers: int,
    progress: Progress,
) -> Iterator[Promise]:
    """Those candidates whose outlines agree, each in the orientations in which they do."""
    least = min(threshold, PROMISING)
    candidates = candidates.readable(sketches)
    progress.start("comparing", len(candidates.pairs), "pairs")

    def promising(some: NDArray[np.int64]) -> tuple[int, list[Promise]]:
        orientation = ORIENTATIONS[int(candidates.orientations[some[0]])]
        glance = _Glance(sketches, candidates.pairs[some], orientation)
        return len(some), list(glance.promises(candidates.may_be_parts[some], least))

    blocks = [
        rows[start : start + _AT_A_TIME]
        for number in range(len(ORIENTATIONS))
        for rows in [np.flatnonzero(candidates.orientations == number)]
        for start in range(0, len(rows), _AT_A_TIME)
    ]
    with ThreadPoolExecutor(workers) as pool, calm_blas():
        for count, found in pool.map(promising, blocks):
            yield from found
            progress.advance(count)


@dataclass(frozen=True, eq=False)
class _Glance:
    """Some pairs, all with the other lying in one way."""

    sketches: Sketches
    pairs: NDArray[np.int64]
    orientation: Orientation

    def promises(self, may_be_parts: NDArray[np.bool_], least: float) -> Iterator[Promise]:
        """Those whose outlines agree."""
        likes = np.zeros((len(self.pairs), 4), np.float32)
        framed = (self.sketches.boxes[self.pairs] != np.array(WHOLE)).any(axis=(1, 2))
        likes[:, 0] = self._likeness(np.arange(len(self.pairs)), False, False)
        some = np.flatnonzero(framed)
        for column, (one, other) in enumerate(((True, True), (True, False), (False, True)), 1):
            likes[some, column] = self._likeness(some, one, other)
        for row in np.flatnonzero(likes.max(1) >= least).tolist():
            way = int(likes[row].argmax())
            yield self._promise(row, float(likes[row, way]), *self._boxes(row, way))
        rest = np.flatnonzero((likes.max(1) < STRICT) & may_be_parts)
        for whole in (False, True):
            rest = rest[framed[rest]] if whole else rest
            yield from self._parts(rest, whole, least)

    def _likeness(
        self, rows: NDArray[np.int64], whole: bool, other_whole: bool
    ) -> NDArray[np.float32]:
        kept = self.sketches.content_details, self.sketches.whole_details
        one, other = self.pairs[rows].T
        lying = self.orientation.of(kept[other_whole][other])
        return likeness_of_packed(kept[whole][one], lying)

    def _outlines(self, rows: NDArray[np.int64], whole: bool) -> NDArray[np.uint8]:
        return (self.sketches.wholes if whole else self.sketches.contents)[rows]

    def _others(self, rows: NDArray[np.int64], whole: bool) -> NDArray[np.uint8]:
        return self.orientation.of(self._outlines(rows, whole))

    def _boxes(self, row: int, way: int) -> tuple[Box, Box]:
        one, other = self.pairs[row].tolist()
        here = WHOLE if way in (1, 2) else self.sketches.box(one, UPRIGHT)
        there = WHOLE if way in (1, 3) else self.sketches.box(other, self.orientation)
        return here, there

    def _parts(self, rows: NDArray[np.int64], whole: bool, least: float) -> Iterator[Promise]:
        """One may be a part of the other."""
        if not len(rows):
            return
        one, other = self.pairs[rows].T
        shapes = self.sketches.shapes(other, framed=whole)
        if self.orientation.swaps_sides:
            shapes = 1 / shapes
        stretches = shapes / self.sketches.shapes(one, framed=whole)
        first, second = self._outlines(one, whole), self._others(other, whole)
        likes = likeness_of_parts(first, second, stretches)
        for at in np.flatnonzero(likes >= least).tolist():
            here, there = self._boxes(int(rows[at]), 1 if whole else 0)
            forth = position_of_part(first[at], second[at], float(stretches[at]))
            back = position_of_part(second[at], first[at], 1 / float(stretches[at]))
            if forth[0] >= back[0]:
                here = forth[1].of(here)
            else:
                there = back[1].of(there)
            yield self._promise(int(rows[at]), float(likes[at]), here, there)

    def _promise(self, row: int, like: float, here: Box, there: Box) -> Promise:
        one, other = self.pairs[row].tolist()
        return Promise(one, other, self.orientation, like, here, there)


def confirmed(
    store: Store,
    sketches: Sketches,
    promising: list[Promise],
    threshold: float,
    progress: Progress,
) -> Matches:
    """Those that are the same picture when looked at closely."""
    found: Matches = {}
    refused: Counter[int] = Counter()
    for some in _portions(promising):
        rows = np.unique([(one.one, one.other) for one in some])
        with scratch((len(rows), FINE, FINE, 3), np.uint8) as pixels:
            there = np.zeros(len(rows), bool)
            numbers = sketches.images[rows]
            for number, picture in reread(
                store, numbers, COMPARISON_GEOMETRY, what="reading again", progress=progress
            ):
                row = int(np.searchsorted(numbers, number))
                pixels[row], there[row] = picture.pixels, True
            close = _CloseComparison(sketches, rows, pixels, there, threshold)
            workers = store.settings.decoders()
            with ThreadPoolExecutor(workers) as pool, calm_blas():
                close.all(some, found, refused, pool, progress)
    return found


def _portions(promising: list[Promise]) -> Iterator[list[Promise]]:
    """In portions of so many pictures, those of one pair together, the most promising first."""
    tries = sorted(promising, key=lambda one: (one.one, one.other))
    portion: list[Promise] = []
    pictures: set[int] = set()
    for (one, other), ways in groupby(tries, key=lambda promise: (promise.one, promise.other)):
        if portion and len(pictures | {one, other}) > _PICTURES_AT_A_TIME:
            yield sorted(portion, key=lambda promise: -promise.rank)
            portion, pictures = [], set()
        portion += ways
        pictures |= {one, other}
    if portion:
        yield sorted(portion, key=lambda promise: -promise.rank)


@dataclass(frozen=True, eq=False)
class _CloseComparison:
    """Pictures of a portion, to be compared pixel by pixel."""

    sketches: Sketches
    rows: NDArray[np.int64]
    """Of the sketches; those of `pixels`."""
    pixels: NDArray[np.uint8]
    there: NDArray[np.bool_]
    threshold: float

    def all(
        self,
        promising: list[Promise],
        found: Matches,
        refused: Counter[int],
        pool: ThreadPoolExecutor,
        progress: Progress,
    ) -> None:
        """Take up into `found` what is the same."""
        progress.start("looking closely", len(promising), "pairs")
        step = 32
        for start in range(0, len(promising), step):
            some = [
                one
                for one in promising[start : start + step]
                if (one.one, one.other) not in found
                and min(refused[one.one], refused[one.other]) < _MOST_REFUSED
            ]
            for one, agreed in zip(some, pool.map(self._agreement, some), strict=True):
                pair = one.one, one.other
                if agreed < self.threshold:
                    if one.orientation == UPRIGHT:  # in other ways its own copies may look like it
                        refused.update(pair)
                elif pair not in found:
                    found[pair] = Match(agreed, one.orientation)
            progress.advance(len(promising[start : start + step]))

    def _agreement(self, promise: Promise) -> float:
        rows = np.searchsorted(self.rows, [promise.one, promise.other])
        if not self.there[rows].all():
            return 0.0
        lies = promise.orientation
        one = Sight(self.pixels[rows[0]], *self._size(promise.one, UPRIGHT), promise.here)
        other = Sight(
            np.moveaxis(lies.of(np.moveaxis(self.pixels[rows[1]], 2, 0)), 0, 2),
            *self._size(promise.other, lies),
            promise.there,
            lies != UPRIGHT,
        )
        loose = max(1.0, (1 - self.threshold) / (1 - STRICT))
        agreed = agreement(one, other, MOST_DIFFERENT * loose)
        return max(agreed, promise.likeness) if agreed else 0.0

    def _size(self, row: int, lies: Orientation) -> tuple[int, int]:
        width, height = self.sketches.sizes[row].tolist()
        return (height, width) if lies.swaps_sides else (width, height)
