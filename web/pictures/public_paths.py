"""Paths of pictures as clients see them: below the indexed folders, never above."""

from __future__ import annotations

import glob
import os
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ...core.names import shown
from ...indexer.scan.walk import is_below
from ...indexer.vector_index.path_filter import is_absolute

if TYPE_CHECKING:
    from ...indexer.catalog.base import Reader
    from ...indexer.store.store import Store

_COUNTED = 200_000
"""Up to so many paths, the pictures of each folder are counted."""

_RARELY = 20
"""Times as long as a count took, until the next."""


class PublicPaths:
    """A translation between absolute paths and those that clients see, below the roots of a store.

    With one root, folders are named from there on, and the root itself is ''; with several, the
    first part of a folder says which.
    """

    def __init__(self, roots: Sequence[bytes]) -> None:
        """`roots`: absolute paths."""
        self._roots: dict[str, bytes] = {"": roots[0]} if len(roots) == 1 else {}
        for root in roots if len(roots) > 1 else ():
            name = plain = json_text(os.path.basename(root)) or "root"
            while name in self._roots:
                name = f"{plain} ({len(self._roots) + 1})"
            self._roots[name] = root

    def of(self, path: str) -> tuple[str, str]:
        """Folder and name of the file at this absolute path."""
        raw = os.fsencode(path)
        holding = [one for one in self._roots.items() if is_below(raw, one[1])]
        above, name = os.path.split(raw)
        if not holding:
            return "", json_text(name)
        label, root = max(holding, key=lambda one: len(one[1]))
        below = above[len(root.rstrip(b"/")) + 1 :]
        return "/".join(part for part in (label, json_text(below)) if part), json_text(name)

    def patterns(self, folder: str | None, filter: Sequence[str]) -> tuple[str, ...]:
        """Patterns, as `Store.query` takes them, of the pictures in `folder` (None or '': anywhere)
        that pass `filter`, whose patterns are then about paths below that folder.

        Raises:
            ValueError: there can't be such a folder, or a pattern is of an absolute path.
        """
        if any(map(is_absolute, filter)):
            raise ValueError("filter: patterns are of names and of paths below the indexed folders")
        if not folder:
            return tuple(filter)
        above = glob.escape(os.fsdecode(self._absolute(folder)).rstrip("/"))
        everything = (above or "/",)
        if not filter:
            return everything
        begins_with_all = filter[0].startswith("!")
        below = [below_folder for one in filter for below_folder in _in_folder(above, one)]
        return (*(everything if begins_with_all else ()), *below)

    def _absolute(self, folder: str) -> bytes:
        label, below = "", folder.strip("/")
        if len(self._roots) != 1:
            label, _, below = below.partition("/")
        if label not in self._roots or ".." in PurePosixPath(below).parts or "\0" in below:
            raise ValueError(f"folder: there is no {folder!r}")
        return os.path.join(self._roots[label], os.fsencode(below))


def _in_folder(above: str, pattern: str) -> Iterator[str]:
    """What a pattern is that is about paths below the folder `above`, for paths as they are."""
    body = pattern.removeprefix("!")
    sign = pattern[: len(pattern) - len(body)]
    body = body.removeprefix("./")
    if "/" not in body.rstrip("/"):
        yield f"{sign}{above}/**/{body}"
        return
    yield f"{sign}{above}/{body}"
    if "**" not in body and not sign:  # whose `*` also matches slashes
        first, *rest = body.split("/")
        deep = [f"**/{part}" if "*" in part else part for part in rest]
        yield f"{above}/" + "/".join([first, *deep])


class TopFolders:
    """The topmost folders of a store, with how many pictures each holds.

    While a build changes them all the time, counting takes a twentieth of the time at most.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._of = -1
        self._until = 0.0
        self._known: list[dict[str, Any]] = []

    def now(self) -> list[dict[str, Any]]:
        """Each: `name` and, where there are not too many to count, `pictures`; JSON values."""
        with self._store.catalog.reading() as reader:
            started = time.monotonic()
            if self._of == reader.transaction or started < self._until:
                return self._known
            if not self._lock.acquire(blocking=self._of < 0):
                return self._known  # somebody is counting
            try:
                if self._of != reader.transaction:
                    self._known = _tops(reader)
                    self._of = reader.transaction
                    self._until = started + _RARELY * (time.monotonic() - started)
                return self._known
            finally:
                self._lock.release()


def _tops(reader: Reader) -> list[dict[str, Any]]:
    roots = reader.roots()
    public = PublicPaths(roots)
    counts = reader.entries <= _COUNTED
    tops: dict[str, set[int]] = {}
    for number, path in reader.folders():
        folder, _ = public.of(os.fsdecode(os.path.join(path, b"-")))
        top = folder.partition("/")[0]
        if top:
            shows = tops.setdefault(top, set())
            if counts:
                shows.update(image for _, image in reader.images_in(number))
    if not counts:
        return [{"name": name} for name in sorted(tops)]
    return [{"name": name, "pictures": len(tops[name])} for name in sorted(tops) if tops[name]]


def json_text(path: bytes) -> str:
    """`path` as JSON can hold it: as it is, or with escapes where it isn't UTF-8."""
    try:
        return path.decode()
    except UnicodeDecodeError:
        return shown(path)
