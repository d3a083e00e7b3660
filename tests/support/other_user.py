"""Commands as another user of this machine, whom the system doesn't know: for root, who may not be
refused anything, and so can't try out what others are refused.

Run as a script, it is that user: it reads command lines (JSON) and runs each in a child.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

UID = 54321
"""Nobody's: it is in no list of users."""

HERE = Path(__file__).parent
_NEEDED = (sys.base_prefix, sys.prefix, os.fspath(HERE.parent.parent))
"""What its Python must read."""


@dataclass(frozen=True)
class Outcome:
    """What a command printed and how it ended."""

    code: int
    out: str
    err: str


@functools.cache
def prefix() -> list[str]:
    """What goes before a command line, so that this user runs it; skips the test where that can't
    be."""
    if os.getuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("only root can be somebody else")
    become = ["setpriv", f"--reuid={UID}", f"--regid={UID}", "--clear-groups"]
    if closed := sorted({one for path in _NEEDED if (one := _closed_above(path))}):
        become = ["unshare", "-m", "sh", "-ec", _reachable(Path(closed[0])), "sh", *become]
    probe = [*become, sys.executable, "-c", "import click, numpy, tll_index"]
    if subprocess.run(probe, capture_output=True, cwd="/", env={}, check=False).returncode:
        pytest.skip("this Python lies where nobody else may go")
    return become


def _closed_above(path: str) -> Path | None:
    """The topmost folder on the way to `path` that others may not enter."""
    on_the_way = [*reversed(Path(path).parents), Path(path)]
    return next((one for one in on_the_way if not one.stat().st_mode & 0o001), None)


def _reachable(closed: Path) -> str:
    """A script that, in a mount namespace of its own, opens the way to what is needed and to
    nothing else below `closed`."""
    inside = [path for path in _NEEDED if Path(path).is_relative_to(closed)]
    lines = ["hold=$(mktemp -d)", "mount -t tmpfs tmpfs $hold"]
    for number, path in enumerate(inside):
        lines.append(f"mkdir $hold/{number}; mount --bind {shlex.quote(path)} $hold/{number}")
    lines.append(f"mount -t tmpfs -o mode=711 tmpfs {shlex.quote(os.fspath(closed))}")
    for number, path in enumerate(inside):
        said = shlex.quote(path)
        lines.append(f"mkdir -p {said}; mount --bind $hold/{number} {said}")
    return "\n".join([*lines, 'exec "$@"'])


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """A folder that everybody may enter, which pytest's are not."""
    folder = Path(tempfile.mkdtemp(prefix="for-others-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def as_other(
    *commands: Sequence[object], environment: dict[str, str], folder: Path
) -> list[Outcome]:
    """Run each of the commands, one after the other, with nothing but this environment, in this
    current folder."""
    done = subprocess.run(
        [*prefix(), sys.executable, HERE / "other_user.py"],
        input=json.dumps([[str(word) for word in command] for command in commands]),
        env={"PATH": os.environ["PATH"], **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [Outcome(**outcome) for outcome in json.loads(done.stdout)]


def _run(command: list[str]) -> dict[str, object]:
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        sys.stdout.flush()
        if (child := os.fork()) == 0:
            os.dup2(out.fileno(), 1)
            os.dup2(err.fileno(), 2)
            try:
                sys.argv = ["tll-index", *command]
                main()
            except SystemExit as ended:
                os._exit(int(ended.code or 0))
            except BaseException:
                traceback.print_exc()
            os._exit(99)
        _, status = os.waitpid(child, 0)
        texts = []
        for file in (out, err):
            file.seek(0)
            texts.append(file.read().decode("utf-8", "replace"))
    return {"code": os.waitstatus_to_exitcode(status), "out": texts[0], "err": texts[1]}


if __name__ == "__main__":
    import tiny
    from tll_index.cli import main

    tiny.install()
    assert os.getuid() == UID
    json.dump([_run(command) for command in json.load(sys.stdin)], sys.stdout)
