"""Paths -> files: hard links, symbolic links and a folder under two names lead to one file.

Two paths are of one file where the system gives them one device and inode. Where it gives none
(some network file systems say 0, or another number each time), only equal real paths are surely of
one file, and others are not surely of two: `OneFile.identity` is then None. At an address, the
address is the file.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ...engine.remote.urls import is_address
from .file_states import PathState


@dataclass(frozen=True, slots=True)
class OneFile:
    """A file, and the indexed paths that lead to it."""

    path: bytes
    """Its own, never a symbolic link; of several hard links the first, rather one that leads
    through no link at all."""
    links: tuple[bytes, ...]
    """All other indexed paths of it, sorted."""
    identity: str | None
    """What no other file has; None where the system doesn't say which file it is."""
    is_link: bool
    """Whether `path` leads through a symbolic link: one of its folders is one."""
    is_indexed: bool
    """Whether `path` is an indexed one; False where the store knows the file by links only."""
    hard_links: int | None
    """How many names the file has, also where nothing is indexed; None at an address."""
    is_freed: bool
    """Whether its space is free once `path` and `links` are deleted: it has no other name."""


def one_files(found: Sequence[PathState]) -> list[OneFile]:
    """The files that these paths lead to; those first whose own path is an indexed one, and leads
    through no link, then in order of path.

    Args:
        found: those that are there now (`OK`).
    """
    files: dict[tuple[object, ...], list[PathState]] = defaultdict(list)
    for one in found:
        files[_key(one)].append(one)
    made = [_one_file(paths, key[0] == "path") for key, paths in _seen_through(files).items()]
    return sorted(made, key=lambda file: (not file.is_indexed, file.is_link, file.path))


def again_of_one_file(paths: Sequence[bytes]) -> list[bool]:
    """(n,): for each path whether it leads to the file of one before it, as things are now. What
    can't be looked at, or is at an address, is taken for a file of its own."""
    known: set[tuple[object, ...]] = set()
    again = []
    for path in paths:
        status = None
        if not is_address(path):
            try:
                status = os.stat(path)
            except OSError:
                again.append(False)
                continue
        key = _key(PathState(path, "", status))
        again.append(key in known)
        known.add(key)
    return again


def _key(one: PathState) -> tuple[object, ...]:
    if one.status is None:
        return ("address", one.path)
    if not one.status.st_ino or not _is_steady(one):
        return ("path", os.path.realpath(one.path))
    return ("inode", one.status.st_dev, one.status.st_ino)


def _is_steady(one: PathState) -> bool:
    """Whether the system says the same number twice."""
    try:
        again = os.stat(one.path)
    except OSError:
        return False
    return one.status is not None and os.path.samestat(one.status, again)


def _seen_through(
    files: dict[tuple[object, ...], list[PathState]],
) -> dict[tuple[object, ...], list[PathState]]:
    """Join what is one file seen through two file systems (an overlay, a pool of disks, a mount of
    one's own network share): a copy can be given the time of its original, but nobody can set when
    a file's inode was changed. Within one device this says nothing: files that are written at once
    share it."""
    joined: dict[tuple[object, ...], list[PathState]] = {}
    by_times: dict[tuple[int, int, int], list[tuple[object, ...]]] = defaultdict(list)
    for key, paths in files.items():
        status = paths[0].status
        if status is None or key[0] != "inode":
            joined[key] = paths
            continue
        times = status.st_size, status.st_mtime_ns, status.st_ctime_ns
        other = next((one for one in by_times[times] if one[1] != key[1]), None)
        if other is None:
            by_times[times].append(key)
            joined[key] = paths
        else:
            joined[other] = joined[other] + paths
    return joined


def _one_file(paths: list[PathState], is_unsure: bool) -> OneFile:
    own = [one.path for one in paths if one.status is None or not os.path.islink(one.path)]
    first = paths[0]
    if first.status is None:
        return OneFile(first.path, (), os.fsdecode(first.path), False, True, None, True)
    direct = {path for path in own if os.path.realpath(path) == path}
    is_indexed = bool(own)
    path = min(direct or own) if own else os.path.realpath(first.path)
    status = first.status
    return OneFile(
        path,
        tuple(sorted(one.path for one in paths if one.path != path)),
        None if is_unsure else f"{status.st_dev:x}-{status.st_ino:x}",
        is_indexed and path not in direct,
        is_indexed,
        status.st_nlink,
        is_indexed and (status.st_nlink <= 1 or status.st_nlink <= len(_names(own))),
    )


def _names(paths: list[bytes]) -> set[tuple[int, int, bytes]]:
    """Which names these are, whatever way leads to their folder."""
    names = set()
    for path in paths:
        try:
            folder = os.stat(os.path.dirname(path))
        except OSError:
            continue
        names.add((folder.st_dev, folder.st_ino, os.path.basename(path)))
    return names
