"""A collection's own Totally-Looks-Like: pairs that are alike through the lens, and only there.

Candidates are pictures of which each is among the nearest of the other through the lens. The best
of them are embedded again, to compare their plain features, which say how far two pictures show the
same thing. docs/collection.md says how the ranking was chosen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.config import Settings, load_settings
from ...core.contracts import Indexed
from ...core.errors import StoreError, UsageError
from ...core.names import shown
from ...core.progress import Progress
from ..store.info import indexed
from ..store.store import Store
from .knn_graph import neighbourhoods
from .pair_gallery import Gallery
from .pair_ranking import Alike, BackgroundPairs, each_once, mutual

PAIR_NEIGHBOURS = 10
POOL, MOST = 4, 40
"""For each pair that is wanted, so many of the most alike that pass as different are ranked, and
at most so many are read to find them."""
SAME_SCENE = 3.0
"""Deviations above background pairs in plain features: so alike are pictures of one thing or
scene."""
SAME_SERIES = 2.0
"""The same for files of one folder whose numbers are near: shots of one series."""
NEAR_NUMBERS = 5

_NUMBER = re.compile(rb"[0-9]{1,18}(?=[^0-9]*$)")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two pictures that look alike, though they differ."""

    rank: int
    score: float
    """How striking: `alike` less half of `plain`, each in standard deviations above what pictures
    have that have nothing to do with each other."""
    alike: float
    """Cosine through the lens, without hubness correction."""
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
    """The `top` most striking pairs of a store, best first: alike through its lens, less so in
    plain features. Each picture is in one at most; the same picture again and shots of one scene
    are in none. Fewer come back where there are no more.

    Args:
        store: its folder; None as in `Store.open`.
        top: at least 1. Pictures of at least four times, at most forty times as many pairs are
            embedded again.

    Raises:
        UsageError: `top` below 1.
        StoreError: the store has no trained lens.
        NoStoreError, StoreDamagedError, StoreMismatchError, WeightsError
    """
    if top < 1:
        raise UsageError(f"top is {top}; ask for at least 1 pair")
    settings, progress = settings or load_settings(), progress or Progress()
    with Store.open(store, settings=settings) as opened:
        if not opened.lens.trained:
            raise StoreError(
                f"{shown(opened.location)} has no trained lens, and only through one can unlike "
                "pictures look alike; build another store with one (see 'tll-index build --lens')"
            )
        found = mutual(neighbourhoods(opened, PAIR_NEIGHBOURS, progress=progress))
        found = found.rows(slice(MOST * top))
        with Gallery.opened(opened, found, progress) as gallery:
            pool = _different(gallery, found, POOL * top)
            background = gallery.background()
        best = each_once(pool, background.scores(pool)).rows(slice(top))
        return tuple(_described(opened, best, background))


def _different(gallery: Gallery, found: Alike, wanted: int) -> Alike:
    """The `wanted` most alike of those that aren't one picture, thing, scene or series."""
    parts = [found.rows(slice(0))]
    for start in range(0, len(found.pairs), wanted):
        seen = gallery.encode_decoded(found.rows(slice(start, start + wanted)))
        plainness = gallery.background().plainness(seen.plain)
        rest = (plainness < SAME_SCENE) & ~gallery.one_picture(seen)
        rest[rest] = ~_of_series(gallery.store, seen.rows(rest), plainness[rest])
        parts.append(seen.rows(rest))
        if sum(len(part.pairs) for part in parts) >= wanted:
            break
    columns = ([getattr(part, name) for part in parts] for name in ("pairs", "alike", "plain"))
    return Alike(*map(np.concatenate, columns)).rows(slice(wanted))


def _of_series(store: Store, found: Alike, plainness: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,): whether pairs are shots of one series: rather alike in plain features, in one folder,
    under names that differ in a number, and by little."""
    series = plainness >= SAME_SERIES
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


def _described(store: Store, best: Alike, background: BackgroundPairs) -> Iterator[Pair]:
    figures = np.stack([background.scores(best), best.alike, best.plain], axis=1).tolist()
    with store.catalog.reading() as reader:
        for rank, (both, (score, alike, plain)) in enumerate(
            zip(best.pairs, figures, strict=True), start=1
        ):
            left, right = (indexed(reader, int(image)) for image in both)
            yield Pair(rank, round(score, 4), alike, plain, left, right)
