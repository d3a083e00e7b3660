"""Folders -> the picture files in them, folder by folder, always in the same order.

Paths are bytes from here down to the catalog, so that any name a file system can hold survives.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ..engine.decode import SUFFIXES
from ..errors import TllError
from ..names import shown


class FileState(NamedTuple):
    """What tells a changed file from an unchanged one without opening it."""

    size: int
    mtime_ns: int


class Folder(NamedTuple):
    """One folder that holds pictures."""

    path: bytes
    files: dict[bytes, FileState]
    """By file name, sorted."""


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
        return any(
            fnmatch.fnmatchcase(os.fsdecode(below_root if "/" in pattern else name), pattern)
            for pattern in self.exclude
        )


@dataclass
class Walk:
    """One pass over `root`: iterate it once; `unreadable` and `is_empty` are filled on the way."""

    root: bytes
    rules: Rules
    skip_folder: bytes | None = None
    """The store itself, in case it lies inside `root`."""
    unreadable: dict[bytes, str] = field(default_factory=dict)
    """Folders that could not be listed, and why: what is below them is unknown, not gone."""
    is_empty: bool = True
    """Whether `root` has no entry at all, as the mount point of an absent disk, or is gone."""

    def __iter__(self) -> Iterator[Folder]:
        waiting = [self.root]
        seen: set[tuple[int, int]] = set()
        while waiting:
            path = waiting.pop()
            if self.rules.follow_links and not self._first_visit(path, seen):
                continue
            files: dict[bytes, FileState] = {}
            folders: list[bytes] = []
            try:
                with os.scandir(path) as entries:
                    for entry in entries:
                        self.is_empty = self.is_empty and path != self.root
                        self._sort_in(entry, files, folders)
            except FileNotFoundError:
                pass  # it went away: gone, not unknown
            except OSError as error:
                self.unreadable[path] = error.strerror or str(error)
            if files:
                yield Folder(path, dict(sorted(files.items())))
            waiting.extend(sorted(folders, reverse=True))

    def _sort_in(
        self, entry: os.DirEntry[bytes], files: dict[bytes, FileState], folders: list[bytes]
    ) -> None:
        below_root = entry.path[len(self.root) :].lstrip(b"/")
        if self.rules.skips(entry.name, below_root):
            return
        follow = self.rules.follow_links
        try:
            if entry.is_dir(follow_symlinks=follow):
                if entry.path != self.skip_folder:
                    folders.append(entry.path)
            elif os.path.splitext(entry.name)[1].lower() in SUFFIXES and (
                entry.is_file(follow_symlinks=follow)
            ):
                status = entry.stat(follow_symlinks=follow)
                files[entry.name] = FileState(status.st_size, status.st_mtime_ns)
        except OSError:
            return  # it went away, or a link points nowhere: not there, then

    def _first_visit(self, path: bytes, seen: set[tuple[int, int]]) -> bool:
        try:
            status = os.stat(path)
        except OSError:
            return True  # scandir will say why
        key = (status.st_dev, status.st_ino)
        if key in seen:
            return False
        seen.add(key)
        return True

    def covers(self, path: bytes) -> bool:
        """Whether this walk can tell that something at `path` is gone: below the root, and not
        below a folder that could not be listed."""
        return is_below(path, self.root) and not any(is_below(path, bad) for bad in self.unreadable)


def is_below(path: bytes, folder: bytes) -> bool:
    """Whether `path` is `folder` or lies in it."""
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def roots_of(folders: Iterable[str | bytes | os.PathLike[str]]) -> list[bytes]:
    """Absolute paths of the folders to walk, without those that lie inside another.

    Raises:
        TllError: one is missing, or is not a folder.
    """
    roots: list[bytes] = []
    for folder in folders:
        path = os.path.abspath(os.path.expanduser(os.fsencode(folder)))
        if not os.path.isdir(path):
            what = "is not a folder" if os.path.lexists(path) else "does not exist"
            raise TllError(f"{shown(os.fsencode(folder))} {what}; name folders of pictures")
        roots.append(path)
    return outermost(roots)


def outermost(folders: Iterable[bytes]) -> list[bytes]:
    """Sorted, without those that lie inside another."""
    unique = sorted(set(folders))
    return [path for path in unique if not any(is_below(path, o) for o in unique if o != path)]
