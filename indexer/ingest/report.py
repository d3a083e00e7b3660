"""What a build did."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from ..scan.rules import Rules


class Skipped(NamedTuple):
    """A file or folder that could not be used."""

    path: bytes
    reason: str
    """A short, stable code, such as 'damaged'."""
    message: str


@dataclass
class LeftOut:
    """What a build passed over, other than files that it could not use."""

    indexed: int = 0
    """Paths that were indexed and are left out now, by rules; they are removed."""
    system_folders: list[bytes] = field(default_factory=list)
    """Recycle bins, snapshots, thumbnails and the like (see `Rules.system_folders`)."""
    system_files: int = 0
    """Files that are called as pictures are, and hold what macOS notes of others (`._a.jpg`)."""
    unread: dict[bytes, list[bytes]] = field(default_factory=dict)
    """Folder -> names of files that are pictures of kinds that can't be read here."""
    unused: dict[str, bytes] = field(default_factory=dict)
    """Patterns that excluded nothing, as typed -> a folder that was walked."""

    def kinds(self) -> dict[str, int]:
        """How many files there are of each kind that can't be read, by ending, the most first."""
        endings = (
            os.fsdecode(os.path.splitext(name)[1].lower())
            for names in self.unread.values()
            for name in names
        )
        counts = Counter(endings)
        return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


@dataclass
class BuildReport:
    """What a build did, counted in paths."""

    added: int = 0
    """Not indexed before; `copies` of them show a picture that was."""
    updated: int = 0
    """Indexed before, with other content."""
    unchanged: int = 0
    moved: int = 0
    """Not indexed before, but their picture was, at a path that is gone now."""
    removed: int = 0
    """Indexed before, and gone. (One that is there but can't be used any more is in `skipped`.)"""
    copies: int = 0
    links: int = 0
    """Those of the copies that are none: other paths to a file that was indexed."""
    embedded: int = 0
    """Pictures that went through the backbone."""
    skipped: list[Skipped] = field(default_factory=list)
    left_out: LeftOut = field(default_factory=LeftOut)
    rules: dict[bytes, Rules] = field(default_factory=dict)
    """Folder -> its rules, where it has any; the store remembers them."""
    were: dict[bytes, Rules] = field(default_factory=dict)
    """Folder -> the rules that it had before, where these are others now."""
    stopped: bool = False
    """Whether Ctrl-C ended it early; the next build goes on from there."""

    def reasons(self) -> dict[str, int]:
        """How many files were skipped for each reason."""
        return dict(sorted(Counter(one.reason for one in self.skipped).items()))
