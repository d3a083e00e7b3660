"""What all benchmarks share: the machine, rows, their results, JSON, tables, plots, time.

A benchmark names its rows before it sees a result (`Row`), measures one after the other
(`run_rows`), keeps its JSON file up to date meanwhile (`record`), then prints a table (`finish`).
What it compares it times in turn in one process (`in_turn`), or each in a process of its own
(`processes.py`).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tll_index import __version__
from tll_index.core.atomic_files import replace_file
from tll_index.core.errors import UsageError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

ROOT = Path(__file__).resolve().parent.parent
OUT = ROOT / "benchmarks/out"
"""Where results go unless `--out` says otherwise; git ignores it."""
RELEASES = ROOT / "benchmarks/results"
"""What each release measured, a file each; see `compare.py`."""
LIBRARIES = ("numpy", "scikit-learn", "torch", "timm", "onnxruntime", "faiss-cpu", "lmdb", "pillow")
INTERRUPTED = 130
"""The exit status after Ctrl-C."""


# -- where ----------------------------------------------------------------------------------------


def machine(also: Iterable[str] = ()) -> dict[str, Any]:
    """What a figure depends on besides our code; JSON values only. `also`: more libraries, of
    which those that are installed are named."""
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": platform.machine(),
        "cpu": _cpu(),
        "python": platform.python_version(),
        "tll_index": __version__,
        "libraries": {
            **{name: importlib.metadata.version(name) for name in LIBRARIES},
            **{name: found for name in also if (found := _installed(name))},
        },
    }


def tll_root() -> Path:
    """The folder of the Totally-Looks-Like pictures: `TLL_ROOT`, or beside the repository."""
    return Path(os.environ.get("TLL_ROOT") or ROOT.parent / "shared/data/tll")


def require_tll() -> Path:
    """The same; the program ends with one line where it is absent."""
    if not (data := tll_root()).is_dir():
        sys.exit(f"there are no Totally-Looks-Like pictures in {data}; say with TLL_ROOT where")
    return data


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _cpu() -> str:
    """The model's name, where Linux says it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "")


# -- rows and their results -----------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One thing that a benchmark measures."""

    key: str
    what: str
    """In a line, for people."""


@dataclass(frozen=True)
class Finding:
    """What a row with a goal measured."""

    measured: float
    """The figure that the goal is about, in the row's unit."""
    met: bool
    figures: dict[str, Any] = field(default_factory=dict)
    """What else was measured; JSON values only."""
    conditions: str = ""
    """On what, and how."""


class NotMeasurableError(Exception):
    """This machine can't tell; the message says why, and what would help."""


_Row = TypeVar("_Row", bound=Row)
_Found = TypeVar("_Found")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Result(Generic[_Row, _Found]):
    """A row and what came of it."""

    row: _Row
    found: _Found | None = None
    """None where nothing was measured."""
    reason: str = ""
    """Why this machine can't measure it."""
    error: str = ""
    """Why it failed."""
    seconds: float = 0.0
    """How long it took, with what it made for other rows."""


def chosen_rows(rows: Sequence[_Row], names: Sequence[str]) -> list[_Row]:
    """Those of `rows` whose keys are in `names`, each one key or several with commas between, in
    their own order; all where none is named.

    Raises:
        UsageError: a name of no row; lists the rows.
    """
    wanted = [key for name in names for key in name.split(",") if key]
    keys = [row.key for row in rows]
    if unknown := [key for key in wanted if key not in keys]:
        raise UsageError(f"no row is called {unknown[0]!r}; rows are: {', '.join(keys)}")
    return [row for row in rows if not wanted or row.key in wanted]


def _say(text: str) -> None:
    print(text, flush=True)


def run_rows(
    rows: Iterable[_Row],
    measure: Callable[[_Row], _Found],
    note: Callable[[str], object] = _say,
) -> Iterator[Result[_Row, _Found]]:
    """Each row's result as soon as it is there. A row that fails keeps no other from running."""
    for row in rows:
        note(f"{row.key}: {row.what}")
        started = time.perf_counter()
        found, reason, error = None, "", ""
        try:
            found = measure(row)
        except NotMeasurableError as why:
            reason = str(why)
        except Exception as failure:
            note(traceback.format_exc())
            error = f"{type(failure).__name__}: {failure}"
        yield Result(row, found, reason, error, round(time.perf_counter() - started, 1))


def record(
    results: Iterable[_Result],
    file: Path,
    document: Callable[[list[_Result], float], dict[str, Any]],
) -> tuple[dict[str, Any], bool]:
    """Take results as they come, and write the document of those so far into `file` each time.

    Args:
        document: makes JSON values of the results and of the seconds since the start.

    Returns:
        The last document, and whether Ctrl-C ended it.
    """
    started, taken, stopped = time.perf_counter(), list[_Result](), False

    def written() -> dict[str, Any]:
        found = document(taken, time.perf_counter() - started)
        write_json(found, file)
        return found

    found = written()
    try:
        for result in results:
            taken.append(result)
            found = written()
    except KeyboardInterrupt:
        stopped = True
    return found, stopped


# -- what is written and shown --------------------------------------------------------------------


def parser(
    about: str | None,
    *,
    out: Path = OUT,
    quick: str = "",
    rows: Sequence[Row] = (),
    **options: Any,
) -> argparse.ArgumentParser:
    """The command line of a benchmark: its first sentence, `--out`, and what else it has.

    Args:
        about: the benchmark's docstring.
        out: where its results go, a folder or a file.
        quick: what `--quick` does; there is none without it.
        rows: of which `--rows` chooses; there is none without them.
        options: of argparse's parser.
    """
    made = argparse.ArgumentParser(description=(about or "").split("\n\n")[0], **options)
    if quick:
        made.add_argument("--quick", action="store_true", help=quick)
    if rows:
        keys = ", ".join(row.key for row in rows)
        made.add_argument(
            "--rows", nargs="+", default=[], metavar="ROW", help=f"only these: {keys}"
        )
    shown = out.relative_to(ROOT).as_posix()
    made.add_argument("--out", type=Path, default=out, help=f"default {shown}")
    return made


def write_text(text: str, file: Path) -> Path:
    """Write a text file that appears whole or not at all; returns its path."""
    file.parent.mkdir(parents=True, exist_ok=True)

    def put(new: Path) -> None:
        new.write_text(text, "utf-8")

    replace_file(file, put)
    return file


def write_json(found: dict[str, Any], file: Path, indent: int = 2) -> Path:
    """The same of JSON values."""
    return write_text(json.dumps(found, indent=indent) + "\n", file)


def finish(table: str, *written: Path) -> None:
    """Print the table, and which files there are now."""
    print(table)
    print("\nwrote", *written, sep="\n  ")


def markdown(
    header: Sequence[str], rows: Iterable[Sequence[str]], left: Iterable[int] = (0,)
) -> list[str]:
    """The lines of a table in Markdown. `left`: the columns of text; all others are numbers."""
    text = {at % len(header) for at in left}
    rule = "|".join("---" if at in text else "--:" for at in range(len(header)))
    first, *rest = ("|".join(f" {one} " if one else " " for one in row) for row in (header, *rows))
    return [f"|{line}|" for line in (first, rule, *rest)]


COLOURS = ("#0072b2", "#e69f00", "#009e73", "#b4470f", "#cc79a7", "#56b4e9")
"""Of plots; told apart by those who see no red or no green as well."""
GREY = "#8a8a8a"


def figure(width: float, height: float) -> Figure:
    """An empty plot, in inches."""
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def tidy(axis: Any) -> None:
    """A light grid behind, no frame."""
    axis.grid(color="#e6e6e6", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)


def save(plot: Figure, path: Path) -> Path:
    """Write a PNG; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    plot.savefig(path, dpi=150)
    return path


# -- time -----------------------------------------------------------------------------------------


def timed(work: Callable[[], _Found]) -> tuple[float, _Found]:
    """Wall time of one call, and what it returns."""
    started = time.perf_counter()
    found = work()
    return time.perf_counter() - started, found


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    return timed(work)[0]


def typical(work: Callable[[], object], rounds: int) -> float:
    """Median wall time of `rounds` calls."""
    return median(seconds(work) for _ in range(rounds))


def in_turn(works: dict[str, Callable[[int], object]], rounds: int) -> dict[str, list[float]]:
    """Wall times of each of `works`, one after the other in each round, so that whatever else the
    machine does hits all alike. Each is given the round's number; one round before, not counted,
    warms up."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(-1, rounds):
        for name, work in works.items():
            needed = seconds(partial(work, max(0, turn)))
            if turn >= 0:
                taken[name].append(needed)
    return taken
