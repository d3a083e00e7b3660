"""Rows about the command line, run as a shell would: help, a query, builds of very many pictures.

Those builds see tiny drawn pictures through a network of a few filters (small_network.py), since a
real one would take an hour; all else of a build is as ever.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from ..harness import Finding, NotMeasurableError, in_turn, seconds, typical
from ..processes import Peaks, run_watched
from . import small_network
from .workload import Workload, draw_tiny

HELP, IMPORT, COLD = 0.1, 0.05, 0.3
_MEMORY = 150  # MB of a query

_AND_MODULES = """
import sys
from tll_index.cli import main
try:
    main()
finally:
    print("modules", *sorted({name.split(".")[0] for name in sys.modules}), file=sys.stderr)
"""


def help_text(workload: Workload) -> Finding:
    """`tll-index --help`."""
    needed = typical(partial(run, [*tool(), "--help"]), workload.sizes.rounds)
    python = typical(partial(run, [sys.executable, "-c", "pass"]), workload.sizes.rounds)
    return Finding(
        needed,
        needed <= HELP,
        {"python_alone_seconds": python},
        f"from the shell's view, files in the system's cache, median of {workload.sizes.rounds}",
    )


def import_package(workload: Workload) -> Finding:
    """`import tll_index`, beyond what Python itself takes."""
    rounds = workload.sizes.rounds

    def python_runs(code: str, _: int) -> None:
        run([sys.executable, "-c", code])

    codes = ("pass", "import tll_index")
    taken = in_turn({code: partial(python_runs, code) for code in codes}, rounds)
    python, whole = (median(taken[code]) for code in codes)
    return Finding(
        whole - python,
        whole - python <= IMPORT,
        {"python_alone_seconds": python, "whole_seconds": whole},
        f"a new process each, files in the system's cache, median of {rounds}",
    )


def cold_query(workload: Workload) -> Finding:
    """`tll-index query` in a new process, and which libraries that loads."""
    filled = workload.indexed(workload.sizes.query_store)
    paths = workload.pictures.some(workload.sizes.rounds).paths

    def query(turn: int) -> None:
        run([*tool(), "query", os.fspath(paths[turn % len(paths)]), "--store", str(filled.path)])

    turns = in_turn({"query": query}, workload.sizes.rounds)["query"]
    needed = sorted(turns)[len(turns) // 2]
    command = ["query", os.fspath(paths[0]), "--store", str(filled.path)]
    done = run([sys.executable, "-c", _AND_MODULES, *command])
    modules = done.stderr.split("modules", 1)[1].split()
    torch = "torch" in modules
    return Finding(
        needed,
        needed <= COLD and not torch,
        {"torch_imported": torch, "slowest_seconds": max(turns)},
        f"{filled.count:,} vectors, {len(turns)} pictures of {workload.pictures.name}, a new "
        "process each, files in the system's cache, median",
    )


def cold_parts(workload: Workload) -> Finding:
    """Where the time and the memory of a cold query go: the same, one part after the other."""
    if not Path("/proc/self/status").is_file():
        raise NotMeasurableError("memory is read in Linux's /proc")
    filled, rounds = workload.indexed(workload.sizes.query_store), workload.sizes.rounds
    paths = workload.pictures.some(rounds).paths
    found = [_parts(filled.path, paths[turn % len(paths)]) for turn in range(-1, rounds)][1:]
    parts = {
        name: {figure: median(one[name][figure] for one in found) for figure in found[0][name]}
        for name in found[0]
    }
    peak = max(part["peak_bytes"] for part in parts.values()) / 1e6
    return Finding(
        peak,
        peak <= _MEMORY,
        {
            "parts": parts,
            "seconds": sum(part["seconds"] for part in parts.values()),
            "cpu_seconds": sum(part["cpu_seconds"] for part in parts.values()),
        },
        f"{filled.count:,} vectors, {rounds} pictures of {workload.pictures.name}, a new process "
        "each, files in the system's cache, medians; the tool loads lens and network side by side",
    )


def _parts(store: Path, picture: Path) -> dict[str, dict[str, float]]:
    """What one run says of each part, and its end."""
    script = Path(__file__).with_name("cold_parts.py")
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    done = run([sys.executable, str(script), repr(began), str(store), str(picture)])
    ended, after = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    told = json.loads(done.stdout)
    parts: dict[str, dict[str, float]] = told["parts"]
    computed = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    parts["end of python"] = {
        "seconds": ended - told["ended"],
        "cpu_seconds": computed - sum(part["cpu_seconds"] for part in parts.values()),
        "peak_bytes": max(part["peak_bytes"] for part in parts.values()),
    }
    return parts


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


GROWTH, NOTHING = 0.10, 2.0


@dataclass
class Crowd:
    """A folder of tiny pictures, and its store."""

    workload: Workload
    folder: Path
    store: Path
    built: dict[int, Peaks] = field(default_factory=dict)
    """What a build of so many took."""
    seconds: dict[int, float] = field(default_factory=dict)
    count: int = 0

    def grow(self, count: int) -> None:
        """Draw pictures up to `count`, and build a new store of them all."""
        self.workload.progress.note(f"drawing and building {count:,} tiny pictures")
        draw_tiny(self.folder, self.count, count)
        self.count = count
        store = self.store.with_name(f"{self.store.name}-{count}")
        build = self.command(
            "build", self.folder, "--store", store, "--backbone", small_network.SPEC.name
        )
        self.seconds[count] = seconds(lambda: self._watch(build, count))
        self.store = store

    def again(self) -> float:
        """Seconds of a build with nothing to do."""
        build = [*tool(), "build", str(self.folder), "--store", str(self.store)]
        return seconds(lambda: run(build))

    def command(self, *arguments: object) -> list[str]:
        """The command line with the small backbone."""
        return [sys.executable, "-m", small_network.__name__, *map(str, arguments)]

    def _watch(self, command: list[str], count: int) -> None:
        home = self.workload.scratch / "home"
        environment = {**os.environ, "TLL_HOME": str(home), "TLL_RUNTIME": "onnx"}
        for name in ("TLL_CACHE_DIR", "TLL_WEIGHTS_DIR", "TLL_STORE"):
            environment.pop(name, None)
        small_network.write_weights(home / "weights")
        self.built[count] = run_watched(command, env=environment)


def crowd(workload: Workload) -> Crowd:
    """The crowd of this run, of both sizes; a few first, with which the network is exported.

    Raises:
        NotMeasurableError: this is no Linux.
    """
    known: dict[str, Any] = workload.shared
    if "crowd" not in known:
        if not Path("/proc/self/status").is_file():
            raise NotMeasurableError("memory is read in Linux's /proc")
        made = Crowd(workload, workload.scratch / "tiny", workload.scratch / "tiny-store")
        for count in (10, *workload.sizes.tiny_pictures):
            made.grow(count)
        known["crowd"] = made
    found: Crowd = known["crowd"]
    return found


def memory(workload: Workload) -> Finding:
    """The most that the builds of few and of many pictures held."""
    few, many = workload.sizes.tiny_pictures
    found = crowd(workload)
    peaks = {count: found.built[count] for count in (few, many)}
    more = peaks[many].resident / peaks[few].resident - 1
    return Finding(
        more,
        more <= GROWTH,
        {
            **{f"peaks_bytes_{count}": asdict(one) for count, one in peaks.items()},
            "own_memory_more": peaks[many].anonymous / peaks[few].anonymous - 1,
            "bytes_more_per_picture": (peaks[many].resident - peaks[few].resident) / (many - few),
            "pictures_per_second": many / found.seconds[many],
        },
        f"{few:,} and {many:,} drawn pictures of 16 x 16 pixels through a small network, "
        "vectors of 128 values, the bundled network held beside; ONNX Runtime; peak resident "
        "memory of the process (VmHWM), its children apart; pages of files that it maps count, "
        "own_memory_more is without them",
    )


def nothing_to_do(workload: Workload) -> Finding:
    """A second build over the same files."""
    found = crowd(workload)
    needed = median(found.again() for _ in range(3))
    return Finding(
        needed,
        needed <= NOTHING,
        conditions=f"`tll-index build` on {found.count:,} files and the store of row memory, from "
        "the shell's view, names in the system's cache, median of 3",
    )
