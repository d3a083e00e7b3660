"""Progress bars on standard error for long work."""

from __future__ import annotations

import sys
from types import TracebackType

from tqdm import tqdm

from .indexer.report import Progress


class Bars(Progress):
    """Draws a count while folders are scanned, then a bar while pictures are indexed. Where
    standard error is no terminal, a line every ten seconds is enough."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._pace = 0.1 if sys.stderr.isatty() else 10.0

    def note(self, line: str) -> None:
        """See `Progress.note`."""
        tqdm.write(line, file=sys.stderr)

    def scanned(self, files: int) -> None:
        """See `Progress.scanned`."""
        if self._bar is None:
            self._bar = self._new(desc="scanning", total=None)
        self._bar.update(files - self._bar.n)

    def working(self, total: int) -> None:
        """See `Progress.working`."""
        self._close()
        self._bar = self._new(desc="indexing", total=total)

    def done(self, files: int) -> None:
        """See `Progress.done`."""
        if self._bar is not None:
            self._bar.update(files)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _new(self, desc: str, total: int | None) -> tqdm[None]:
        return tqdm(
            desc=desc,
            total=total,
            unit=" files" if total is None else " pictures",
            mininterval=self._pace,
            leave=total is not None,
            dynamic_ncols=True,
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
