"""Progress bars on standard error for long work."""

from __future__ import annotations

import contextlib
import sys
from types import TracebackType

from tqdm import tqdm

from ..core.progress import Progress

_WORTH_A_LINE = 1.0
"""Seconds after which a bar that is done stays on the screen."""
_RARELY = 10.0
"""Seconds between two drawings where nobody watches."""


class _Forgiving:
    """A stream that is standard error, or nothing where that is closed: progress is never worth a
    failure."""

    def write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):
            if sys.stderr is not None:
                sys.stderr.write(text)

    def flush(self) -> None:
        with contextlib.suppress(OSError, ValueError):
            if sys.stderr is not None:
                sys.stderr.flush()


class Bars(Progress):
    """A progress bar on standard error for each thing that is done, one at a time.

    It is wiped away if that took less than a second: what was there in a moment is not worth a
    line. Where standard error is no terminal, nothing is drawn for ten seconds, and then every ten.
    """

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None
        self._on_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._out = _Forgiving()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close(is_stopped=kind is KeyboardInterrupt)

    def note(self, line: str) -> None:
        """A line above the bar."""
        if self._is_drawn():
            tqdm.write(line, file=self._out)
        else:
            self._out.write(line + "\n")

    def start(self, what: str, total: int | None, unit: str = "pictures", done: int = 0) -> None:
        """See `Progress.start`."""
        self._close()
        if total is None and not self._on_terminal:
            return
        self._bar = tqdm(
            desc=what,
            total=total,
            initial=done,
            file=self._out,
            unit=f" {unit}",
            mininterval=0.1 if self._on_terminal else _RARELY,
            delay=0 if self._on_terminal else _RARELY,
            dynamic_ncols=True,
        )

    def advance(self, count: int = 1, **figures: float) -> None:
        """See `Progress.advance`."""
        if self._bar is None:
            return
        self._bar.set_postfix(figures, refresh=False)
        self._bar.update(count)
        if self._bar.total is not None and self._bar.n >= self._bar.total:
            self._close()  # so what is printed next goes below it

    def _is_drawn(self) -> bool:
        bar = self._bar
        return bar is not None and bar.last_print_t >= bar.start_t + bar.delay

    def _close(self, is_stopped: bool = False) -> None:
        """End the bar; where it stays, with how far it came."""
        bar, self._bar = self._bar, None
        if bar is None:
            return
        bar.leave = bar.total is not None and (
            is_stopped or bar.format_dict["elapsed"] >= _WORTH_A_LINE
        )
        if bar.leave:
            bar.delay = 0  # now, if not before
        bar.close()
