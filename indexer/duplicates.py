"""The same picture again: equal files, and copies in another size, format, quality or frame.

Equal content the catalog knows. For the rest, pictures that the lens finds alike, or whose outlines
are, are *candidates* (`candidates.py`); whether two of them are one picture is for their details to
say (`confirming.py`), which takes reading each file once, and those of promising pairs again.
docs/collection.md says how the thresholds were chosen.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import Settings, load_settings
from ..engine.orientation import ORIENTATIONS, UPRIGHT
from ..errors import UsageError
from .candidates import NEIGHBOURS, Candidates, by_lens, by_outline
from .confirming import Match, Matches, confirmed, promises
from .families import stars
from .interface import Reader
from .neighbours import neighbourhoods
from .records import ImageRecord
from .report import Progress
from .sketches import Sketches
from .store import Store

SAME = 0.92
"""Details that agree at least so well are of one picture."""
ITSELF = Match(1.0, UPRIGHT)
_AT_A_TIME = 512
"""Images whose paths are looked up at once."""


@dataclass(frozen=True, slots=True)
class Copy:
    """One file of a group."""

    path: str
    """Absolute; stray bytes as PEP 383 surrogates."""
    sha256: str
    """Of its content, in hex."""
    width: int
    height: int
    file_bytes: int
    likeness: float
    """How well its details agree with those of the group's first; 1 for equal content."""
    mirrored: bool = False
    """Whether it is a mirror image of the group's first, left and right exchanged,"""
    turned: int = 0
    """and then turned clockwise against it, in degrees: 0, 90, 180 or 270."""


@dataclass(frozen=True, slots=True)
class Group:
    """Files that show the same picture, the best first: that with most pixels, then most bytes."""

    copies: tuple[Copy, ...]

    @property
    def exact(self) -> bool:
        """Whether all files have the same content."""
        return len({copy.sha256 for copy in self.copies}) == 1


def dupes(
    store: str | os.PathLike[str] | None = None,
    *,
    exact: bool = False,
    threshold: float = SAME,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> tuple[Group, ...]:
    """Groups of files in a store that show the same or nearly the same picture, in order of path.
    Every file of a group is like its first one; nothing is deleted.

    Args:
        store: its folder; None as in `Store.open`.
        exact: only equal content, as of the last build; no file is opened.
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
        return tuple(sorted(_groups(opened, families), key=lambda group: group.copies[0].path))


_Family = dict[int, Match]
"""Image numbers, the best first, each with how it matches that one."""


def _families(store: Store, threshold: float, progress: Progress) -> list[_Family]:
    with Sketches.of(store, _images(store), progress) as sketches:
        candidates = Candidates.joined(
            [
                *by_lens(sketches, neighbourhoods(store, NEIGHBOURS, progress=progress)),
                *by_outline(sketches, progress),
            ]
        )
        promising = list(promises(sketches, candidates, threshold, progress))
        matches = confirmed(store, sketches, promising, threshold, progress)
        quality = _quality(store, sketches.images)
        more = list(
            promises(sketches, _with_the_best(matches, quality, candidates), threshold, progress)
        )
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
    matches: Matches, quality: list[tuple[int, int, int]], tried: Candidates
) -> Candidates:
    """The best of what hangs together, with those of it that were no candidates: as they are, and
    as they lie to somebody who lies to the best."""
    known = {tuple(pair) for pair in tried.pairs.tolist()}
    pairs = [
        (min(best, row), max(best, row))
        for rows in _components(np.array(list(matches), np.int64).reshape(-1, 2))
        for best in [min(rows, key=quality.__getitem__)]
        for row in rows
        if row != best
    ]
    new = np.array([pair for pair in pairs if pair not in known], np.int64).reshape(-1, 2)
    ways = len(ORIENTATIONS)
    return Candidates(
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


def _components(pairs: NDArray[np.int64]) -> list[list[int]]:
    """What hangs together through pairs (n, 2)."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    rows, ends = np.unique(pairs, return_inverse=True)
    one, other = ends.reshape(pairs.shape).T
    graph = coo_array((np.ones(len(pairs), bool), (one, other)), shape=(len(rows), len(rows)))
    _, labels = connected_components(graph, directed=False)
    members: dict[int, list[int]] = defaultdict(list)
    for row, label in zip(rows.tolist(), labels.tolist(), strict=True):
        members[label].append(row)
    return list(members.values())


def _groups(store: Store, families: Iterable[_Family]) -> Iterator[Group]:
    """Those families, and every other image that has several paths, with their files."""
    with store.catalog.reading() as reader:
        known: set[int] = set()
        for family in families:
            known |= family.keys()
            copies = [
                copy for image, match in family.items() for copy in _copies(reader, image, match)
            ]
            if len(copies) > 1:
                yield Group(tuple(copies))
        numbers = reader.image_numbers().tolist()
        for start in range(0, len(numbers), _AT_A_TIME):
            reader.fetch(some := numbers[start : start + _AT_A_TIME])
            for image in some:
                if image not in known and len(reader.paths_of(image, at_most=2)) > 1:
                    yield Group(tuple(_copies(reader, image, ITSELF)))


def _copies(reader: Reader, image: int, match: Match) -> Iterator[Copy]:
    record = reader.image(image)
    if record is None:  # removed meanwhile
        return
    size = record.width, record.height, record.file_bytes
    for path in reader.paths_of(image):
        yield Copy(
            os.fsdecode(path),
            record.sha256,
            *size,
            round(min(match.likeness, 1.0), 4),
            *match.orientation,
        )
