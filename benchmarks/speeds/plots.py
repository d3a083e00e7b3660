"""The drawings: how things grow with the number of vectors, and the peers side by side."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..drawing import save, tidy

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOUR, OTHER = "#0072b2", "#8a8a8a"

_GROWTH = {
    "seconds": "seconds to make the index",
    "median_seconds": "seconds a query, median",
    "anonymous_bytes": "own memory of a query's process, bytes",
    "disk_bytes": "bytes on disk, catalog and index",
}


def draw(found: dict[str, Any], folder: Path) -> list[Path]:
    """Write a drawing of each row that has something to draw; returns the files. None where
    matplotlib is not installed."""
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        return []
    rows = {row["row"]: row["figures"] for row in found["rows"] if row["figures"]}
    written = []
    if "growth" in rows:
        written.append(save(growth(rows["growth"]), folder / "speed_growth.png"))
    if "peers_vectors" in rows:
        written.append(save(peers(rows["peers_vectors"]), folder / "speed_peers.png"))
    return written


def growth(figures: dict[str, Any]) -> Figure:
    """Time, memory and disk over the number of vectors, all on logarithmic axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(9, 6), layout="constrained")
    counts = [row["vectors"] for row in figures["sizes"]]
    for axis, (name, label) in zip(figure.subplots(2, 2).flat, _GROWTH.items(), strict=True):
        values = [row[name] for row in figures["sizes"]]
        axis.loglog(counts, values, color=COLOUR, marker="o", markersize=4)
        axis.set_title(f"{label}; slope {figures['slopes'][name]:.2f}", fontsize=10)
        axis.set_xlabel("vectors")
        tidy(axis)
    return figure


def peers(figures: dict[str, Any]) -> Figure:
    """Each library's single queries on all cores, its building and its bytes."""
    from matplotlib.figure import Figure

    rows = {name: row for name, row in figures["peers"].items() if "all_cores_seconds" in row}
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    shown = {
        "all_cores_seconds": "seconds a query, median",
        "build_seconds": "seconds to build",
        "bytes_per_vector": "bytes a vector",
    }
    for axis, (key, label) in zip(figure.subplots(1, 3, sharey=True), shown.items(), strict=True):
        colours = [COLOUR if name == "ours" else OTHER for name in rows]
        axis.barh(list(rows), [max(row[key], 1e-6) for row in rows.values()], color=colours)
        axis.set_xscale("log")
        axis.set_title(label, fontsize=10)
        axis.invert_yaxis()
        tidy(axis)
    return figure
