"""Watching what a process and its children hold in memory, from beside it; Linux only."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_EVERY = 0.05


@dataclass
class Peaks:
    """The most that was seen, in bytes; all 0 where the system does not say."""

    resident: int = 0
    """Of the process: its own memory and mapped pages of files (VmHWM)."""
    anonymous: int = 0
    """Of that, its own memory (RssAnon)."""
    mapped: int = 0
    """Of that, pages of files (RssFile)."""
    children: int = 0
    """Of all its children together (sum of their VmHWM)."""


@contextlib.contextmanager
def watched(process: int) -> Iterator[Peaks]:
    """Peaks of the process with this number, complete when the block ends."""
    peaks, ended = Peaks(), threading.Event()

    def watch() -> None:
        while True:
            _look(process, peaks)
            if ended.wait(_EVERY):
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _look(process: int, peaks: Peaks) -> None:
    now = _status(process)
    peaks.resident = max(peaks.resident, now.get("VmHWM", 0))
    peaks.anonymous = max(peaks.anonymous, now.get("RssAnon", 0))
    peaks.mapped = max(peaks.mapped, now.get("RssFile", 0))
    held = sum(_status(child).get("VmHWM", 0) for child in _children(process))
    peaks.children = max(peaks.children, held)


def _status(process: int) -> dict[str, int]:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    found = (line.split() for line in lines if line.endswith("kB"))
    return {name.rstrip(":"): int(number) * 1024 for name, number, _ in found}


def _children(process: int) -> list[int]:
    try:
        found = Path(f"/proc/{process}/task").glob("*/children")
        return [int(number) for file in found for number in file.read_text().split()]
    except OSError:
        return []
