"""How the process is told to stop: Ctrl-C, SIGTERM and SIGHUP, all three one orderly end.

The first becomes a `KeyboardInterrupt` in the main thread, which commands turn into "stopped". A
second Ctrl-C or SIGTERM ends the process at once, with nothing lost: whatever is kept is kept in
steps that a power failure may cut short as well. What is ignored when we start (`nohup`, a job of a
shell in the background) stays ignored.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType

_HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_AT_ONCE = (signal.SIGINT, signal.SIGTERM)
"""Those that end the process where another came before. SIGHUP is none of them: when a terminal
is closed, the system sends it and the shell as well."""

_INTERRUPTED = 128 + signal.SIGINT


class _State:
    """The state of the main thread, where Python runs handlers."""

    came = 0
    """The signal that was the first; 0 for none."""
    held = 0
    """How many `whole` blocks there are around what runs now."""
    waiting = False
    """Whether it came in one of them and is yet to be raised."""


def came() -> int:
    """The number of the signal that told the process to stop; 0 as long as none did."""
    return _State.came


def status(code: int) -> int:
    """The exit status of what ended with `code`: 130 is made that of the signal that came."""
    return 128 + _State.came if code == _INTERRUPTED and _State.came else code


def heed_early() -> None:
    """Until `heeded`, Ctrl-C ends the process as it ends one that isn't Python: at once, without a
    word. Call it before anything is imported that takes time."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextlib.contextmanager
def heeded() -> Iterator[None]:
    """While the first signal is a `KeyboardInterrupt` here, and a second one ends the process. In
    another thread than the main one this does nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.came, _State.held, _State.waiting = 0, 0, False
    before = {number: signal.getsignal(number) for number in _HEEDED}
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    wakeup = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_watch, args=(reading,), name="signals", daemon=True).start()
    try:
        for number, handler in before.items():
            if handler != signal.SIG_IGN:
                signal.signal(number, _stop)
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        signal.set_wakeup_fd(wakeup)
        os.close(writing)
        _State.held, _State.waiting = 0, False


class whole:  # noqa: N801 (it is used like a function)
    """A block that must not be cut in two, such as committing and counting what was committed: a
    signal that comes meanwhile is a `KeyboardInterrupt` after it. Only for short things: a signal
    has to wait. In other threads than the main one, which signals don't interrupt, it does
    nothing."""

    _before: Callable[[int, FrameType | None], object] | None = None

    def __enter__(self) -> None:
        self._counts = threading.current_thread() is threading.main_thread()
        if self._counts:
            if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not `heeded`
                self._before = signal.default_int_handler
                signal.signal(signal.SIGINT, _hold)
            _State.held += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if not self._counts:
            return
        _State.held -= 1
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
        if _State.waiting and not _State.held:
            _State.waiting = error is not None and self._before is None
            if error is None:
                raise KeyboardInterrupt


def end_as_told(code: object) -> None:
    """End the process by the signal that told it to, if `code` says that it ended for that. So
    whoever waits for it learns how it ended: a shell breaks off its loop after Ctrl-C, and a
    service that was stopped has not failed. Returns where there is no such signal, and where it has
    no effect (the first process of a container); the exit status says the same."""
    if _State.came and code == 128 + _State.came:
        signal.signal(_State.came, signal.SIG_DFL)
        os.kill(os.getpid(), _State.came)


def _stop(number: int, frame: FrameType | None) -> None:
    if _State.came:
        return
    _State.came = number
    for other in _HEEDED:
        if signal.getsignal(other) is _stop:
            signal.signal(other, signal.SIG_DFL if other in _AT_ONCE else signal.SIG_IGN)
    if _State.held:
        _State.waiting = True
    else:
        raise KeyboardInterrupt


def _hold(number: int, frame: FrameType | None) -> None:
    _State.waiting = True


def _watch(descriptor: int) -> None:
    """End the process when two signals came and not even the first was heard: the main thread is
    inside a library that takes its time, or waits for a disk."""
    numbers = 0
    while number := os.read(descriptor, 1):
        numbers += number[0] in _HEEDED
        if numbers > 1 and number[0] in _AT_ONCE:
            os._exit(128 + number[0])
    os.close(descriptor)
