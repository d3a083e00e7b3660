"""Child processes of our own code: plain ones, that end with their parent and speak JSON lines."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from .progress import Progress


def command(module: str, arguments: object) -> list[str]:
    """The command that runs `main()` of our `module` with these JSON `arguments`, which it finds in
    `sys.argv[1]`."""
    # With our own search path: the current folder's files are pictures, not code.
    path = [folder for folder in sys.path if folder]
    code = f"import sys; sys.path[:] = {path!r}; from {module} import main; main()"
    return [sys.executable, "-c", code, json.dumps(arguments)]


def one_thread() -> dict[str, str]:
    """The environment of a child that multiplies nothing: NumPy's OpenBLAS would start a thread for
    each core when it is imported, which is a third of all the computing before a decoder is ready
    (0.31 s, and 0.21 with this, on two cores)."""
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1"}


def heard(module: str, arguments: object) -> Iterator[tuple[str, Any]]:
    """Run such a child and yield what it says, a word and a value at a time, until it ends, in
    whatever way. It is ended where nobody listens any more."""
    with subprocess.Popen(
        command(module, arguments),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C goes to the whole group: here the parent decides
        env=one_thread(),
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                word, value = json.loads(line)
                yield word, value
        finally:
            process.kill()


def say(key: str, value: object = None) -> None:
    """What the parent hears; for the child."""
    print(json.dumps([key, value]), flush=True)


class SpokenProgress(Progress):
    """A child's progress, said to its parent, where `relay` passes it on."""

    def start(self, what: str, total: int | None, unit: str = "pictures", done: int = 0) -> None:
        """See `Progress.start`."""
        say("start", [what, total, unit, done])

    def advance(self, count: int = 1, **_: float) -> None:
        """See `Progress.advance`."""
        say("advance", count)


def relay(key: str, value: Any, progress: Progress) -> bool:
    """Pass on what a child says of its progress; whether it was that."""
    if key == "start":
        progress.start(*value)
    elif key == "advance":
        progress.advance(value)
    else:
        return False
    return True
