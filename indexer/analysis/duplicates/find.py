"""The same picture again: equal files, and copies in another size, format, quality or frame.

Equal content the catalog knows. For the rest, pictures that the lens finds alike, or whose outlines
are, are *candidates* (`candidates.py`); whether two of them are one picture is for their details to
say (`confirming.py`), which takes reading each file once, and those of promising pairs again.
docs/collection.md says how the thresholds were chosen.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ....core.config import Settings, load_settings
from ....core.errors import UsageError
from ....core.progress import Progress
from ....core.wording import counted
from ....engine.images.decode import Limits
from ....engine.near_duplicates.orientation import ORIENTATIONS, UPRIGHT
from ...catalog.base import Reader
from ...catalog.records import ImageRecord
from ...scan.file_states import OK, IndexedPath, states_now
from ...store.store import Store
from ..knn_graph import neighbourhoods
from .candidates import COPY_NEIGHBOURS, CandidatePairs, by_lens, by_outline
from .confirm import Match, Matches, confirmed, promises
from .families import connected, stars
from .groups import Group, ShownImage, grouped
from .sketches import Sketches

SAME = 0.92
"""Details that agree at least so well are of one picture."""
ITSELF = Match(1.0, UPRIGHT)
_AT_A_TIME = 512
"""Images whose paths are looked up at once."""


def dupes(
    store: str | os.PathLike[str] | None = None,
    *,
    exact: bool = False,
    threshold: float = SAME,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> tuple[Group, ...]:
    """Groups of files in a store that show the same or nearly the same picture, in order of path.
    Every file of a group is like its first one; nothing is deleted. Paths that lead to one file are
    one of them, and each file is looked at, whether it still is what the last build saw.

    Args:
        store: its folder; None as in `Store.open`.
        exact: only equal content, as of the last build; no file is opened (but where its size and
            time can't tell whether it changed: it was written just before the build).
        threshold: how well details must agree, above 0 and up to 1.

    Raises:
        UsageError: a threshold that can't be.
        NoStoreError, StoreDamagedError, TllError
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"the threshold is {threshold:g}; it must be above 0 and up to 1")
    settings, progress = settings or load_settings(), progress or Progress()
    with Store.open(store, settings=settings) as opened:
        families = [] if exact else _families(opened, threshold, progress)
        return tuple(
            sorted(_groups(opened, families, progress), key=lambda group: group.copies[0].path)
        )


_Family = dict[int, Match]
"""Image numbers, the best first, each with how it matches that one."""


def _families(store: Store, threshold: float, progress: Progress) -> list[_Family]:
    with Sketches.of(store, _images(store), progress) as sketches:
        candidates = CandidatePairs.joined(
            [
                *by_lens(
                    sketches, neighbourhoods(store, COPY_NEIGHBOURS, progress=progress, faces=False)
                ),
                *by_outline(sketches, progress),
            ]
        )
        workers = store.settings.decoders()
        promising = list(promises(sketches, candidates, threshold, workers, progress))
        matches = confirmed(store, sketches, promising, threshold, progress)
        quality = _quality(store, sketches.images)
        others = _with_the_best(matches, quality, candidates)
        more = list(promises(sketches, others, threshold, workers, progress))
        matches |= confirmed(store, sketches, more, threshold, progress)
        likes = {pair: match.likeness for pair, match in matches.items()}
        return [
            {int(sketches.images[row]): _of_the_first(rows[0], row, matches) for row in rows}
            for rows in stars(likes, quality, likes)
        ]


def _images(store: Store) -> NDArray[np.int64]:
    """Those that some path shows, ascending."""
    with store.catalog.reading() as reader:
        return np.setdiff1d(reader.image_numbers(), reader.orphan_numbers(), assume_unique=True)


def _of_the_first(first: int, row: int, matches: Matches) -> Match:
    """How a row lies beside the first of its group."""
    if row == first:
        return ITSELF
    if first < row:  # what is known is how the row must be turned to lie as the first
        match = matches[first, row]
        return Match(match.likeness, match.orientation.inverse)
    return matches[row, first]


def _with_the_best(
    matches: Matches, quality: list[tuple[int, int, int]], tried: CandidatePairs
) -> CandidatePairs:
    """The best of what hangs together, with those of it that were no candidates: as they are, and
    as they lie to somebody who lies to the best."""
    known = {tuple(pair) for pair in tried.pairs.tolist()}
    pairs = [
        (min(best, row), max(best, row))
        for rows in connected(matches)
        for best in [min(rows, key=quality.__getitem__)]
        for row in rows
        if row != best
    ]
    new = np.array([pair for pair in pairs if pair not in known], np.int64).reshape(-1, 2)
    ways = len(ORIENTATIONS)
    return CandidatePairs(
        np.repeat(new, ways, axis=0),
        np.tile(np.arange(ways), len(new)),
        np.ones(ways * len(new), bool),
    )


def _quality(store: Store, images: NDArray[np.int64]) -> list[tuple[int, int, int]]:
    """What sorts the best of `images` first; rows in the end, so that it is the same each time."""
    found = []
    with store.catalog.reading() as reader:
        reader.fetch(images.tolist(), paths=False)
        for row, number in enumerate(images.tolist()):
            record = reader.image(number)
            pixels, size = (0, 0) if record is None else _size(record)
            found.append((-pixels, -size, row))
    return found


def _size(record: ImageRecord) -> tuple[int, int]:
    return record.width * record.height, record.file_bytes


def _groups(store: Store, families: Iterable[_Family], progress: Progress) -> Iterator[Group]:
    """Those families, and every other image that has several paths, with their files as they are
    now."""
    groups = list(_shown(store, families))
    entries = [entry for images in groups for image in images for entry in image.entries]
    now = states_now(entries, Limits.of(store.settings))
    for images in groups:
        yield from grouped(images, now)
    if left_out := Counter(one.state for one in now.values() if one.state != OK):
        states = ", ".join(f"{count:,} {state}" for state, count in sorted(left_out.items()))
        progress.note(
            f"left out {counted(sum(left_out.values()), 'path')} that changed since the last build "
            f"({states}): neither best nor copies; 'tll-index build' brings the store up to date"
        )


def _shown(store: Store, families: Iterable[_Family]) -> Iterator[list[ShownImage]]:
    """The images of each group, the best first."""
    with store.catalog.reading() as reader:
        known: set[int] = set()
        for family in families:
            known |= family.keys()
            reader.fetch(family)
            yield [
                shown for image, match in family.items() for shown in _image(reader, image, match)
            ]
        numbers = reader.image_numbers().tolist()
        for start in range(0, len(numbers), _AT_A_TIME):
            reader.fetch(some := numbers[start : start + _AT_A_TIME])
            for image in some:
                if image not in known and len(reader.paths_of(image, at_most=2)) > 1:
                    yield list(_image(reader, image, ITSELF))


def _image(reader: Reader, image: int, match: Match) -> Iterator[ShownImage]:
    record = reader.image(image)
    if record is not None:  # else it was removed meanwhile
        entries = [
            IndexedPath(path, entry.state, record.sha256)
            for path, entry in reader.entries_of(image)
        ]
        likeness = round(min(match.likeness, 1.0), 4)
        yield ShownImage(record, entries, likeness, *match.orientation)
