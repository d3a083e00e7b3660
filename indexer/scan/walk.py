"""Folders -> the picture files in them, folder by folder, always in the same order.

Paths are bytes from here down to the catalog, so that any name a file system can hold survives.
What can't be looked at is unknown, never gone: a walk says which is which.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from ...core.errors import TllError
from ...core.file_urls import is_file_url, path_of
from ...core.names import shown
from ...engine.images.decode import SUFFIXES
from ...engine.images.file_kinds import PICTURE_KINDS, ending_of
from ...engine.remote.urls import is_address, tidied, tidy_root
from .patterns import same_name
from .presence import NOT_THERE
from .rules import RootRules, Rules, Selection

_INT64 = 2**63
LONGEST_NAME = 511 - 8
"""Bytes: keys of LMDB end at 511, of which the number of a file's folder takes 8."""
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

    def to_record(self, listed_ns: int) -> FileState:
        """What to remember of a file in this state whose bytes were read after `listed_ns` (since
        1970, by the system's clock).

        A file that is changed twice within one step of its clock has the same time after both. So
        one that may have been changed again after we read it, within the step of its last change,
        is remembered as `doubtful`, and the next build opens it once more (as git does it).
        """
        if self.mtime_ns == UNKNOWN_TIME:
            return self.doubtful
        granule = _GRANULE if self.mtime_ns % _SECOND else _COARSE_GRANULE
        is_young = listed_ns - granule < self.mtime_ns < listed_ns + _CLOCKS_APART
        return self.doubtful if is_young else self


class Folder(NamedTuple):
    """One folder that holds pictures."""

    path: bytes
    files: dict[bytes, FileState]
    """By file name, sorted."""
    complete: bool
    """False where listing it failed on the way: files that are not among these may be there."""


@dataclass
class Walk:
    """One pass over `root`: iterate it once; the other fields are filled on the way."""

    root: bytes
    rules: Rules | RootRules
    skip: frozenset[bytes] = frozenset()
    """Folders that are not entered: the store, and roots below this one that have walks of their
    own."""
    unknown: dict[bytes, str] = field(default_factory=dict)
    """What could not be looked at, and why."""
    is_empty: bool = True
    """Whether `root` has no entry at all, as the mount point of an absent disk."""
    is_missing: bool = False
    """Whether there is no `root`."""
    unread: dict[bytes, list[bytes]] = field(default_factory=dict)
    """Folder -> names of the files in it that are pictures of a kind that can't be read here."""
    system_folders: list[bytes] = field(default_factory=list)
    """Folders that were left out because systems keep them for themselves."""
    system_files: int = 0
    """Files that were left out for the same reason and are called as pictures are."""

    def __post_init__(self) -> None:
        rules = self.rules
        self._follow = (rules if isinstance(rules, Rules) else rules.said).follow_links
        self.selection = Selection(
            RootRules.of(rules, self.root) if isinstance(rules, Rules) else rules
        )
        self._real_root = os.path.realpath(self.root) if self._follow else self.root
        self._led: dict[bytes, bytes] = {}
        """Folder that was reached through a link -> where it really lies."""

    def __iter__(self) -> Iterator[Folder]:
        waiting = [self.root]
        seen: set[tuple[int, int]] = set()
        while waiting:
            path = waiting.pop()
            if self._follow and not _first_visit(path, seen):
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
        follow = self._follow
        try:
            is_folder = entry.is_dir(follow_symlinks=follow)
            ending = b"" if is_folder else ending_of(entry.name)
            is_called_picture = ending in SUFFIXES or ending in PICTURE_KINDS
            if not (is_folder or is_called_picture or (follow and entry.is_symlink())):
                return  # most of what is no picture
            if self._skips(entry, folder, is_folder):
                return
            if is_folder:
                if entry.path not in self.skip:
                    folders.append(entry.path)
            elif is_called_picture and entry.is_file(follow_symlinks=follow):
                if ending in SUFFIXES:
                    status = entry.stat(follow_symlinks=follow)
                    files[entry.name] = FileState.of(status.st_size, status.st_mtime_ns)
                else:
                    self.unread.setdefault(folder, []).append(entry.name)
            elif follow and entry.is_symlink() and not os.path.exists(entry.path):
                self.unknown[entry.path] = "is a link to what is not there now"
        except OSError as error:
            # One that is not there went away just now.
            if error.errno not in NOT_THERE and not self._skips(entry, folder, True):
                self.unknown[folder] = f"can't be entered: {error.strerror}"

    def _skips(self, entry: os.DirEntry[bytes], folder: bytes, is_folder: bool) -> bool:
        """Whether the rules leave a folder or picture out, by its path or by where links lead."""
        if self.skips_name(entry.path, entry.name, is_folder):
            return True
        if not self.selection.names_paths:
            return False
        if self.selection.skips_path(below(entry.path, self.root), is_folder):
            return True
        return self._follow and self._leads_to_skipped(entry, folder, is_folder)

    def skips_name(self, path: bytes, name: bytes, is_folder: bool) -> bool:
        """Whether the rules leave something out by its name alone; notes what systems keep."""
        if self.selection.skips_system(name, is_folder):
            if is_folder:
                self.system_folders.append(path)
            else:
                self.system_files += 1
            return True
        return self.selection.skips_hidden(name)

    def _leads_to_skipped(self, entry: os.DirEntry[bytes], folder: bytes, is_folder: bool) -> bool:
        """Whether something that is reached through a link is left out where it really lies."""
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
        elif (above := self._led.get(folder)) is not None:
            real = os.path.join(above, entry.name)
        else:
            return False
        if is_folder:
            self._led[entry.path] = real
        if is_below(real, self._real_root):
            return self.selection.skips_way(below(real, self._real_root), is_folder)
        return self.selection.skips_elsewhere(real, is_folder)

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
        raise ValueError("an empty path is not a folder")
    return path == folder or path.startswith(folder.rstrip(b"/") + b"/")


def below(path: bytes, folder: bytes) -> bytes:
    """`path`, which `is_below` a folder, from there on; empty where it is the folder."""
    return path[len(folder.rstrip(b"/")) + 1 :]


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


def as_known(root: bytes, known: Iterable[bytes]) -> bytes:
    """The spelling, among `known` folders, of one that is called the same (see `same_name`) and is
    the same folder, or not there at all under the name that it was given. Where none is known, the
    spelling that it has on the disk."""
    known = list(known)
    if root in known or is_address(root):
        return root
    is_there = os.path.lexists(root)
    for other in known:
        if same_name(other) == same_name(root) and (not is_there or _are_one(root, other)):
            return other
    return root if is_there else _as_on_disk(root)


def _are_one(root: bytes, other: bytes) -> bool:
    try:
        return os.path.samefile(root, other)
    except OSError:
        return False


def _as_on_disk(path: bytes) -> bytes:
    """What is called the same as `path`, which isn't there; `path` where there is nothing."""
    found = b"/"
    for part in path.split(b"/")[1:]:
        following = os.path.join(found, part)
        if not os.path.lexists(following):
            try:
                names = sorted(os.listdir(found))
            except OSError:
                return path
            same = next((name for name in names if same_name(name) == same_name(part)), None)
            if same is None:
                return path
            following = os.path.join(found, same)
        found = following
    return found


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
