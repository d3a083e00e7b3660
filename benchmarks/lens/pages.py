"""What the comparison shows: a page of the best, the worst and the most surprising matches, and two
plots, of how the lenses learn and of their top-k curves."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tll_index.core.errors import PictureError
from tll_index.core.names import shown
from tll_index.engine.images.decode import Limits, thumbnail
from tll_index.engine.images.file_bytes import read_bytes
from tll_index.engine.lens.experiment import PairData

from ..harness import COLOURS, GREY, figure, save, tidy
from .trials import OURS, PAPER, MatchRanks

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def best(ours: MatchRanks, count: int) -> list[int]:
    """Pairs found with the widest margin."""
    return np.argsort(-ours.margin, kind="stable")[:count].tolist()


def worst(ours: MatchRanks, count: int) -> list[int]:
    """Pairs whose match stands farthest down, by the margin among equals."""
    return np.lexsort((ours.margin, -ours.better / ours.among))[:count].tolist()


def surprising(ours: MatchRanks, plain: MatchRanks, count: int) -> list[int]:
    """Pairs that ours finds first though plain cosine puts them far down, the farthest first."""
    found = np.flatnonzero((ours.better == 0) & (plain.better > 0))
    order = np.lexsort((-ours.margin[found], -plain.better[found] / plain.among[found]))
    return found[order][:count].tolist()


COUNT = 12
"""Pairs a section."""
SIDE = 240
"""Of a thumbnail."""

ABOUT = (
    "Each left picture (outlined) looked for its match among the right pictures of its fold of "
    "{pairs} pairs, through a lens that was trained on the pairs of the other folds."
)


def page(material: PairData, ours: MatchRanks, plain: MatchRanks, limits: Limits) -> str:
    """The page, from where each match stands with our lens and with none."""
    from jinja2 import Environment, FileSystemLoader

    here = Path(__file__).resolve().parent
    jinja = Environment(loader=FileSystemLoader(here), autoescape=True, trim_blocks=True)
    return jinja.get_template("page.html").render(
        title="Totally-Looks-Like through the lens",
        about=ABOUT.format(pairs=int(ours.among.max())),
        sections=telling_pairs(material, ours, plain, limits),
    )


def telling_pairs(
    material: PairData, ours: MatchRanks, plain: MatchRanks, limits: Limits, count: int = COUNT
) -> list[dict[str, Any]]:
    """The best, the worst and the most surprising matches, with small pictures in data: URLs."""
    album = _Album(material, limits)

    def matched(row: int) -> list[dict[str, Any]]:
        return [
            album.left(row, "query"),
            album.right(row, f"its match: first, ahead by {ours.margin[row]:.3f}"),
        ]

    def missed(row: int) -> list[dict[str, Any]]:
        return [
            album.left(row, "query"),
            album.right(row, f"its match: rank {_rank(ours, row)}"),
            album.right(int(ours.first[row]), "came first instead"),
        ]

    def surprised(row: int) -> list[dict[str, Any]]:
        return [
            album.left(row, "query"),
            album.right(row, f"its match: first, rank {_rank(plain, row)} without the lens"),
            album.right(int(plain.first[row]), "first without the lens"),
        ]

    return [
        {
            "name": "best",
            "title": "The best",
            "about": "Matches that came first with the widest margin to the next.",
            "pairs": [matched(row) for row in best(ours, count)],
        },
        {
            "name": "worst",
            "title": "The worst",
            "about": "Matches that stand farthest down, beside what the lens put first instead.",
            "pairs": [missed(row) for row in worst(ours, count)],
        },
        {
            "name": "surprising",
            "title": "The most surprising",
            "about": "Matches that the plain cosine of the features puts far down and the lens "
            "finds first.",
            "pairs": [surprised(row) for row in surprising(ours, plain, count)],
        },
    ]


def _rank(standing: MatchRanks, row: int) -> str:
    return f"{standing.better[row] + 1} of {standing.among[row]}"


class _Album:
    """The pictures of pairs as small JPEGs in data: URLs."""

    def __init__(self, material: PairData, limits: Limits) -> None:
        self._pairs = material.pairs
        self._limits = limits

    def left(self, row: int, caption: str) -> dict[str, Any]:
        return self._shown(self._pairs.left[row], caption)

    def right(self, row: int, caption: str) -> dict[str, Any]:
        return self._shown(self._pairs.right[row], caption)

    def _shown(self, path: Path, caption: str) -> dict[str, Any]:
        name = shown(path.relative_to(self._pairs.root))
        try:
            small = thumbnail(read_bytes(path, self._limits), SIDE, self._limits)
        except PictureError:
            return {"name": name, "caption": caption, "image": None}
        image = "data:image/jpeg;base64," + base64.b64encode(small).decode("ascii")
        return {"name": name, "caption": caption, "image": image}


_COLOURS = (GREY, COLOURS[0], COLOURS[1], COLOURS[3])
"""Of the four systems."""


def draw(rows: list[dict[str, Any]], folder: Path) -> list[Path]:
    """Write the plots of the study's rows into `folder`; returns the files."""
    compared = [row for row in rows if row["part"] == "systems"]
    return [
        save(learning_curves(compared), folder / "tll_learning.png"),
        save(top_k_curves(compared), folder / "tll_top_k.png"),
    ]


def learning_curves(rows: list[dict[str, Any]]) -> Figure:
    """Loss and validation top-2 by epoch. Losses of two recipes, with their own temperatures and
    batches, can't be compared, so each has its own axis; top-2 shares one."""
    learned = [row for row in rows if row["key"] in (PAPER, OURS) and row["curves"]["loss"]]
    plot = figure(9, 5.5)
    axes = plot.subplots(2, max(1, len(learned)), sharex="col", squeeze=False)
    for (above, below), row in zip(axes.T, learned, strict=False):
        if below is not axes[1, 0]:
            below.sharey(axes[1, 0])
        epochs = range(1, len(row["curves"]["loss"]) + 1)
        colour = _COLOURS[[one["key"] for one in rows].index(row["key"])]
        above.plot(epochs, row["curves"]["loss"], color=colour)
        below.plot(epochs, row["curves"]["top2"], color=colour)
        above.set_title(row["title"], fontsize=10)
        below.set_xlabel("epoch")
    axes[0, 0].set_ylabel("training loss")
    axes[1, 0].set_ylabel("validation top-2, before\nany hub penalty")
    for axis in axes.flat:
        tidy(axis)
    return plot


def top_k_curves(rows: list[dict[str, Any]]) -> Figure:
    """The share of matches among the k best of 20 candidates, exactly expected."""
    plot = figure(7, 5)
    axis = plot.subplots()
    for row, colour in zip(rows, _COLOURS, strict=True):
        k = range(1, len(row["top_k"]) + 1)
        axis.plot(k, row["top_k"], color=colour, marker="o", markersize=3, label=row["title"])
    axis.plot([1, 20], [0.05, 1], color="#c8c8c8", linestyle="--", label="chance")
    axis.set_xlabel("k")
    axis.set_ylabel("matches among the k best of 20 candidates")
    axis.set_xticks([1, 2, 5, 10, 15, 20])
    axis.set_ylim(0, 1.01)
    axis.legend(frameon=False, loc="lower right")
    tidy(axis)
    return plot
