"""A collection's own Totally-Looks-Like: pairs that are alike through the lens, and only there.

Candidates are pictures of which each is among the nearest of the other through the lens. The best
of them are embedded again, to compare their plain features, which say how far two pictures show the
same thing. docs/collection.md says how the ranking was chosen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ..config import Settings, load_settings
from ..contracts import Indexed, Pixels
from ..engine.lens import unit
from ..engine.outlines import SIDE, Outlines, likeness, likeness_of_parts, outline
from ..engine.runtime import pictures_a_pass
from ..engine.search import SCORE_DECIMALS
from ..errors import StoreError, UsageError
from ..names import shown
from .describing import indexed
from .files import scratch
from .neighbours import Neighbourhoods, neighbourhoods
from .own_lens import own_lens
from .report import Progress
from .rereading import reread
from .store import Store

NEIGHBOURS = 10
POOL = 20
"""For each pair that is asked for, so many of the most alike are looked at."""
SAME_SCENE = 0.85
"""Plain features that are so alike are of one thing or scene."""
SAME_SERIES = 0.7
"""The same for files of one folder whose numbers are near: shots of one series."""
NEAR_NUMBERS = 5
SAME_PICTURE = 0.8
"""Details that agree at least so well are of one picture; less than what counts as a duplicate."""

_NUMBER = re.compile(rb"[0-9]{1,18}(?=[^0-9]*$)")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that look alike, though they differ."""

    rank: int
    score: float
    """How striking: `alike` less `plain`."""
    alike: float
    """Cosine through the lens, without hub penalty."""
    plain: float
    """Cosine of the backbone's features as they are."""
    left: Indexed
    right: Indexed


def pairs(
    store: str | os.PathLike[str] | None = None,
    *,
    top: int = 50,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> tuple[Pair, ...]:
    """The `top` most striking pairs of a store, best first: alike through its lens, unlike in plain
    features. Each picture is in one at most; the same picture again and shots of one scene are in
    none. Fewer come back where there are no more.

    Args:
        store: its folder; None as in `Store.open`.
        top: at least 1; so many times 20 pairs are embedded again.

    Raises:
        UsageError: `top` below 1.
        StoreError: the store has no trained lens.
        NoStoreError, StoreDamagedError, StoreMismatchError, WeightsError
    """
    if top < 1:
        raise UsageError(f"top is {top}; ask for at least 1 pair")
    settings, progress = settings or load_settings(), progress or Progress()
    with Store.open(store, settings=settings) as opened:
        if not own_lens(opened.path, opened.about).trained:
            raise StoreError(
                f"{shown(opened.path)} has no trained lens, through which unlike pictures may look "
                "alike; build another store with one (see 'tll-index build --lens')"
            )
        alike = mutual(neighbourhoods(opened, NEIGHBOURS, progress=progress))
        seen = _looked_at(opened, alike.rows(slice(POOL * top)), progress)
        best = most_striking(seen.rows(~_of_series(opened, seen))).rows(slice(top))
        return tuple(_described(opened, best))


@dataclass(frozen=True, eq=False)
class Alike:
    """Pairs of pictures, by numbers of any kind."""

    pairs: NDArray[np.int64]
    """(n, 2)."""
    alike: NDArray[np.float64]
    """(n,): cosines through the lens."""
    plain: NDArray[np.float64]
    """(n,): cosines of plain features; NaN where they aren't known."""

    def rows(self, which: Any) -> Alike:
        """Some of them."""
        return Alike(self.pairs[which], self.alike[which], self.plain[which])

    @property
    def scores(self) -> NDArray[np.float64]:
        """(n,): how striking they are."""
        return self.alike - self.plain


def most_striking(found: Alike) -> Alike:
    """Those that are neither of one thing or scene nor unknown, the most striking first, without
    those of which a picture was in a better one; equal scores in their order."""
    taken: set[int] = set()
    best = []
    for row in np.argsort(-found.scores, kind="stable").tolist():
        both = set(found.pairs[row].tolist())
        if found.plain[row] < SAME_SCENE and not both & taken:
            taken |= both
            best.append(row)
    return found.rows(best)


def mutual(blocks: Iterable[Neighbourhoods]) -> Alike:
    """Pairs of which each is among the nearest of the other, the most alike first."""
    parts, cosines = [np.empty((0, 2), np.int64)], [np.empty(0)]
    for block in blocks:
        row, column = np.nonzero(block.cosines > 0)
        parts.append(np.stack([block.images[row], block.others[row, column]], 1))
        cosines.append(block.cosines[row, column])
    ordered = np.sort(np.concatenate(parts), axis=1)
    both, first, times = np.unique(ordered, axis=0, return_index=True, return_counts=True)
    alike = np.concatenate(cosines)[first]
    order = np.argsort(-alike, kind="stable")
    order = order[times[order] == 2]
    return Alike(both[order], alike[order], np.full(len(order), np.nan))


def _looked_at(store: Store, alike: Alike, progress: Progress) -> Alike:
    """The same with what embedding the pictures again shows, without those that can't be read or
    are one picture."""
    backbone = store.embedder.backbone
    images, rows = np.unique(alike.pairs, return_inverse=True)
    rows = rows.reshape(-1, 2)
    there = np.zeros(len(images), bool)
    with (
        scratch((len(images), backbone.spec.dimension), np.float16) as plain,
        scratch((len(images), SIDE, SIDE), np.uint8) as outlines,
    ):
        geometry = backbone.spec.geometry
        found = reread(store, images, geometry, what="embedding", progress=progress)
        while batch := list(islice(found, pictures_a_pass(store.settings))):
            at = np.searchsorted(images, [number for number, _ in batch])
            pixels = np.stack([picture.pixels for _, picture in batch])
            plain[at] = unit(backbone.features(pixels))
            outlines[at] = [_small_outline(one) for one in pixels]
            there[at] = True
        usable = there[rows].all(axis=1)
        alike, rows = alike.rows(usable), rows[usable]
        cosines = [float(plain[one].astype(np.float32) @ plain[other]) for one, other in rows]
        alike = replace(alike, plain=np.round(cosines, SCORE_DECIMALS).reshape(-1))
        one, other = (outlines[side] for side in rows.T)
        likes = np.maximum(likeness(one, other), likeness_of_parts(one, other, np.ones(len(rows))))
        return alike.rows(likes < SAME_PICTURE)


def _small_outline(pixels: Pixels) -> Outlines:
    return outline(np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BOX)))


def _of_series(store: Store, found: Alike) -> NDArray[np.bool_]:
    """(n,): whether pairs are shots of one series: rather alike in plain features, in one folder,
    under names that differ in a number, and by little."""
    series = found.plain >= SAME_SERIES
    with store.catalog.reading() as reader:
        for row in np.flatnonzero(series):
            one, other = (reader.paths_of(int(image)) for image in found.pairs[row])
            series[row] = any(are_near(left, right) for left in one for right in other)
    return series


def are_near(one: bytes, other: bytes) -> bool:
    """Whether two paths are of one folder, and differ only in the last number of their names, by
    little."""
    (folder, name), (other_folder, other_name) = os.path.split(one), os.path.split(other)
    numbers = [_NUMBER.search(name), _NUMBER.search(other_name)]
    if folder != other_folder or numbers[0] is None or numbers[1] is None:
        return False
    same_rest = _NUMBER.sub(b"", name, count=1) == _NUMBER.sub(b"", other_name, count=1)
    return same_rest and abs(int(numbers[0][0]) - int(numbers[1][0])) <= NEAR_NUMBERS


def _described(store: Store, best: Alike) -> Iterator[Pair]:
    cosines = zip(best.alike.tolist(), best.plain.tolist(), strict=True)
    with store.catalog.reading() as reader:
        for rank, (both, (alike, plain)) in enumerate(
            zip(best.pairs, cosines, strict=True), start=1
        ):
            left, right = (indexed(reader, int(image)) for image in both)
            score = round(alike - plain, SCORE_DECIMALS)
            yield Pair(rank, score, alike, plain, left, right)
