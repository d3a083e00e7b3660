"""How `tll-index pairs` should rank: `python -m benchmarks.lens.striking`.

In cross-validation on the Totally-Looks-Like pairs: both pictures of the pairs that a lens has not
seen are one collection, of which nobody says what is left and what is right. Pairs are proposed as
`pairs` does it. Counted is how many of the best are pairs that people made: the rest may be good as
well, so this only compares ways to rank; and how alike they are without the lens, which should be
little.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tll_index.core.errors import TllError
from tll_index.core.progress import Progress
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.engine.lens.experiment import PairData, cross_validate, load_pairs
from tll_index.engine.lens.half_precision import applied
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import TrainingOptions
from tll_index.engine.search.normalize import unit
from tll_index.indexer.analysis.knn_graph import Neighbourhoods
from tll_index.indexer.analysis.pair_ranking import (
    WEIGHT,
    Alike,
    BackgroundPairs,
    each_once,
    mutual,
)
from tll_index.indexer.analysis.pairs import PAIR_NEIGHBOURS, POOL, SAME_SCENE
from tll_index.rendering.progress import Bars

from .. import harness

WEIGHTS = (0.0, 0.25, WEIGHT, 0.75, 1.0)
POOLS = (2, POOL, 10, 20)
TOPS = (10, 25, 50)


class Collection:
    """The pictures of pairs that a lens has not seen: left ones, then right ones."""

    def __init__(self, material: PairData, lens: Lens, rows: NDArray[np.int64]) -> None:
        sides = material.features.left[rows], material.features.right[rows]
        features = np.concatenate(sides)
        self.pairs = len(rows)
        embeddings, plain = applied(lens.transform, features), applied(unit, features)
        alike, self.plain = lens.compared(embeddings) @ embeddings.T, plain @ plain.T
        once = np.triu_indices(len(features), 1)
        self.background = BackgroundPairs.of(alike[once], self.plain[once])
        np.fill_diagonal(alike, -np.inf)
        others = np.argsort(-alike, axis=1)[:, :PAIR_NEIGHBOURS]
        cosines = np.take_along_axis(alike, others, axis=1).astype(np.float64)
        near = Neighbourhoods(np.arange(len(features)), others, cosines)
        found = mutual([near])
        found = Alike(found.pairs, found.alike, self.plain[tuple(found.pairs.T)])
        self.different = found.rows(self.background.plainness(found.plain) < SAME_SCENE)

    def best(self, top: int, pool: int, weight: float) -> Alike:
        """The `top` that come first when so many times as many are ranked with this weight."""
        ranked = self.different.rows(slice(pool * top))
        return each_once(ranked, self.background.scores(ranked, weight)).rows(slice(top))

    def are_human(self, found: Alike) -> NDArray[np.bool_]:
        """(n,): whether people made these pairs."""
        return np.asarray(found.pairs[:, 1] - found.pairs[:, 0] == self.pairs)


def collections(material: PairData, seeds: int, progress: Progress) -> Iterator[Collection]:
    """One for each fold of each seed."""
    for seed in range(seeds):
        judged = cross_validate(material, TrainingOptions(seed=seed), progress=progress)
        for fit, rows in zip(judged.fits, judged.rows, strict=True):
            yield Collection(material, fit.lens, rows)


def measured(some: list[Collection]) -> Iterator[dict[str, Any]]:
    """A row for each weight, pool and number of pairs."""
    for weight in WEIGHTS:
        for pool in POOLS:
            for top in TOPS:
                best = [one.best(top, pool, weight) for one in some]
                human = [one.are_human(found) for one, found in zip(some, best, strict=True)]
                plain = [
                    one.background.plainness(found.plain)
                    for one, found in zip(some, best, strict=True)
                ]
                yield {
                    "weight": weight,
                    "pool": pool,
                    "top": top,
                    "human": round(float(np.concatenate(human).mean()), 4),
                    "plain": round(float(np.concatenate(plain).mean()), 3),
                }


def table(rows: list[dict[str, Any]]) -> list[str]:
    """The rows in Markdown: the share that people made (deviations above background
    pairs, plain)."""
    header = ("weight of plain", "pool", *(f"best {top}" for top in TOPS))
    lines = []
    for start in range(0, len(rows), len(TOPS)):
        some = rows[start : start + len(TOPS)]
        cells = (f"{row['human']:.2f} ({row['plain']:.1f})" for row in some)
        lines.append((f"{some[0]['weight']:g}", str(some[0]["pool"]), *cells))
    return harness.markdown(header, lines, left=())


def main() -> None:
    parser = harness.parser(
        __doc__, out=harness.OUT / "striking.json", prog="python -m benchmarks.lens.striking"
    )
    parser.add_argument("--seeds", type=int, default=1, help="how many (default 1)")
    parser.add_argument("--backbone", default=DEFAULT, help=f"default {DEFAULT}")
    arguments = parser.parse_args()
    data = harness.require_tll()
    try:
        with Bars() as progress:
            material = load_pairs(
                data, arguments.backbone, options=TrainingOptions(), progress=progress
            )
            rows = list(measured(list(collections(material, arguments.seeds, progress))))
    except TllError as error:
        sys.exit(str(error))
    found = {"machine": harness.machine(), "seeds": arguments.seeds, "rows": rows}
    harness.finish("\n".join(table(rows)), harness.write_json(found, arguments.out))


if __name__ == "__main__":
    main()
