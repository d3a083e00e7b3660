"""Who wants to know how far long work is."""

from __future__ import annotations

from types import TracebackType


class Progress:
    """A listener that hears how far long work is; this one says nothing. The command line draws
    bars.

    One thing is under way at a time: `start` ends what was before, leaving the block ends all.
    """

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

    def start(self, what: str, total: int | None, unit: str = "pictures", done: int = 0) -> None:
        """`what` begins, such as "indexing": `total` of `unit` (None: nobody knows how many), of
        which `done` need no more work."""

    def advance(self, count: int = 1, **figures: float) -> None:
        """So many more of them are done. `figures` are how things stand, such as `loss=0.31`;
        those named earlier and not now are gone."""
