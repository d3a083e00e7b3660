"""What the speed benchmark measures and how good it should be, fixed before any result; and how its
results are told: JSON, a table, plots."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..harness import COLOURS, GREY, Finding, Result, Row, figure, machine, save, tidy
from . import eight_bits, faces
from .command_line import (
    cold_parts,
    cold_query,
    help_text,
    import_package,
    memory,
    nothing_to_do,
)
from .libraries import PEERS
from .network import building, model, shrink, warm_query
from .peers import peers_images, peers_vectors
from .vectors import choice, growth, vectors_1m, vectors_10m
from .workload import Sizes, Workload

if TYPE_CHECKING:
    from matplotlib.figure import Figure

HIGHER, LOWER = "higher", "lower"


@dataclass(frozen=True)
class Goal(Row):
    """A row, and how good it should be."""

    goal: str
    better: str
    """HIGHER or LOWER: which figures are."""
    unit: str
    measure: Callable[[Workload], Finding]


ROWS = (
    Goal(
        "model",
        "the network through ONNX Runtime against eager torch, channels-last",
        "at least 2.5, features equal to 1e-3",
        HIGHER,
        "times as fast",
        model,
    ),
    Goal(
        "build",
        "build from files to a store, against the network alone",
        "at least 0.85",
        HIGHER,
        "of the network's rate",
        building,
    ),
    Goal(
        "eight_bits",
        "the network in 8 bits against the same in float32",
        "at least 3.0",
        HIGHER,
        "times as fast",
        eight_bits.rates,
    ),
    Goal(
        "eight_bits_build",
        "tll-index build in 8 bits against float32, from the shell",
        "at least 3.0, in at most 700 MB",
        HIGHER,
        "times as fast",
        eight_bits.builds,
    ),
    Goal(
        "faces",
        "finding and describing faces, for each picture",
        "at most 2.5 of a core",
        LOWER,
        "milliseconds",
        faces.cost,
    ),
    Goal(
        "memory",
        "peak memory of a build of 100,000 pictures against one of 5,000",
        "at most 0.10",
        LOWER,
        "more",
        memory,
    ),
    Goal(
        "nothing_to_do",
        "build with nothing to do, 100,000 files",
        "at most 2",
        LOWER,
        "seconds",
        nothing_to_do,
    ),
    Goal("help", "tll-index --help", "at most 0.1", LOWER, "seconds", help_text),
    Goal(
        "import",
        "import tll_index, beyond what Python itself takes",
        "at most 0.05",
        LOWER,
        "seconds",
        import_package,
    ),
    Goal(
        "cold_query",
        "tll-index query from the shell, 7,200 pictures",
        "at most 0.3, torch not imported",
        LOWER,
        "seconds",
        cold_query,
    ),
    Goal(
        "cold_parts",
        "the same, part by part: time, computing, memory",
        "at most 150",
        LOWER,
        "MB",
        cold_parts,
    ),
    Goal(
        "warm_query",
        "Store.query of a picture against the network alone on it",
        "at most 1.3",
        LOWER,
        "times as long",
        warm_query,
    ),
    Goal(
        "shrink",
        "vectors of camera JPEGs decoded small against decoded whole",
        "at least 0.999 on average",
        HIGHER,
        "cosine",
        shrink,
    ),
    Goal(
        "choice",
        "exact search where auto takes it, up to 50,000 vectors; beyond, lists are quicker",
        "at most 0.002, lists quicker at each size where auto takes them",
        LOWER,
        "seconds",
        choice,
    ),
    Goal(
        "vectors_1m",
        "single queries among 1,000,000 vectors, the chosen index against Flat",
        "at least 30, recall@10 at least 0.95",
        HIGHER,
        "times as fast",
        vectors_1m,
    ),
    Goal(
        "vectors_10m",
        "a single query among 10,000,000 vectors in 4 GB of memory",
        "below 0.050, recall@10 at least 0.90, memory within 4 GB",
        LOWER,
        "seconds",
        vectors_10m,
    ),
    Goal(
        "growth",
        "how a query's time grows from 10,000 to 10,000,000 vectors",
        "at most 0.5",
        LOWER,
        "log-log slope",
        growth,
    ),
    Goal(
        "peers_vectors",
        "single queries among the same 1,000,000 vectors against other libraries, recall@10 0.95",
        "win or tie against each: at least 1 / 1.1",
        HIGHER,
        "times as fast as the quickest of them",
        peers_vectors,
    ),
    Goal(
        "peers_images",
        "the same 500 pictures from files to searchable, and a query, against other tools",
        "win each: at least 1",
        HIGHER,
        "times as fast, the least of all",
        peers_images,
    ),
)

LEFT_OUT = "not measured: left out of this run"
UNMEASURABLE = "not measurable here"


def document(
    results: Sequence[Result[Goal, Finding]], sizes: Sizes, seconds: float
) -> dict[str, Any]:
    """Every row, also those that were not run; JSON values only."""
    known = {result.row.key: result for result in results}
    return {
        "sizes": sizes.name,
        "note": ""
        if sizes.name == "full"
        else "a quick run: fewer and smaller things than the goals are about",
        "machine": machine(also=(*PEERS, "imagededup")),
        "seconds": round(seconds, 1),
        "rows": [_row(row, known.get(row.key)) for row in ROWS],
    }


def _row(row: Goal, result: Result[Goal, Finding] | None) -> dict[str, Any]:
    found, met = None, "" if result else LEFT_OUT
    if result is not None:
        found, met = result.found, result.reason and f"{UNMEASURABLE}: {result.reason}"
    told = {
        "row": row.key,
        "what": row.what,
        "goal": row.goal,
        "measured": float(found.measured) if found else None,
        "unit": row.unit,
        "met": met or bool(found and found.met),
        "conditions": found.conditions if found else "",
        "seconds": result.seconds if result else 0.0,
        "figures": found.figures if found else {},
    }
    return {**told, "error": result.error} if result and result.error else told


def table(found: dict[str, Any]) -> str:
    """A line for each row, then what those found that have parts or peers."""
    of = found["machine"]
    head = f"{of['cpu']}, {of['cores']} cores, {found['sizes']} sizes"
    lines = [head, *([found["note"]] if found["note"] else []), ""]
    for row in found["rows"]:
        if row["met"] == LEFT_OUT:
            continue
        measured = "" if row["measured"] is None else f"{row['measured']:.4g} {row['unit']}"
        lines.append(f"{_word(row):<13} {row['row']:<14} {measured:<46} goal: {row['goal']}")
        if row.get("error") or str(row["met"]).startswith(UNMEASURABLE):
            lines.append(f"{'':<13} {row.get('error') or row['met']}")
    for row in found["rows"]:
        for name, part in (
            ("cold_parts", "parts"),
            ("peers_vectors", "peers"),
            ("peers_images", "tools"),
        ):
            if row["row"] == name and row["figures"]:
                lines += ["", f"{name}:", *map(_peer, row["figures"][part].items())]
    return "\n".join(lines)


def _word(row: dict[str, Any]) -> str:
    if row.get("error"):
        return "failed"
    return {True: "met", False: "not met"}.get(row["met"], "not measured")


def _peer(one: tuple[str, dict[str, Any]]) -> str:
    name, row = one
    if reason := row.get("missing"):
        return f"  {name:<16} {UNMEASURABLE}: {reason}"
    if error := row.get("error"):
        return f"  {name:<16} failed: {error}"
    shown = [
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in row.items()
        if isinstance(value, (int, float, str)) and value != ""
    ]
    return f"  {name:<16} {', '.join(shown)}"


_GROWTH = {
    "seconds": "seconds to make the index",
    "median_seconds": "seconds a query, median",
    "anonymous_bytes": "own memory of a query's process, bytes",
    "disk_bytes": "bytes on disk, catalog and index",
}


def draw(found: dict[str, Any], folder: Path) -> list[Path]:
    """Write a plot of each row that has something to plot; returns the files. None where
    matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return []
    rows = {row["row"]: row["figures"] for row in found["rows"] if row["figures"]}
    written = []
    if "growth" in rows:
        written.append(save(growth_plot(rows["growth"]), folder / "speed_growth.png"))
    if "peers_vectors" in rows:
        written.append(save(peers_plot(rows["peers_vectors"]), folder / "speed_peers.png"))
    return written


def growth_plot(figures: dict[str, Any]) -> Figure:
    """Time, memory and disk over the number of vectors, all on logarithmic axes."""
    plot = figure(9, 6)
    counts = [row["vectors"] for row in figures["sizes"]]
    for axis, (name, label) in zip(plot.subplots(2, 2).flat, _GROWTH.items(), strict=True):
        values = [row[name] for row in figures["sizes"]]
        axis.loglog(counts, values, color=COLOURS[0], marker="o", markersize=4)
        axis.set_title(f"{label}; slope {figures['slopes'][name]:.2f}", fontsize=10)
        axis.set_xlabel("vectors")
        tidy(axis)
    return plot


def peers_plot(figures: dict[str, Any]) -> Figure:
    """Each library's single queries on all cores, its building and its bytes."""
    rows = {name: row for name, row in figures["peers"].items() if "all_cores_seconds" in row}
    plot = figure(11, 3.2)
    shown = {
        "all_cores_seconds": "seconds a query, median",
        "build_seconds": "seconds to build",
        "bytes_per_vector": "bytes a vector",
    }
    for axis, (key, label) in zip(plot.subplots(1, 3, sharey=True), shown.items(), strict=True):
        colours = [COLOURS[0] if name == "ours" else GREY for name in rows]
        axis.barh(list(rows), [max(row[key], 1e-6) for row in rows.values()], color=colours)
        axis.set_xscale("log")
        axis.set_title(label, fontsize=10)
        axis.invert_yaxis()
        tidy(axis)
    return plot
