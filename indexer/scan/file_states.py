"""Whether indexed files are now what the last build saw: ok, gone, changed, unreadable, unchecked.

A store knows what was there. Whoever gives advice that may cost a file looks first: one `stat` for
a path on disk, one listing for each folder at an address. A file is read only where its size and
time can't tell (see `FileState.doubtful`).
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from ...core.errors import AddressError, MissingAddressError, PictureError, TllError
from ...engine.images.decode import Limits
from ...engine.images.file_bytes import read_bytes
from ...engine.remote.urls import is_address
from .presence import NOT_THERE
from .remote_walk import listed_states
from .walk import UNKNOWN_TIME, FileState

OK = "ok"
GONE = "gone"
CHANGED = "changed"
UNREADABLE = "unreadable"
"""It is there, or may be, and we may not look at it."""
UNCHECKED = "unchecked"
"""Nothing says whether it is still what it was."""


class IndexedPath(NamedTuple):
    """An indexed file, as the store knows it."""

    path: bytes
    state: FileState
    sha256: str


class PathState(NamedTuple):
    """What is at the path of an indexed file now."""

    path: bytes
    state: str
    """One of the constants above."""
    status: os.stat_result | None = None
    """Of the file that the path leads to; None at an address, and where it isn't `OK`."""


def states_now(entries: Iterable[IndexedPath], limits: Limits) -> dict[bytes, PathState]:
    """What is at each of these paths now, by path."""
    found: dict[bytes, PathState] = {}
    folders: dict[bytes, list[IndexedPath]] = defaultdict(list)
    for entry in entries:
        if is_address(entry.path):
            folders[os.path.dirname(entry.path)].append(entry)
        else:
            found[entry.path] = _on_disk(entry, limits)
    for folder, of_folder in folders.items():
        found |= {one.path: one for one in _at_addresses(folder, of_folder, limits)}
    return found


def _on_disk(entry: IndexedPath, limits: Limits) -> PathState:
    try:
        status = os.stat(entry.path)
    except OSError as error:
        return PathState(entry.path, GONE if error.errno in NOT_THERE else UNREADABLE)
    now = FileState.of(status.st_size, status.st_mtime_ns)
    if not stat.S_ISREG(status.st_mode) or entry.state not in (now, now.doubtful):
        return PathState(entry.path, CHANGED)
    if not os.access(entry.path, os.R_OK):
        return PathState(entry.path, UNREADABLE)
    state = OK if entry.state == now else _by_content(entry, limits)
    return PathState(entry.path, state, status if state == OK else None)


def _at_addresses(folder: bytes, entries: list[IndexedPath], limits: Limits) -> Iterable[PathState]:
    names = {os.path.basename(entry.path) for entry in entries}
    try:
        now = listed_states(folder, names)
    except MissingAddressError:
        now = {}
    except (AddressError, TllError):
        return [PathState(entry.path, UNCHECKED) for entry in entries]
    return [
        PathState(entry.path, _listed(entry, now.get(os.path.basename(entry.path)), limits))
        for entry in entries
    ]


def _listed(entry: IndexedPath, now: FileState | None, limits: Limits) -> str:
    if now is None:
        return GONE
    if entry.state not in (now, now.doubtful):
        return CHANGED
    if entry.state == now and now.mtime_ns != UNKNOWN_TIME:
        return OK
    return _by_content(entry, limits)


def _by_content(entry: IndexedPath, limits: Limits) -> str:
    try:
        data = read_bytes(entry.path, limits)
    except PictureError:
        return UNREADABLE
    return OK if hashlib.sha256(data).hexdigest() == entry.sha256 else CHANGED
