"""The process that has imported everything and forks a child for each request; see `warm.py`.

python -m benchmarks.tortures.forks FD       (requests come by a socket, as lines of JSON)
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..machine import ROOT


def main() -> None:
    """Be it."""
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
        answer: object = None
        if what["do"] == "start":
            answer = _fork(what)
        elif what["do"] == "wait":
            answer = _wait(what["pid"], what["seconds"])
        elif what["do"] == "kill":
            os.kill(what["pid"], signal.SIGKILL)
            answer = _wait(what["pid"], _PATIENCE)
        line.write(json.dumps(answer).encode() + b"\n")
        line.flush()


_PATIENCE = 60.0
"""Seconds that a killed child may take to end."""

_MODULES = (
    *("torch", "faiss", "lmdb", "filelock", "PIL.Image", "safetensors.torch", "tll_index.cli"),
    *(
        "tll_index.indexer.ingest.build",
        "tll_index.indexer.ingest.background_indexer",
        "benchmarks.tortures.looks",
    ),
    *("tll_index.rendering.render", "tll_index.rendering.progress", "benchmarks.tortures.asking"),
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
