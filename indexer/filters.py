"""Which pictures a question is about: those whose paths match shell patterns."""

from __future__ import annotations

import fnmatch
import os
import re
import threading
from collections import OrderedDict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from ..engine.addresses import is_address
from ..errors import UsageError
from ..file_urls import is_file_url, pattern_of
from .interface import Reader
from .walk import is_below

_KEPT = 16
"""Filters whose images are remembered."""


class PathFilter:
    """Shell patterns that paths are held against, as `build --exclude` does. One without a slash is
    held against the name of each file and folder; one with a slash against their paths below the
    folder that was built from; one that begins with a slash, or like an address, against absolute
    paths, which a file: URL says as well. `*` also matches slashes. What lies in a folder that
    matches is let through."""

    def __init__(self, patterns: Sequence[str], roots: Sequence[bytes]) -> None:
        """`roots`: absolute paths of the folders that were built from.

        Raises:
            UsageError: a pattern is empty, or a URL of another machine's file.
        """
        self.patterns = patterns = tuple(
            pattern_of(one) if is_file_url(one) else one for one in patterns
        )
        if not all(patterns):
            raise UsageError("a pattern for paths is empty")
        self._roots = sorted(roots, key=len, reverse=True)  # the innermost first
        trimmed = [pattern.rstrip("/") or "/" for pattern in patterns]
        self._absolute = _any_of(filter(is_absolute, trimmed))
        self._paths = _any_of(one for one in trimmed if "/" in one and not is_absolute(one))
        self._names = _any_of(one for one in trimmed if "/" not in one)
        self._folders: dict[bytes, bool] = {}

    def lets(self, path: bytes) -> bool:
        """Whether the file at this absolute path is let through."""
        return self._matches(path) or self._lets_all_in(os.path.dirname(path))

    def images(self, reader: Reader) -> NDArray[np.int64]:
        """(n,) int64, ascending: the images that are shown by a path that is let through."""
        found: set[int] = set()
        folders = dict(reader.folders())
        for number, name, image in reader.images_in_all(list(folders)):
            if self.lets(os.path.join(folders[number], name)):
                found.add(image)
        return np.array(sorted(found), np.int64)

    def _lets_all_in(self, folder: bytes) -> bool:
        if (known := self._folders.get(folder)) is None:
            above = os.path.dirname(folder)
            known = self._matches(folder) or (above != folder and self._lets_all_in(above))
            self._folders[folder] = known
        return known

    def _matches(self, path: bytes) -> bool:
        """Whether this file or folder itself does."""
        if self._absolute.match(os.fsdecode(path)):
            return True
        root = next((root for root in self._roots if is_below(path, root)), None)
        if root is None or path == root:
            return False
        below = os.fsdecode(path[len(root.rstrip(b"/")) + 1 :])
        name = below.rpartition("/")[2]
        return bool(self._names.match(name) or self._paths.match(below))


def is_absolute(pattern: str) -> bool:
    """Whether a pattern is held against whole paths and addresses."""
    return pattern.startswith("/") or is_file_url(pattern) or is_address(pattern)


class Choices:
    """The images of filters, remembered for as long as the store stays as it is. Safe to use from
    several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: OrderedDict[object, NDArray[np.int64]] = OrderedDict()

    def images(self, reader: Reader, lets: PathFilter) -> NDArray[np.int64]:
        """As `PathFilter.images`."""
        now = (lets.patterns, reader.transaction, reader.token(reader.generation))
        with self._lock:
            if (known := self._known.get(now)) is not None:
                self._known.move_to_end(now)
                return known
        found = lets.images(reader)
        with self._lock:
            self._known[now] = found
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        return found


def _any_of(patterns: Iterable[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(fnmatch.translate, patterns)) or r"(?!)")
