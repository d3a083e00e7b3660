"""Work in a process of its own: nothing of ours warms it, and its memory is its own.

    python -m benchmarks.processes MODULE:FUNCTION RESULT [GROUP]

runs a function with arguments from standard input (JSON) and writes what it returns to a file. Its
memory is watched from beside it (Linux only). A control group can limit that memory, version 1 or
2; pages of files that a process reads or maps count in it too, as they would on a machine of that
size. A limit on the process's own memory alone would let the disk cache grow.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .harness import ROOT, NotMeasurableError

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
            _sample(process, peaks)
            if ended.wait(_EVERY):
                return

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield peaks
    finally:
        ended.set()
        thread.join()


def _sample(process: int, peaks: Peaks) -> None:
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


# -- limits --------------------------------------------------------------------------------------

_CGROUPS = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Group:
    """A control group with a limit of memory."""

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
            return 1, _CGROUPS / "memory" / path
    if "" in groups and (_CGROUPS / "cgroup.controllers").is_file():
        return 2, _CGROUPS / groups[""]
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


# -- processes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Apart:
    """What a process returned, and what it took."""

    result: dict[str, Any]
    peaks: Peaks


def apart(function: str, group: Group | None = None, **arguments: object) -> Apart:
    """Run `module:function` of `benchmarks` with `arguments` (JSON values) in a new process, from
    its first moment in `group`.

    Raises:
        RuntimeError: it failed, or was killed; says how.
    """
    with tempfile.TemporaryDirectory() as folder:
        result_file = Path(folder) / "result.json"
        command: list[str] = [sys.executable, "-m", __name__, function, str(result_file)]
        if group is not None:
            command.append(str(group.members))
        peaks = run_watched(command, json.dumps(arguments).encode(), function)
        found = json.loads(result_file.read_text())
    if "error" in found:
        raise RuntimeError(found["error"])
    return Apart(found, peaks)


def run_watched(
    command: Sequence[str], given: bytes = b"", name: str = "", **options: Any
) -> Peaks:
    """Run a command to its end, its memory watched.

    Raises:
        RuntimeError: it failed, or was killed; says how.
    """
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            cwd=ROOT,
            **options,
        )
        try:
            with watched(process.pid) as peaks:
                process.communicate(given)
        finally:
            with contextlib.suppress(OSError):
                process.kill()  # only where we were interrupted
            process.wait()
        if process.returncode:
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines() or [""]
            killed = " (killed: out of memory?)" if process.returncode == -9 else ""
            raise RuntimeError(
                f"{name or command[0]} ended with {process.returncode}{killed}: {lines[-1]}"
            )
    return peaks


def main(arguments: Sequence[str]) -> None:
    """What the new process does."""
    function, result_file, *groups = arguments
    for members in groups:
        Path(members).write_text("0")  # ourselves, before anything large is loaded
    given = json.loads(sys.stdin.buffer.read())
    module, name = function.split(":")
    try:
        found = getattr(importlib.import_module(f".{module}", __package__), name)(**given)
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    Path(result_file).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
