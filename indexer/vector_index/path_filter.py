"""Which pictures a query may find: those whose paths match patterns."""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.file_urls import is_file_url
from ...engine.remote.urls import is_address
from ..catalog.base import Reader
from ..scan.patterns import Patterns, pattern_of, require_patterns, text_of
from ..scan.walk import below, is_below

_KEPT = 16
"""Filters whose images are remembered."""


class PathFilter:
    """The patterns of a filter, held against paths as `build --exclude` does (see `patterns`):
    below the folders that were built from, or absolute. A picture is let through if its path, or
    that of a folder that it lies in, matches one of them. One that begins with `!` takes away
    again; the last that matches decides. Where the first begins so, all others are let through."""

    def __init__(self, patterns: Sequence[str], roots: Sequence[bytes]) -> None:
        """`roots`: absolute paths of the folders that were built from.

        Raises:
            UsageError: a pattern is empty, an address that can't be one, or a URL of another
                machine's file.
        """
        self.patterns = tuple(patterns)
        require_patterns(self.patterns)
        self._otherwise = bool(patterns) and patterns[0].startswith("!")
        self._below = [
            (root, Patterns([pattern_of(one, root) for one in patterns])) for root in roots
        ]
        # Of what lies below no root: of one that is not built from any more.
        self._anywhere = Patterns([pattern_of(one, b"/") for one in patterns if is_absolute(one)])
        self._folders: dict[bytes, tuple[Side, ...]] = {}

    def allows(self, path: bytes) -> bool:
        """Whether the file at this absolute path is let through."""
        folder, name = os.path.split(path)
        if (sides := self._folders.get(folder)) is None:
            sides = self._folders[folder] = tuple(self._sides(folder))
        text = text_of(name)
        said = [patterns.chooses(above + text) for above, patterns in sides]
        if any(said):
            return True
        return self._otherwise and False not in said

    def images(self, reader: Reader) -> NDArray[np.int64]:
        """(n,) int64, ascending: the images that are shown by a path that is let through."""
        found: set[int] = set()
        folders = dict(reader.folders())
        for number, name, image in reader.images_in_all(list(folders)):
            if self.allows(os.path.join(folders[number], name)):
                found.add(image)
        return np.array(sorted(found), np.int64)

    def _sides(self, folder: bytes) -> Iterator[Side]:
        """What files in this folder are held against: the patterns of each root that it lies in."""
        inside = False
        for root, patterns in self._below:
            if patterns and is_below(folder, root):
                inside = True
                above = text_of(below(folder, root))
                yield (f"{above}/" if above else ""), patterns
        if not inside and self._anywhere:
            yield text_of(folder).lstrip("/") + "/", self._anywhere


Side = tuple[str, Patterns]
"""A folder below a root, with a slash at its end, and the patterns as they hold there."""


def is_absolute(pattern: str) -> bool:
    """Whether a pattern is, or may be, about whole paths or addresses."""
    body = pattern.removeprefix("!")
    return body.startswith(("/", "~")) or is_file_url(body) or is_address(body)


@dataclass(frozen=True, eq=False)
class Allowed:
    """What a filter lets through, in one state of a store."""

    paths: PathFilter
    images: NDArray[np.int64]
    """(n,) int64, ascending: the images that are shown by such a path."""


class FilterCache:
    """What filters let through, remembered for as long as the store stays as it is. Safe to use
    from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[object, NDArray[np.int64]] = OrderedDict()

    def allowed(self, reader: Reader, patterns: Sequence[str]) -> Allowed | None:
        """What these patterns let through; None where there are none, which is everything.

        Raises:
            UsageError: as `PathFilter`.
        """
        if not patterns:
            return None
        paths = PathFilter(patterns, reader.roots())
        return Allowed(paths, self._images(reader, paths))

    def _images(self, reader: Reader, paths: PathFilter) -> NDArray[np.int64]:
        now = (paths.patterns, reader.transaction, reader.token(reader.generation))
        with self._lock:
            if (known := self._known.get(now)) is not None:
                self._known.move_to_end(now)
                return known
        found = paths.images(reader)
        with self._lock:
            self._known[now] = found
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found
