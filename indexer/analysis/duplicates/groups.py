"""Images that show the same picture -> their files: the best, its copies, and what is uncertain.

What is here is what people delete by, so a file is only called a copy where it surely is another
one than the best, and both are there as they were indexed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ...catalog.records import ImageRecord
from ...scan.file_states import OK, IndexedPath, PathState
from ...scan.same_files import OneFile, one_files

_UNKNOWN, _OUTSIDE = "unknown", "outside"


@dataclass(frozen=True, slots=True)
class Copy:
    """One file of a group."""

    path: str
    """Absolute; stray bytes as PEP 383 surrogates. The file's own, never a symbolic link."""
    sha256: str
    """Of its content, in hex."""
    width: int
    height: int
    file_bytes: int
    likeness: float
    """How well its details agree with those of the group's first; 1 for equal content."""
    state: str = OK
    """'ok': it is there as the last build saw it. Else it is in `Group.uncertain`: 'gone',
    'changed', 'unreadable', 'unchecked' (an address that can't be listed now), 'unknown' (the
    system doesn't say whether it is another file), 'outside' (only links to it are indexed)."""
    same_file: str | None = None
    """Which file it is: what no other file of the group has, of no other use. None where that is
    not known."""
    links: tuple[str, ...] = ()
    """Other indexed paths of this very file: hard links, symbolic links, its folder under another
    name. None of them is a copy."""
    link: bool = False
    """Whether `path` leads through a symbolic link, which is then a folder above it."""
    nlink: int | None = None
    """How many names (hard links) the file has, also where nothing is indexed."""
    mirrored: bool = False
    """Whether it is a mirror image of the group's first, left and right exchanged,"""
    turned: int = 0
    """and then turned clockwise against it, in degrees: 0, 90, 180 or 270."""
    freed_bytes: int = 0
    """What deleting `path` and all `links` would free: nothing where another hard link is left."""


@dataclass(frozen=True, slots=True)
class Group:
    """Files that show the same picture, the best first: that with most pixels, then most bytes.
    Each is another file than the others, and was there, as indexed, when the group was made."""

    copies: tuple[Copy, ...]
    uncertain: tuple[Copy, ...] = ()
    """Files that showed it too at the last build, and that count neither as best nor as copies:
    their `state` says why."""

    @property
    def exact(self) -> bool:
        """Whether all files have the same content."""
        return len({copy.sha256 for copy in self.copies}) == 1


@dataclass(frozen=True)
class ShownImage:
    """An image of a group, and the paths at which it was indexed."""

    record: ImageRecord
    entries: list[IndexedPath]
    likeness: float = 1.0
    """How well its details agree with those of the group's first image,"""
    mirrored: bool = False
    turned: int = 0
    """and how it lies beside that one (see `Copy`)."""


def grouped(images: Sequence[ShownImage], now: Mapping[bytes, PathState]) -> Iterator[Group]:
    """The group that these images make as their files are now, or none: where there are not two
    files. Where nothing is left of the first, the others are only known to be like that one, so
    each is a group of its own.

    Args:
        images: the best first.
        now: what is at each of their paths.
    """
    found = [_files(image, now) for image in images]
    if len(images) > 1 and not found[0][0]:
        for image in images[1:]:
            yield from grouped([ShownImage(image.record, image.entries)], now)
        return
    copies = [copy for sure, _ in found for copy in sure]
    # This is not about files that lie outside: one may be the best, and stay.
    outside = [copy for copy in copies[1:] if copy.state == _OUTSIDE]
    copies = [replace(copy, state=OK) for copy in copies[:1]] + [
        copy for copy in copies[1:] if copy.state == OK
    ]
    uncertain = [copy for _, unsure in found for copy in unsure] + outside
    if len(copies) > 1 or (copies and any(copy.state == _UNKNOWN for copy in uncertain)):
        yield Group(tuple(copies), tuple(uncertain))


def _files(image: ShownImage, now: Mapping[bytes, PathState]) -> tuple[list[Copy], list[Copy]]:
    """The files of one image that are surely different ones, the first to keep first, and the
    others: those that aren't there as they were, and those that may be one of the former."""
    states = [now[entry.path] for entry in image.entries]
    files = one_files([one for one in states if one.state == OK])
    known = [file for file in files if file.identity is not None] or files[:1]
    sure = [_copy(image, file, OK if file.is_indexed else _OUTSIDE) for file in known]
    unsure = [_copy(image, file, _UNKNOWN) for file in files if file not in known]
    lost = [_plain(image, one.path, one.state) for one in states if one.state != OK]
    return sure, unsure + lost


def _copy(image: ShownImage, file: OneFile, state: str) -> Copy:
    return replace(
        _plain(image, file.path, state),
        same_file=file.identity,
        links=tuple(map(os.fsdecode, file.links)),
        link=file.is_link,
        nlink=file.hard_links,
        freed_bytes=image.record.file_bytes if file.is_freed else 0,
    )


def _plain(image: ShownImage, path: bytes, state: str) -> Copy:
    record = image.record
    return Copy(
        os.fsdecode(path),
        record.sha256,
        record.width,
        record.height,
        record.file_bytes,
        image.likeness,
        state,
        mirrored=image.mirrored,
        turned=image.turned,
    )
