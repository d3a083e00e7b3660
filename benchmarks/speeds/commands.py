"""Rows about the command line, each run in a process of its own as a shell would."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

from .clock import in_turn, typical
from .findings import Finding
from .laboratory import Laboratory

HELP, COLD = 0.3, 0.5

_AND_MODULES = """
import sys
from tll_index.cli import main
try:
    main()
finally:
    print("modules", *sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def help_text(laboratory: Laboratory) -> Finding:
    """`tll-index --help`."""
    needed = typical(partial(run, [*tool(), "--help"]), laboratory.sizes.rounds)
    python = typical(partial(run, [sys.executable, "-c", "pass"]), laboratory.sizes.rounds)
    return Finding(
        needed,
        needed <= HELP,
        {"python_alone_seconds": python},
        f"from the shell's view, files in the system's cache, median of {laboratory.sizes.rounds}",
    )


def cold_query(laboratory: Laboratory) -> Finding:
    """`tll-index query` in a new process, and which libraries that loads."""
    filled = laboratory.indexed(laboratory.sizes.query_store)
    paths = laboratory.pictures.some(laboratory.sizes.rounds).paths

    def query(turn: int) -> None:
        run([*tool(), "query", os.fspath(paths[turn % len(paths)]), "--store", str(filled.path)])

    turns = in_turn({"query": query}, laboratory.sizes.rounds)["query"]
    needed = sorted(turns)[len(turns) // 2]
    asked = ["query", os.fspath(paths[0]), "--store", str(filled.path)]
    done = run([sys.executable, "-c", _AND_MODULES, *asked])
    modules = done.stderr.split("modules", 1)[1].split()
    torch = "torch" in modules
    return Finding(
        needed,
        needed <= COLD and not torch,
        {"torch_imported": torch, "slowest_seconds": max(turns)},
        f"{filled.count:,} vectors, {len(turns)} pictures of {laboratory.pictures.name}, a new "
        "process each, files in the system's cache, median",
    )


def tool() -> list[str]:
    """The command as it is installed."""
    script = Path(sys.executable).with_name("tll-index")
    return [str(script)] if script.exists() else [sys.executable, "-m", "tll_index.cli"]


def run(command: list[str]) -> subprocess.CompletedProcess[str]:
    """A command's output.

    Raises:
        RuntimeError: it failed; says its last words.
    """
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [""])[-1]
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {last}")
    return done
