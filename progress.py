"""Progress bars on standard error for long work."""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType

from tqdm import tqdm

from .indexer.report import Progress


class _Forgiving:
    """Standard error, or nothing where it is closed: progress is never worth a failure."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            if sys.stderr is not None:
                sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            if sys.stderr is not None:
                sys.stderr.flush()


class Bars(Progress):
    """Draws a count while folders are scanned, then a bar while pictures are indexed. Where
    standard error is no terminal, the bar alone, every ten seconds, is enough."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._on_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._out = _Forgiving()

    def note(self, line: str) -> None:
        """See `Progress.note`."""
        tqdm.write(line, file=self._out)

    def scanned(self, files: int) -> None:
        """See `Progress.scanned`."""
        if self._bar is None and self._on_terminal:
            self._bar = self._new(desc="scanning", total=None)
        if self._bar is not None:
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
            file=self._out,
            unit=" files" if total is None else " pictures",
            mininterval=0.1 if self._on_terminal else 10,
            leave=total is not None,
            dynamic_ncols=True,
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None
