"""Folders -> the picture files in them, folder by folder, always in the same order.

Paths are bytes from here down to the catalog, so that any name a file system can hold survives.
What can't be looked at is unknown, never gone: a walk says which is which.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..engine.addresses import is_address as is_address
from ..engine.addresses import tidied, tidy_root
from ..engine.decode import SUFFIXES
from ..errors import TllError
from ..file_urls import is_file_url, path_of
from ..names import shown
from .presence import NOT_THERE

_INT64 = 2**63
UNKNOWN_TIME = 1 - _INT64
"""Of a file of which nothing says when it changed: each build opens it."""

_SECOND = 10**9
_GRANULE, _COARSE_GRANULE = _SECOND // 10, 2 * _SECOND
"""File systems count time in steps: of at most ten milliseconds, with room for clocks that tick
apart; or, where a time is of whole seconds, of up to two seconds."""
_CLOCKS_APART = 86_400 * _SECOND
"""A file may be younger than now by so much if the clock of its file system is another."""


class FileState(NamedTuple):
    """What tells a changed file from an unchanged one without opening it."""

    size: int
    """Bytes; more than a file can have where the state is `doubtful`."""
    mtime_ns: int
    """At an address, whatever changes with the file: see `remote.stamp_of`."""

    @classmethod
    def of(cls, size: int, mtime_ns: int) -> FileState:
        """Some file systems keep times that 64 bits of nanoseconds can't say."""
        return cls(size, max(-_INT64, min(mtime_ns, _INT64 - 1)))

    @property
    def doubtful(self) -> FileState:
        """A state that no file is in, for one that was in this: so it is looked at again."""
        return FileState(self.size | _INT64, self.mtime_ns)

    def to_record(self, asked_ns: int) -> FileState:
        """What to remember of a file in this state whose bytes were read after `asked_ns` (since
        1970, by the system's clock).

        A file that is changed twice within one step of its clock has the same time after both. So
        one that may have been changed again after we read it, within the step of its last change,
        is remembered as `doubtful`, and the next build opens it once more (as git does it).
        """
        if self.mtime_ns == UNKNOWN_TIME:
            return self.doubtful
        granule = _GRANULE if self.mtime_ns % _SECOND else _COARSE_GRANULE
        is_young = asked_ns - granule < self.mtime_ns < asked_ns + _CLOCKS_APART
        return self.doubtful if is_young else self


class Folder(NamedTuple):
    """One folder that holds pictures."""

    path: bytes
    files: dict[bytes, FileState]
    """By file name, sorted."""
    complete: bool
    """False where listing it failed on the way: files that are not among these may be there."""


@dataclass(frozen=True)
class Rules:
    """Which files a walk looks at."""

    exclude: tuple[str, ...] = ()
    """Shell patterns. One without a slash is held against the name of each file and folder, one
    with a slash against the path below the walked folder; `*` also matches slashes."""
    hidden: bool = False
    """Also names that begin with a dot."""
    follow_links: bool = False
    """Also through symbolic links; each real folder is still walked once, so loops end."""

    def skips(self, name: bytes, below_root: bytes) -> bool:
        """Whether the file or folder of this name, at this path below the root, is left out."""
        if not self.hidden and name.startswith(b"."):
            return True
        return bool(self.exclude) and any(
            fnmatch.fnmatchcase(os.fsdecode(below_root if "/" in pattern else name), pattern)
            for pattern in self.exclude
        )


@dataclass
class Walk:
    """One pass over `root`: iterate it once; the other fields are filled on the way."""

    root: bytes
    rules: Rules
    skip: frozenset[bytes] = frozenset()
    """Folders that are not entered: the store, and roots below this one that have walks of their
    own."""
    unknown: dict[bytes, str] = field(default_factory=dict)
    """What could not be looked at, and why."""
    is_empty: bool = True
    """Whether `root` has no entry at all, as the mount point of an absent disk."""
    is_missing: bool = False
    """Whether there is no `root`."""

    def __iter__(self) -> Iterator[Folder]:
        waiting = [self.root]
        seen: set[tuple[int, int]] = set()
        while waiting:
            path = waiting.pop()
            if self.rules.follow_links and not _first_visit(path, seen):
                continue
            files: dict[bytes, FileState] = {}
            folders: list[bytes] = []
            try:
                with os.scandir(path) as entries:
                    for entry in entries:
                        self.is_empty = self.is_empty and path != self.root
                        self._sort_in(path, entry, files, folders)
            except OSError as error:
                if error.errno not in NOT_THERE:
                    self.unknown[path] = f"can't be listed: {error.strerror}"
                elif path == self.root:
                    self.is_missing = True
            if files:
                yield Folder(path, dict(sorted(files.items())), path not in self.unknown)
            waiting.extend(sorted(folders, reverse=True))

    def _sort_in(
        self,
        folder: bytes,
        entry: os.DirEntry[bytes],
        files: dict[bytes, FileState],
        folders: list[bytes],
    ) -> None:
        below_root = entry.path[len(self.root) :].lstrip(b"/")
        if self.rules.skips(entry.name, below_root):
            return
        follow = self.rules.follow_links
        try:
            if entry.is_dir(follow_symlinks=follow):
                if entry.path not in self.skip:
                    folders.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and (
                entry.is_file(follow_symlinks=follow)
            ):
                status = entry.stat(follow_symlinks=follow)
                files[entry.name] = FileState.of(status.st_size, status.st_mtime_ns)
            elif follow and entry.is_symlink() and not os.path.exists(entry.path):
                self.unknown[entry.path] = "is a link to what is not there now"
        except OSError as error:
            if error.errno not in NOT_THERE:  # else it went away just now
                self.unknown[folder] = f"can't be entered: {error.strerror}"

    def covers(self, path: bytes) -> bool:
        """Whether this walk can tell that something at `path` is gone."""
        return is_below(path, self.root) and not any(
            is_below(path, other) for other in (*self.unknown, *self.skip)
        )


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether `path` is `folder` or lies in it.

    Raises:
        ValueError: `folder` is empty, which is none: without this, every path would lie in it.
    """
    if not folder:
        raise ValueError("an empty path is no folder")
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def absolute(path: str | bytes | os.PathLike[str]) -> bytes:
    """Absolute and without dots. Links stay as they are named, unless `..` must pass through one,
    which only the file system can do right. Of an address, its one spelling (see
    `addresses.tidied`); one of this machine's files is a path.

    Raises:
        UsageError: an address can't be one, or holds credentials.
    """
    raw = os.fsencode(path)
    if is_file_url(raw):
        raw = path_of(raw)
    elif is_address(raw) and is_address(raw := tidied(raw)):
        return raw
    else:
        raw = os.path.expanduser(raw)
    return os.path.realpath(raw) if b".." in raw.split(b"/") else os.path.abspath(raw)


def roots_of(folders: Iterable[str | bytes | os.PathLike[str]]) -> list[bytes]:
    """Absolute paths, or addresses, of the folders to walk, sorted.

    Raises:
        TllError: one is there, but is no folder.
        UsageError: an address can't be one.
    """
    roots: set[bytes] = set()
    for folder in folders:
        path = absolute(folder)
        if is_address(path):
            roots.add(tidy_root(path))
            continue
        if os.path.lexists(path) and not os.path.isdir(path):
            raise TllError(
                f"{shown(os.fsencode(folder))} is not a folder; name folders of pictures"
            )
        roots.add(path)
    return sorted(roots)


def _first_visit(path: bytes, seen: set[tuple[int, int]]) -> bool:
    try:
        status = os.stat(path)
    except OSError:
        return True  # scandir will say why
    key = (status.st_dev, status.st_ino)
    if key in seen:
        return False
    seen.add(key)
    return True
