"""The same picture again: equal files, and copies in another size, format, quality or frame.

Equal content the catalog knows. For the rest, pictures that the lens finds alike are *candidates*;
whether two of them are one picture is for their details to say (`engine/outlines.py`), which takes
reading each file once. docs/collection.md says how the thresholds were chosen.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..config import Settings, load_settings
from ..engine.outlines import (
    GEOMETRY,
    SIDE,
    Outlines,
    likeness,
    likeness_of_parts,
    outline,
)
from ..errors import UsageError
from .families import stars
from .files import scratch
from .interface import Reader
from .neighbours import Neighbourhoods, neighbourhoods
from .records import ImageRecord
from .report import Progress
from .rereading import reread
from .store import Store

SAME = 0.92
"""Details that agree at least so well are of one picture."""
NEIGHBOURS = 20
"""Candidates for each picture: so many that look most like it through the lens,"""
LEAST_COSINE = 0.4
"""and at least so much; what is compressed hard or made very small looks less like itself."""
LEAST_COSINE_OF_PARTS = 0.55
"""Of those that a part is looked for in, which takes longer."""
_AT_A_TIME = 512
"""Pairs that are compared at once."""


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


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Pairs of images, each once, by their rows in `images`."""

    images: NDArray[np.int64]
    """Those of any pair, ascending."""
    pairs: NDArray[np.int64]
    """(n, 2)."""
    cosines: NDArray[np.float64]
    """(n,) through the lens."""


_Family = dict[int, float]
"""Image numbers, the best first, each with how like that one it is."""

_Same = dict[tuple[int, int], float]
"""Pairs of rows that are the same picture, the lower row first, with how well they agree."""


def _families(store: Store, threshold: float, progress: Progress) -> list[_Family]:
    candidates = _candidates(neighbourhoods(store, NEIGHBOURS, progress=progress))
    if not len(candidates.pairs):
        return []
    # Outlines of a million pictures take 2 GB.
    with scratch((len(candidates.images), SIDE, SIDE), np.uint8) as outlines:
        shapes = _read(store, candidates.images, outlines, progress)
        compare = _Comparison(outlines, shapes)
        quality = _quality(store, candidates.images)
        same = _confirmed(candidates, compare, threshold, progress)
        same |= _with_the_best(same, quality, compare, threshold)
        return [
            {
                int(candidates.images[row]): 1.0 if row == rows[0] else same[_pair(rows[0], row)]
                for row in rows
            }
            for rows in stars(same, quality, same)
        ]


def _candidates(blocks: Iterable[Neighbourhoods]) -> _Candidates:
    parts, cosines = [np.empty((0, 2), np.int64)], [np.empty(0)]
    for block in blocks:
        row, column = np.nonzero(block.cosines >= LEAST_COSINE)
        parts.append(np.sort(np.stack([block.images[row], block.others[row, column]], 1), axis=1))
        cosines.append(block.cosines[row, column])
    pairs, first = np.unique(np.concatenate(parts), axis=0, return_index=True)
    images, rows = np.unique(pairs, return_inverse=True)
    return _Candidates(images, rows.reshape(pairs.shape), np.concatenate(cosines)[first])


def _read(
    store: Store, images: NDArray[np.int64], outlines: Outlines, progress: Progress
) -> NDArray[np.float64]:
    """Fill in the outlines; (n,): width / height of each picture, NaN where it can't be read."""
    shapes = np.full(len(images), np.nan)
    for number, picture in reread(store, images, GEOMETRY, progress=progress):
        row = int(np.searchsorted(images, number))
        outlines[row] = outline(picture.pixels)
        shapes[row] = picture.width / picture.height
    return shapes


@dataclass(frozen=True, eq=False)
class _Comparison:
    outlines: Outlines
    shapes: NDArray[np.float64]

    def __call__(self, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n,): how well the details of each pair (n, 2) agree as they are."""
        one, other = pairs.T
        return likeness(self.outlines[one], self.outlines[other])

    def of_parts(self, pairs: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n,): the same where one of them may be a part of the other."""
        one, other = pairs.T
        stretches = self.shapes[other] / self.shapes[one]
        return likeness_of_parts(self.outlines[one], self.outlines[other], stretches)


def _confirmed(
    candidates: _Candidates, compare: _Comparison, threshold: float, progress: Progress
) -> _Same:
    """Those candidates that are the same picture."""
    readable = np.isfinite(compare.shapes)[candidates.pairs].all(axis=1)
    pairs, cosines = candidates.pairs[readable], candidates.cosines[readable]
    likes = np.zeros(len(pairs))
    progress.starting("comparing", len(pairs), "pairs")
    for start in range(0, len(pairs), _AT_A_TIME):
        some = slice(start, start + _AT_A_TIME)
        likes[some] = compare(pairs[some])
        rest = start + np.flatnonzero(
            (likes[some] < threshold) & (cosines[some] >= LEAST_COSINE_OF_PARTS)
        )
        if len(rest):
            likes[rest] = np.maximum(likes[rest], compare.of_parts(pairs[rest]))
        progress.advanced(len(likes[some]))
    return _at_least(threshold, pairs, likes)


def _with_the_best(
    same: _Same, quality: list[tuple[int, int, int]], compare: _Comparison, threshold: float
) -> _Same:
    """More of such pairs: the best of what hangs together, with those of it that were no
    candidates of the lens."""
    pairs = [
        _pair(best, row)
        for rows in _components(np.array(list(same), np.int64).reshape(-1, 2))
        for best in [min(rows, key=quality.__getitem__)]
        for row in rows
        if row != best
    ]
    more = np.array([pair for pair in pairs if pair not in same], np.int64).reshape(-1, 2)
    return _at_least(threshold, more, np.maximum(compare(more), compare.of_parts(more)))


def _at_least(threshold: float, pairs: NDArray[np.int64], likes: NDArray[np.floating]) -> _Same:
    near = likes >= threshold
    rows = map(tuple, pairs[near].tolist())
    return dict(zip(rows, likes[near].tolist(), strict=True))


def _pair(one: int, other: int) -> tuple[int, int]:
    return min(one, other), max(one, other)


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
                copy for image, like in family.items() for copy in _copies(reader, image, like)
            ]
            if len(copies) > 1:
                yield Group(tuple(copies))
        numbers = reader.image_numbers().tolist()
        for start in range(0, len(numbers), _AT_A_TIME):
            reader.fetch(some := numbers[start : start + _AT_A_TIME])
            for image in some:
                if image not in known and len(reader.paths_of(image, at_most=2)) > 1:
                    yield Group(tuple(_copies(reader, image, 1.0)))


def _copies(reader: Reader, image: int, like: float) -> Iterator[Copy]:
    record = reader.image(image)
    if record is None:  # removed meanwhile
        return
    size = record.width, record.height, record.file_bytes
    for path in reader.paths_of(image):
        yield Copy(os.fsdecode(path), record.sha256, *size, round(min(like, 1.0), 4))
