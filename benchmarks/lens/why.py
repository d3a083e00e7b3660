"""Whether the regions that `why` calls hottest matter: `python -m benchmarks.lens.why`.

Ten of the 49 cells of one picture of a pair are hidden, and the loss of cosine is compared: the
hottest ten, and others that are chosen without looking at the other picture.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tll_index.core.config import Settings, load_settings
from tll_index.core.contracts import Pixels
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.engine.explain.explain import explain
from tll_index.engine.explain.occlusion import Hiding
from tll_index.engine.explain.sides import Side, Subject
from tll_index.engine.images.decode import Limits
from tll_index.engine.images.sources import decoded_source
from tll_index.engine.lens.embedder import Embedder, load_embedder
from tll_index.rendering.progress import Bars

from .. import harness

GRID, HIDDEN = 7, 10
Values = NDArray[np.floating]
"""(49,): of each cell, row after row."""

OURS = ("sum", "mask")
"""Methods of `why`, whose hottest cells are hidden."""
FILLINGS = ("blurred", "mean colour")
"""What is to be seen where cells are hidden."""


def _anywhere(pixels: Pixels, random: np.random.Generator) -> Values:
    return random.random(GRID**2)


def _in_the_middle(pixels: Pixels, random: np.random.Generator) -> Values:
    return -np.hypot(*(np.mgrid[:GRID, :GRID] - GRID // 2)).ravel()


def _where_edges_are(pixels: Pixels, random: np.random.Generator) -> Values:
    """Differences of brightness between neighbours, by cell."""
    grey = pixels.mean(axis=2)
    steps = np.abs(np.diff(grey, axis=0))[:, :-1] + np.abs(np.diff(grey, axis=1))[:-1]
    return by_cells(steps)


CONTROLS: dict[str, Callable[[Pixels, np.random.Generator], Values]] = {
    "most edges": _where_edges_are,
    "the middle": _in_the_middle,
    "anywhere": _anywhere,
}
"""Which cells are hidden without looking at the other picture: those with the largest values."""


def main() -> None:
    """Measure, print a table, write why.json."""
    parser = harness.parser(__doc__, prog="python -m benchmarks.lens.why")
    parser.add_argument("--pairs", type=int, default=200, help="how many (default 200)")
    parser.add_argument("--first", type=int, default=0, help="of the first pair (default 0)")
    parser.add_argument("--methods", nargs="+", choices=OURS, default=OURS[:1], help="default sum")
    chosen = parser.parse_args()
    if chosen.pairs < 2 or chosen.first < 0:
        parser.error("--pairs must be at least 2, --first at least 0")
    pairs = _pairs(harness.require_tll())[chosen.first : chosen.first + chosen.pairs]
    if len(pairs) < 2:
        parser.error(f"there are not so many pairs that number {chosen.first} is one of them")
    lost = measured(pairs, chosen.methods, load_settings())
    found = {"first": chosen.first, "pairs": len(pairs), **summed_up(lost)}
    found = {"machine": harness.machine(), **found}
    harness.finish(table(found), harness.write_json(found, chosen.out / "why.json"))


def _pairs(data: Path) -> list[tuple[Path, Path]]:
    with (data / "train.csv").open() as file:
        rows = list(csv.DictReader(file))
    folder = data / "train"
    return [
        (folder / "left" / f"{row['left']}.jpg", folder / "right" / f"{row['right']}.jpg")
        for row in rows
    ]


def measured(
    pairs: list[tuple[Path, Path]], methods: list[str], settings: Settings
) -> dict[tuple[str, str], Values]:
    """What each pair's cosine loses, (pairs,), in the mean of hiding a part of the one picture and
    of the other, by which cells are hidden and how they are filled."""
    embedder = load_embedder(DEFAULT, settings)
    lost: dict[tuple[str, str], list[float]] = {}
    random = np.random.default_rng(0)
    with Bars() as progress:
        progress.start("hiding", len(pairs), "pairs")
        for pair in pairs:
            for key, losses in _of_pair(embedder, pair, methods, random, settings):
                lost.setdefault(key, []).append(losses)
            progress.advance()
    return {key: np.array(values) for key, values in lost.items()}


def _of_pair(
    embedder: Embedder,
    pair: tuple[Path, Path],
    methods: list[str],
    random: np.random.Generator,
    settings: Settings,
) -> Iterator[tuple[tuple[str, str], float]]:
    geometry, limits = embedder.backbone.spec.geometry, Limits.of(settings)
    a, b = (Subject(path.name, decoded_source(path, geometry, limits).picture) for path in pair)
    found = [explain(embedder, a, b, method=method, settings=settings) for method in methods]
    losses: dict[tuple[str, str], list[float]] = {}
    for mine, other in (("a", "b"), ("b", "a")):
        sides: list[Side] = [getattr(one, mine) for one in found]
        pixels = sides[0].subject.picture.pixels
        shown = getattr(found[0], other).subject.picture.pixels
        wanted = {
            f"hottest by {one.method}": by_cells(side.heatmap)
            for one, side in zip(found, sides, strict=True)
        }
        wanted |= {name: of(pixels, random) for name, of in CONTROLS.items()}
        keys, masked = [], []
        for name, values in wanted.items():
            cells = _largest(values)
            for filling, picture in zip(FILLINGS, _hidden(pixels, cells), strict=True):
                keys.append((name, filling))
                masked.append(picture)
        embeddings = embedder.embed(np.stack([shown, pixels, *masked]))
        cosines = embeddings[1:] @ embeddings[0]
        for key, cosine in zip(keys, cosines[1:], strict=True):
            losses.setdefault(key, []).append(float(cosines[0] - cosine))
    for key, both in losses.items():
        yield key, float(np.mean(both))


def by_cells(values: Values) -> Values:
    """(rows, columns) of anything -> their sum in each of the cells; a row or column between two
    belongs to the one where it begins."""
    rows, columns = (np.arange(side) * GRID // side for side in values.shape)
    sums = np.zeros((GRID, GRID))
    np.add.at(sums, (rows[:, None], columns[None]), values)
    return sums.ravel()


def _largest(values: Values) -> NDArray[np.bool_]:
    chosen = np.zeros(GRID**2, bool)
    chosen[np.argsort(values)[-HIDDEN:]] = True
    return chosen.reshape(GRID, GRID)


def _hidden(pixels: Pixels, cells: NDArray[np.bool_]) -> tuple[Pixels, Pixels]:
    """Without those cells, for each of `FILLINGS`."""
    rows, columns = (np.arange(side) * GRID // side for side in pixels.shape[:2])
    part = cells[rows[:, None], columns[None]][..., None]
    filled = np.where(part, pixels.mean((0, 1)), pixels).astype(np.uint8)
    return Hiding(pixels).under(cells), filled


def summed_up(lost: dict[tuple[str, str], Values]) -> dict[str, Any]:
    """Means over pairs, and how much more is lost without the hottest cells, with 95% intervals
    (normal approximation, pair by pair)."""
    rows = []
    for (name, filling), values in lost.items():
        row = {"hidden": name, "filled": filling, "lost": round(float(values.mean()), 4)}
        if name in CONTROLS:
            for method in OURS:
                if (ours := lost.get((f"hottest by {method}", filling))) is not None:
                    more = ours - values
                    reach = 1.96 * more.std(ddof=1) / len(more) ** 0.5
                    row[f"{method}_loses_more"] = [
                        round(float(edge), 4)
                        for edge in (more.mean(), more.mean() - reach, more.mean() + reach)
                    ]
        rows.append(row)
    return {"cells": f"{HIDDEN} of {GRID**2}", "rows": rows}


def table(found: dict[str, Any]) -> str:
    """In Markdown."""
    header = ("hidden", "filled", "cosine lost", "the hottest lose more by (95%)")
    rows = []
    for row in found["rows"]:
        more = "; ".join(
            "{}: {:+.3f} ({:+.3f} to {:+.3f})".format(method, *row[f"{method}_loses_more"])
            for method in OURS
            if f"{method}_loses_more" in row
        )
        rows.append((row["hidden"], row["filled"], f"{row['lost']:.3f}", more))
    return "\n".join(harness.markdown(header, rows, left=(0, 1, 3)))


if __name__ == "__main__":
    main()
