"""Who wants to know how far long work is."""

from __future__ import annotations

from types import TracebackType


class Ticks:
    """Hears how far the work is; this one says nothing. The command line draws bars.

    One thing is under way at a time: `start` ends what was before, leaving the block ends all.
    """

    def __enter__(self) -> Ticks:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Nothing to tidy up."""

    def note(self, line: str) -> None:
        """Something that a person may want to know, such as that nothing can be cached."""

    def start(self, what: str, total: int, unit: str = "pictures", done: int = 0) -> None:
        """`what` begins: `total` of `unit`, of which `done` need no more work."""

    def advance(self, count: int = 1, **figures: float) -> None:
        """So many more of them are done. `figures` are how things stand, such as `loss=0.31`;
        those named earlier and not now are gone."""


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
