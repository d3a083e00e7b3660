"""One self-contained HTML page: the best, the worst and the most surprising matches."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

from tll_index.core.errors import PictureError
from tll_index.core.names import shown
from tll_index.engine.images.decode import Limits, thumbnail
from tll_index.engine.images.file_bytes import read_bytes
from tll_index.engine.lens.experiment import PairData

from .places import MatchRanks, best, surprising, worst

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
            album.left(row, "asks"),
            album.right(row, f"its match: first, ahead by {ours.margin[row]:.3f}"),
        ]

    def missed(row: int) -> list[dict[str, Any]]:
        return [
            album.left(row, "asks"),
            album.right(row, f"its match: place {_place(ours, row)}"),
            album.right(int(ours.first[row]), "came first instead"),
        ]

    def surprised(row: int) -> list[dict[str, Any]]:
        return [
            album.left(row, "asks"),
            album.right(row, f"its match: first, place {_place(plain, row)} without the lens"),
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


def _place(standing: MatchRanks, row: int) -> str:
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
