"""Progress bars on standard error for long work."""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType

from tqdm import tqdm

from ..core.progress import Progress, Ticks

_WORTH_A_BAR = 50_000
"""An index of fewer vectors is there in a moment."""


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


class _OneBar:
    """One bar at a time on standard error. Where that is no terminal, every ten seconds is
    enough."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._on_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._out = _Forgiving()

    def note(self, line: str) -> None:
        """A line above the bar."""
        tqdm.write(line, file=self._out)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close()

    def _draw(self, what: str, total: int | None, unit: str, done: int = 0) -> None:
        self._close()
        self._bar = tqdm(
            desc=what,
            total=total,
            initial=done,
            file=self._out,
            unit=f" {unit}",
            mininterval=0.1 if self._on_terminal else 10,
            leave=total is not None,
            dynamic_ncols=True,
        )

    def _close(self) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


class Bars(_OneBar, Progress):
    """Draws a count while folders are scanned (on a terminal), then a bar while pictures are
    indexed."""

    def scanned(self, files: int) -> None:
        """See `Progress.scanned`."""
        if self._bar is None and self._on_terminal:
            self._draw("scanning", None, "files")
        if self._bar is not None:
            self._bar.update(files - self._bar.n)

    def working(self, total: int) -> None:
        """See `Progress.working`."""
        self._draw("indexing", total, "pictures")

    def done(self, files: int) -> None:
        """See `Progress.done`."""
        if self._bar is not None:
            self._bar.update(files)

    def starting(self, what: str, total: int, unit: str) -> None:
        """See `Progress.starting`."""
        if self._on_terminal or total >= _WORTH_A_BAR:
            self._draw(what, total, unit)

    def advanced(self, count: int) -> None:
        """See `Progress.advanced`."""
        if self._bar is not None:
            self._bar.update(count)

    def arranging(self, images: int) -> None:
        """See `Progress.arranging`."""
        if images >= _WORTH_A_BAR:
            self._draw("arranging", images, "vectors")

    def arranged(self, images: int) -> None:
        """See `Progress.arranged`."""
        if self._bar is not None and self._bar.unit == " vectors":
            self._bar.update(images)


class TickBars(_OneBar, Ticks):
    """Draws a bar for each thing that the engine does, and wipes it away if that took less than a
    second: what was cached is not worth a line."""

    def start(self, what: str, total: int, unit: str = "pictures", done: int = 0) -> None:
        """See `Ticks.start`."""
        self._draw(what, total, unit, done)

    def advance(self, count: int = 1, **figures: float) -> None:
        """See `Ticks.advance`."""
        if self._bar is None:
            return
        self._bar.set_postfix(figures, refresh=False)
        self._bar.update(count)
        if self._bar.n >= self._bar.total:
            self._bar.leave = self._bar.format_dict["elapsed"] >= 1
            self._close()  # so what is printed next goes below it
