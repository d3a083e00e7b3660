"""A limit of memory that the kernel keeps: a control group below our own, version 1 or 2.

Pages of files that a process reads or maps count in it too, as they would on a machine of that
size: a limit that only watches the process's own memory would let the disk cache grow.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from .findings import NotMeasurableError

_ROOT = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Group:
    """A group with a limit."""

    folder: Path
    version: int

    def peak(self) -> int:
        """The most bytes that it ever held, pages of files among them."""
        name = "memory.max_usage_in_bytes" if self.version == 1 else "memory.peak"
        return int((self.folder / name).read_text())

    @property
    def members(self) -> Path:
        """The file that a process writes its number into to join."""
        return self.folder / "cgroup.procs"


@contextlib.contextmanager
def limited(limit: int) -> Iterator[Group]:
    """A group whose processes get `limit` bytes; it is removed at the end.

    Raises:
        NotMeasurableError: there are no such groups here, or we may not make one.
    """
    version, own = _own()
    folder = own / f"tll-index-benchmark-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError as error:
        raise NotMeasurableError(f"no control group can be made ({error.strerror})") from None
    try:
        name = "memory.limit_in_bytes" if version == 1 else "memory.max"
        try:
            (folder / name).write_text(str(limit))
        except OSError as error:
            reason = error.strerror
            raise NotMeasurableError(f"a control group takes no limit ({reason})") from None
        yield Group(folder, version)
    finally:
        _remove(folder)


def _own() -> tuple[int, Path]:
    """The version of control groups that limits memory here, and our own group's folder."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        raise NotMeasurableError("no control groups: this needs Linux") from None
    groups = {}
    for line in lines:
        _, controllers, path = line.split(":", 2)
        groups[controllers] = path.lstrip("/")
    for controllers, path in groups.items():
        if "memory" in controllers.split(","):
            return 1, _ROOT / "memory" / path
    if "" in groups and (_ROOT / "cgroup.controllers").is_file():
        return 2, _ROOT / groups[""]
    raise NotMeasurableError("no control groups of memory are mounted")


def _remove(folder: Path) -> None:
    for _ in range(50):  # a process that just ended stays a member for a moment
        try:
            folder.rmdir()
            return
        except FileNotFoundError:
            return
        except OSError:
            time.sleep(0.1)
