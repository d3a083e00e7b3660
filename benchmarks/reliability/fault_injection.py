"""Failures at will: which call of a process that changes a folder kills it, or fails.

`shim.c` is compiled here and put before all other libraries of a process. What it is to do is in a
file of a few bytes that both map, so that it can be changed from outside, for a process and all
that it starts.
"""

from __future__ import annotations

import errno
import mmap
import os
import shutil
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from ..harness import NotMeasurableError

SOURCE = Path(__file__).with_name("shim.c")
_BLOCK = struct.Struct("<qqiiii256s1024s")
_HOW = ("count", "kill before", "kill after", "kill torn", "fail", "short")
KILLS = _HOW[1:4]
ERRORS = (errno.ENOSPC, errno.EIO, errno.EDQUOT)


class NoCompilerError(NotMeasurableError):
    """There is no C compiler here."""


@dataclass(frozen=True)
class Fault:
    """What is to happen at one of the calls that change a folder."""

    at: int
    """Which of them, from 1."""
    how: str = "kill before"
    """'kill before', 'kill after', 'kill torn' (in the middle of it), 'fail' or 'short' (less is
    written than was asked for)."""
    error: int = 0
    """Error number of a failure."""
    sticky: bool = False
    """Whether all later calls that need room fail as well, as on a full disk."""

    def __str__(self) -> str:
        name = f" with {errno.errorcode[self.error]}" if self.error else ""
        return f"{self.how} at call {self.at}{name}{' and from then on' if self.sticky else ''}"


@dataclass(frozen=True)
class Struck:
    """What came of it."""

    calls: int
    """How many calls changed the folder."""
    times: int
    """How often the fault struck."""
    what: str
    """The call that it struck first, and the file; empty where it did not."""


def compiled(folder: Path) -> Path:
    """The library, made in `folder`.

    Raises:
        NoCompilerError: there is no C compiler, or it does not make it.
    """
    compiler = next((found for name in ("cc", "gcc", "clang") if (found := shutil.which(name))), "")
    if not compiler:
        raise NoCompilerError("there is no C compiler here (cc, gcc or clang)")
    library = folder / "shim.so"
    command = [compiler, "-O1", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"]
    made = subprocess.run(command, capture_output=True, text=True)
    if made.returncode:
        raise NoCompilerError(f"{compiler} does not compile {SOURCE.name}: {made.stderr[:300]}")
    return library


class Control:
    """The block that the processes under torture look at."""

    def __init__(self, path: Path) -> None:
        path.write_bytes(bytes(_BLOCK.size))
        self.path = path
        with path.open("r+b") as file:
            self._map = mmap.mmap(file.fileno(), _BLOCK.size)

    def arm(self, folder: Path, fault: Fault | None = None) -> None:
        """From now on count the calls that change `folder` and, with a fault, strike."""
        fault = fault or Fault(0, "count")
        where = os.fsencode(os.path.realpath(folder))
        if len(where) >= 1024:
            raise ValueError(f"{folder} is too long a path")
        self._map[: _BLOCK.size] = _BLOCK.pack(
            0, fault.at, _HOW.index(fault.how), fault.error, fault.sticky, 0, b"", where
        )

    def disarm(self) -> Struck:
        """Let all calls be, and say what happened."""
        calls, _, _, _, _, times, what, _ = _BLOCK.unpack(self._map[: _BLOCK.size])
        self._map[: _BLOCK.size] = bytes(_BLOCK.size)
        return Struck(calls, times, os.fsdecode(what.split(b"\0")[0]))

    def close(self) -> None:
        """Let go of the file."""
        self._map.close()
