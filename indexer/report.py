"""What a build did, and who wants to know while it runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from types import TracebackType
from typing import NamedTuple


class Skipped(NamedTuple):
    """A file or folder that could not be used."""

    path: bytes
    reason: str
    """A short, stable code, such as 'damaged'."""
    message: str


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
    stopped: bool = False
    """Whether Ctrl-C ended it early; the next build goes on from there."""

    def reasons(self) -> dict[str, int]:
        """How many files were skipped for each reason."""
        return dict(sorted(Counter(one.reason for one in self.skipped).items()))


class Progress:
    """Hears how far long work on a store is; this one says nothing. The command line draws bars."""

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to tidy up."""

    def note(self, line: str) -> None:
        """Something that a person may want to know, such as which backbone was chosen."""

    def scanned(self, files: int) -> None:
        """So many picture files were found so far."""

    def working(self, total: int) -> None:
        """So many files will be looked at."""

    def done(self, files: int) -> None:
        """So many more of them are committed."""

    def starting(self, what: str, total: int, unit: str) -> None:
        """Other long work begins, over so many of some unit."""

    def advanced(self, count: int) -> None:
        """So many more of them are done."""

    def arranging(self, images: int) -> None:
        """The index is being made, from so many images."""

    def arranged(self, images: int) -> None:
        """So many more of them are in it."""
