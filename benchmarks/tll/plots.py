"""Two drawings of the study: how the lenses learn, and their top-k curves."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..drawing import save, tidy
from .systems import OURS, PAPER

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLOURS = ("#8a8a8a", "#0072b2", "#e69f00", "#b4470f")
"""Told apart by those who see no red or no green as well."""


def draw(rows: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Write the drawings of the study's rows into `folder`; returns the files."""
    compared = [row for row in rows if row["part"] == "systems"]
    return [
        save(learning_curves(compared), folder / "tll_learning.png"),
        save(top_k_curves(compared), folder / "tll_top_k.png"),
    ]


def learning_curves(rows: list[dict[str, Any]]) -> Figure:
    """Loss and validation top-2 by epoch. Losses of two recipes, with their own temperatures and
    batches, can't be compared, so each has its own axis; top-2 shares one."""
    from matplotlib.figure import Figure

    learned = [row for row in rows if row["key"] in (PAPER, OURS) and row["curves"]["loss"]]
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.subplots(2, max(1, len(learned)), sharex="col", squeeze=False)
    for (above, below), row in zip(axes.T, learned, strict=False):
        if below is not axes[1, 0]:
            below.sharey(axes[1, 0])
        epochs = range(1, len(row["curves"]["loss"]) + 1)
        colour = COLOURS[[one["key"] for one in rows].index(row["key"])]
        above.plot(epochs, row["curves"]["loss"], color=colour)
        below.plot(epochs, row["curves"]["top2"], color=colour)
        above.set_title(row["title"], fontsize=10)
        below.set_xlabel("epoch")
    axes[0, 0].set_ylabel("training loss")
    axes[1, 0].set_ylabel("validation top-2, before\nany hub penalty")
    for axis in axes.flat:
        tidy(axis)
    return figure


def top_k_curves(rows: list[dict[str, Any]]) -> Figure:
    """The share of matches among the k best of 20 candidates, exactly expected."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 5), layout="constrained")
    axis = figure.subplots()
    for row, colour in zip(rows, COLOURS, strict=True):
        k = range(1, len(row["top_k"]) + 1)
        axis.plot(k, row["top_k"], color=colour, marker="o", markersize=3, label=row["title"])
    axis.plot([1, 20], [0.05, 1], color="#c8c8c8", linestyle="--", label="chance")
    axis.set_xlabel("k")
    axis.set_ylabel("matches among the k best of 20 candidates")
    axis.set_xticks([1, 2, 5, 10, 15, 20])
    axis.set_ylim(0, 1.01)
    axis.legend(frameon=False, loc="lower right")
    tidy(axis)
    return figure
