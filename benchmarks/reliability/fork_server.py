"""A process that has imported everything, and forks a child for each trial: hundreds are cheap.

Children run the command line, or a function of this package, with standard output and error in
files. Whatever happens to them, nobody else is hurt. The process itself is

    python -m benchmarks.reliability.fork_server FD

whose requests come by that socket, as lines of JSON.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..harness import ROOT
from .fault_injection import Control, Fault, Struck, compiled

PATIENCE = 60.0
"""Seconds after which a child counts as hanging."""

_ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
"""Of libraries whose threads would not survive a fork."""


class ChildError(RuntimeError):
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


class ForkServer:
    """What speaks to the process; use it in `with`. For one thread."""

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
                [sys.executable, "-m", __name__, str(theirs.fileno())],
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

    def __enter__(self) -> ForkServer:
        return self

    def __exit__(self, *_: object) -> None:
        self._line.close()
        self._process.wait()
        self.control.close()

    def _request(self, **what: object) -> Any:
        try:
            self._line.write(json.dumps(what).encode() + b"\n")
            self._line.flush()
            if reply := self._line.readline():
                return json.loads(reply)
        except OSError:
            pass
        log = (self._folder / "warm.log").read_text(errors="replace")
        raise RuntimeError(f"the fork server ended: {log[-2000:]}")

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

    def result(self, child: Child, patience: float = PATIENCE) -> Any:
        """What a function that was begun returns, or {'error': name, 'message': text} where it
        raised an error of tll-index.

        Raises:
            ChildError: it raised something else, was killed, or hangs.
        """
        code = self._request(do="wait", pid=child.pid, seconds=patience)
        if code is None:
            self.kill(child)
            raise ChildError(f"no result in {patience:.0f} s")
        if code:
            err = child.out.with_suffix(".err").read_text(errors="replace")
            how = f"killed by signal {-code}" if code < 0 else f"exit {code}"
            raise ChildError(f"{how}: {err.strip()[-1500:]}")
        return json.loads(child.out.with_suffix(".out").read_bytes() or b"null")

    def call(self, function: str, **arguments: object) -> Any:
        """`begin` and `result`."""
        return self.result(self.begin(function, **arguments))


# -- the process itself ---------------------------------------------------------------------------


def main() -> None:
    """Be the process that has imported everything."""
    import gc
    import importlib

    sys.path.insert(0, str(ROOT / "tests/support"))
    for module in _MODULES:
        importlib.import_module(module)
    tiny = importlib.import_module("tiny")
    tiny.install()
    tiny.write_weights(Path(os.environ["TLL_HOME"]) / "weights" / "tiny.safetensors")
    line = socket.socket(fileno=int(sys.argv[1])).makefile("rwb")
    gc.freeze()  # what is there is never garbage, and children needn't copy it
    for request in line:
        what = json.loads(request)
        reply: object = None
        if what["do"] == "start":
            reply = _fork(what)
        elif what["do"] == "wait":
            reply = _wait(what["pid"], what["seconds"])
        elif what["do"] == "kill":
            os.kill(what["pid"], signal.SIGKILL)
            reply = _wait(what["pid"], _PATIENCE)
        line.write(json.dumps(reply).encode() + b"\n")
        line.flush()


_PATIENCE = 60.0
"""Seconds that a killed child may take to end."""

_MODULES = (
    *("torch", "faiss", "lmdb", "filelock", "PIL.Image", "safetensors.torch", "tll_index.cli"),
    *("tll_index.indexer.ingest.build", "tll_index.indexer.ingest.background_indexer"),
    *("tll_index.rendering.render", "tll_index.rendering.progress"),
    *("benchmarks.reliability.store_checks", "benchmarks.reliability.hostile_files"),
)


def _wait(pid: int, seconds: float) -> int | None:
    descriptor = os.pidfd_open(pid)
    try:
        if not select.select([descriptor], [], [], seconds)[0]:
            return None
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    finally:
        os.close(descriptor)


def _fork(what: Mapping[str, Any]) -> int:
    if pid := os.fork():
        return pid
    code = 70
    try:
        _redirect(Path(what["out"]))
        os.closerange(3, 64)  # the socket, and whatever else is not ours
        code = _be(what)
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _redirect(out: Path) -> None:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, suffix in ((1, ".out"), (2, ".err")):
        descriptor = os.open(out.with_suffix(suffix), flags)
        os.dup2(descriptor, number)
        os.close(descriptor)


def _be(what: Mapping[str, Any]) -> int:
    if what["exempt"]:
        import ctypes

        os.environ.pop("TORTURE_CONTROL", None)
        if "LD_PRELOAD" in os.environ:
            ctypes.CDLL(None).torture_exempt()
    os.environ.update(what.get("environment") or {})
    if "function" in what:
        return _function(what["function"], what["arguments"])
    if limit := what.get("file_limit"):
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    os.chdir(what["folder"])
    sys.argv = ["tll-index", *what["command"]]
    from tll_index.cli import main as command_line

    try:
        command_line()
    except SystemExit as ended:
        return int(ended.code or 0)


def _function(name: str, arguments: Mapping[str, Any]) -> int:
    import importlib

    from tll_index.core.errors import TllError

    module, function = name.split(":")
    try:
        found = getattr(importlib.import_module(f".{module}", __package__), function)(**arguments)
    except TllError as error:
        found = {"error": type(error).__name__, "message": str(error)}
    print(json.dumps(found))
    return 0


if __name__ == "__main__":
    main()
