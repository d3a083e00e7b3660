"""Work in a process of its own: nothing of ours warms it, and its memory is its own.

    python -m benchmarks.speeds.apart MODULE:FUNCTION ANSWER [GROUP]

runs a function with arguments from standard input (JSON) and writes what it returns to a file.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..machine import ROOT
from .cgroup import Group
from .memory import Peaks, watched


@dataclass(frozen=True)
class Apart:
    """What a process returned, and what it took."""

    result: dict[str, Any]
    peaks: Peaks


def apart(function: str, group: Group | None = None, **arguments: object) -> Apart:
    """Run `module:function` of this package with `arguments` (JSON values) in a new process, from
    its first moment in `group`.

    Raises:
        RuntimeError: it failed, or was killed; says how.
    """
    with tempfile.TemporaryDirectory() as folder:
        answer = Path(folder) / "answer.json"
        command: list[str] = [sys.executable, "-m", __name__, function, str(answer)]
        if group is not None:
            command.append(str(group.members))
        peaks = run_watched(command, json.dumps(arguments).encode(), function)
        found = json.loads(answer.read_text())
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
    function, answer, *groups = arguments
    for members in groups:
        Path(members).write_text("0")  # ourselves, before anything large is loaded
    given = json.loads(sys.stdin.buffer.read())
    module, name = function.split(":")
    try:
        found = getattr(importlib.import_module(f".{module}", __package__), name)(**given)
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    Path(answer).write_text(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
