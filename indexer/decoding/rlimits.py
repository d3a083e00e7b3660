"""What a decoder process may use for one picture: memory and computing time by its size, no dumps.

A bomb then fails in its decoder (`MemoryError`, or the end of that process) instead of taking the
machine's memory. Where a system has no such limits, all goes on without.
"""

from __future__ import annotations

import contextlib
import gc
import os
import resource
import signal
from pathlib import Path

from ...engine.images.decode import Limits

OUT_OF_TIME = signal.SIGPROF
"""What ends a process that computes for longer than it may."""

_BYTES_A_PIXEL = 28
"""Of memory. Measured at most 19, with WebP (two canvases, the decoder's own, Pillow's, RGB)."""

_FILES = 4
"""Of a file, so many copies may be in memory at once: Pillow's plugins read it whole, again."""

_ANYWAY = 384 << 20
"""Bytes, whatever the picture: codec libraries, their threads, tables."""

_SMALLEST = 1 / 10
"""The smallest picture's share of the time that the largest may take; at least a second."""

_LEFT_BEHIND = 192 << 20
"""A process that has so many bytes more than at first, between two pictures, should end: damaged
pictures can make libraries leak, and the next would have less. Whole ones leave at most 50 MB."""


class ResourceLimits:
    """The limits of this process; make it when everything is loaded, before the first picture."""

    def __init__(self, limits: Limits, seconds: float) -> None:
        """`seconds` of computing are for a picture of `limits.max_pixels`."""
        self._max_pixels = limits.max_pixels
        self._seconds = seconds
        self._least = min(seconds, max(1.0, seconds * _SMALLEST))
        self._at_first = _data_bytes()
        self._file_bytes = 0
        self._given = 0.0
        self._ceiling, self._hard = resource.getrlimit(resource.RLIMIT_DATA)
        _limit(resource.RLIMIT_CORE, 0, 0)
        signal.signal(OUT_OF_TIME, signal.SIG_DFL)
        with contextlib.suppress(OSError):  # short of memory, Linux ends the likes of us first
            Path("/proc/self/oom_score_adj").write_text("1000")

    def begin(self, file_bytes: int) -> None:
        """A picture comes: some decoders take memory for all of it before they tell its size."""
        self._file_bytes = file_bytes
        self._given = 0.0
        self._allow(self._max_pixels)
        self._let_compute(self._least)

    def sized(self, width: int, height: int) -> None:
        """It claims to have so many pixels, and is decoded now. Where it is said again, of another
        attempt, that gives no more time than the most pixels that were claimed."""
        self._allow(width * height)
        share = min(1.0, width * height / self._max_pixels)
        more = max(0.0, share - self._given)
        self._given += more
        left, _ = signal.getitimer(signal.ITIMER_PROF)
        if more:
            self._let_compute(left + (self._seconds - self._least) * more)

    def end(self) -> bool:
        """It is done with; whether this process holds no more memory than it should."""
        self._let_compute(0)
        if self._has_grown():
            # Where decoding failed for want of memory, Python 3.13 leaves all that it had read
            # (600 MB of a TIFF's strips) to its garbage collector.
            gc.collect()
        return not self._has_grown()

    def _has_grown(self) -> bool:
        return _data_bytes() - self._at_first >= _LEFT_BEHIND

    def _allow(self, pixels: int) -> None:
        may = self._at_first + _ANYWAY + _FILES * self._file_bytes + _BYTES_A_PIXEL * pixels
        if self._ceiling != resource.RLIM_INFINITY:
            may = min(may, self._ceiling)
        _limit(resource.RLIMIT_DATA, may, self._hard)

    def _let_compute(self, seconds: float) -> None:
        """Of all threads together, not by the clock: a busy machine is no picture's fault."""
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _limit(what: int, soft: int, hard: int) -> None:
    with contextlib.suppress(OSError, ValueError, OverflowError):  # then without
        resource.setrlimit(what, (soft, hard))


def _data_bytes() -> int:
    """What this process has of writable memory of its own, in bytes; 256 MiB where not known."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[5])
    except (OSError, IndexError, ValueError):
        return 256 << 20
    return pages * os.sysconf("SC_PAGE_SIZE")
