"""A process that has imported everything, and forks a child for each trial: hundreds are cheap.

The process is `forks.py`; here is what speaks to it. Children run the command line, or a function
of this package, with standard output and error in files. Whatever happens to them, nobody else is
hurt.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..machine import ROOT
from . import forks
from .shim import Control, Fault, Struck, compiled

PATIENCE = 60.0
"""Seconds after which a child counts as hanging."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Of libraries whose threads would not survive a fork."""


class AskedError(RuntimeError):
    """A function raised what is no error of tll-index, or was killed: a bug, of one of us."""


@dataclass(frozen=True)
class Ended:
    """How a child ended."""

    code: int
    """Exit status; -N: killed by signal N."""
    out: str
    err: str
    seconds: float
    hung: bool = False
    struck: Struck = field(default_factory=lambda: Struck(0, 0, ""))

    @property
    def last(self) -> str:
        """The last line of standard error."""
        return (self.err.strip().splitlines() or [""])[-1]


@dataclass(frozen=True)
class Child:
    """One that runs."""

    pid: int
    out: Path
    started: float


class Warm:
    """The process; use it in `with`. For one thread."""

    def __init__(self, folder: Path, *, shim: bool = True) -> None:
        """
        Args:
            folder: for what it needs: the home of its children, the library, their output.
            shim: whether failures can be had, for which a C compiler must be here.

        Raises:
            NoCompilerError
        """
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._count = 0
        self.backend = folder / "home"
        self.control = Control(folder / "control")
        environment = {
            **{key: value for key, value in os.environ.items() if not key.startswith("TLL_")},
            **dict.fromkeys(_ONE_THREAD, "1"),
            "TLL_HOME": str(self.backend),
            "TLL_RUNTIME": "torch",
            "TLL_WORKERS": "1",
            "HF_HUB_OFFLINE": "1",
            "TORTURE_CONTROL": str(self.control.path),
        }
        environment.pop("LD_PRELOAD", None)
        if shim:
            environment["LD_PRELOAD"] = str(compiled(folder))
        ours, theirs = socket.socketpair()
        with theirs, (folder / "warm.log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", forks.__name__, str(theirs.fileno())],
                cwd=ROOT,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[theirs.fileno()],
            )
        self._line = ours.makefile("rwb")
        ours.close()
        self._request(do="ready")

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._process.wait()
        self.control.close()

    def _request(self, **what: object) -> Any:
        try:
            self._line.write(json.dumps(what).encode() + b"\n")
            self._line.flush()
            if answer := self._line.readline():
                return json.loads(answer)
        except OSError:
            pass
        log = (self._folder / "warm.log").read_text(errors="replace")
        raise RuntimeError(f"the warm process ended: {log[-2000:]}")

    def run(
        self,
        *arguments: object,
        folder: Path,
        fault: Fault | None = None,
        kill_after: float = 0.0,
        patience: float = PATIENCE,
        **more: Any,
    ) -> Ended:
        """Run the command line in `folder` to its end.

        Args:
            fault: what happens to it.
            kill_after: seconds after which it is killed; 0 is never.
            more: see `start`.
        """
        self.control.arm(folder, fault)
        child = self.start(*arguments, folder=folder, **more)
        return self.end(child, kill_after=kill_after, patience=patience)

    def start(self, *arguments: object, folder: Path, exempt: bool = False, **more: Any) -> Child:
        """Start the command line in `folder`. `exempt`: no fault is for it. `more`:
        file_limit=BYTES, environment={}."""
        command = [str(argument) for argument in arguments]
        return self._start(command=command, folder=str(folder), exempt=exempt, **more)

    def begin(self, function: str, **arguments: object) -> Child:
        """Start a `module:function` of this package with JSON `arguments`; no fault is for it."""
        return self._start(function=function, arguments=arguments, exempt=True)

    def _start(self, **what: object) -> Child:
        self._count += 1
        out = self._folder / f"child-{self._count % 64}"
        pid = self._request(do="start", out=str(out), **what)
        return Child(pid, out, time.monotonic())

    def end(self, child: Child, *, kill_after: float = 0.0, patience: float = PATIENCE) -> Ended:
        """Wait for a child; kill it where it takes too long."""
        code = self._request(do="wait", pid=child.pid, seconds=kill_after or patience)
        seconds = time.monotonic() - child.started
        hung = code is None and not kill_after
        if code is None:
            code = self.kill(child)
        out, err = (
            child.out.with_suffix(suffix).read_text(errors="replace") for suffix in (".out", ".err")
        )
        return Ended(code, out, err, seconds, hung, self.control.disarm())

    def kill(self, child: Child) -> int:
        """Kill a child; how it ended."""
        return int(self._request(do="kill", pid=child.pid))

    def answer(self, child: Child, patience: float = PATIENCE) -> Any:
        """What a function that was begun returns, or {'error': name, 'message': text} where it
        raised an error of tll-index.

        Raises:
            AskedError: it raised something else, was killed, or hangs.
        """
        code = self._request(do="wait", pid=child.pid, seconds=patience)
        if code is None:
            self.kill(child)
            raise AskedError(f"no answer in {patience:.0f} s")
        if code:
            err = child.out.with_suffix(".err").read_text(errors="replace")
            how = f"killed by signal {-code}" if code < 0 else f"exit {code}"
            raise AskedError(f"{how}: {err.strip()[-1500:]}")
        return json.loads(child.out.with_suffix(".out").read_bytes() or b"null")

    def ask(self, function: str, **arguments: object) -> Any:
        """`begin` and `answer`."""
        return self.answer(self.begin(function, **arguments))
