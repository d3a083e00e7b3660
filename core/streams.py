"""Standard output and error as they may be: closed, on a full disk, a pipe that nobody reads.

What can't be printed is said once and ends the command; what can't be complained about is dropped.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, TextIO

from . import signals

_ATTENTION_SECONDS = 0.5
"""After a signal came, whoever reads our output has so long to go on reading."""


class OutputError(Exception):
    """An error about standard output, which can't be written."""

    def __init__(self, error: OSError) -> None:
        is_closed = error.errno == errno.EBADF
        super().__init__(
            "standard output is closed"
            if is_closed
            else f"standard output can't be written: {error.strerror}"
        )
        self.had_enough = error.errno == errno.EPIPE
        """Whether it is a pipe whose reader went away, as `head` does."""


class _Output(io.FileIO):
    """A descriptor that fails once: what comes after that is dropped, so that nothing is said
    again when the process ends."""

    def __init__(self, descriptor: int, *, complains: bool, is_closed: bool = False) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self._complains = complains
        self._is_closed = is_closed
        self._is_dead = False

    def write(self, data: Any, /) -> int:
        size = memoryview(data).nbytes
        if self._is_dead:
            return size
        try:
            if self._is_closed:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            if signals.came():
                # Nobody should have to wait for a reader that doesn't read. A pipe that takes
                # anything takes this many bytes.
                if not select.select([], [self.fileno()], [], _ATTENTION_SECONDS)[1]:
                    self._is_dead = True
                    return size
                data = memoryview(data)[: select.PIPE_BUF]
            return super().write(data)
        except OSError as error:
            self._is_dead = True
            if self._complains:
                raise OutputError(error) from error
            return size


def prepare() -> None:
    """Make the process's own streams such that writing `sys.stdout` raises `OutputError`, and
    writing `sys.stderr` nothing. Streams that someone put in their place stay.

    Descriptors that are closed are opened on nothing: the next file that is opened, which may be
    the catalog, would take their number, and what a library prints would go into it.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            taken = os.open(os.devnull, os.O_RDWR)
            if taken != descriptor:
                os.dup2(taken, descriptor)
                os.close(taken)
    if sys.stdout is sys.__stdout__:
        sys.stdout = _wrapped(sys.stdout, 1, complains=True)
    if sys.stderr is sys.__stderr__ and sys.stderr is not None:
        sys.stderr = _wrapped(sys.stderr, 2, complains=False)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a name that can't be printed is escaped
            stream.reconfigure(errors="backslashreplace")


def _wrapped(stream: TextIO | None, descriptor: int, *, complains: bool) -> io.TextIOWrapper:
    raw = _Output(descriptor, complains=complains, is_closed=stream is None)
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding="utf-8" if stream is None else stream.encoding,
        line_buffering=getattr(stream, "line_buffering", False),
    )
