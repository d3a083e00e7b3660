"""What comparing faces is worth, by kind of pair: `python -m benchmarks.lens.faces`.

Two backbones that differ in nothing but faces are cross-validated on the same folds: one finds
faces and compares them, the other does not. Pairs are told apart by what the first one finds: a
face on both sides, on one, on none.
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tll_index.core.errors import TllError
from tll_index.core.progress import Progress
from tll_index.engine.backbones.registry import QUALITIES, WITHOUT_FACES
from tll_index.engine.evaluation.metrics import bootstrap_interval
from tll_index.engine.lens.experiment import PairData, cross_validate, load_pairs
from tll_index.engine.lens.options import TrainingOptions
from tll_index.rendering.progress import Bars

from .. import harness

KINDS = ("no face", "a face on one side", "a face on both sides")
SURE = 0.5
"""Score from which a face is counted here; in lenses, it is as much present as it is sure."""


def kinds_of(data: PairData, sure: float = SURE) -> NDArray[np.int64]:
    """(n,): on how many sides each pair shows a face."""
    spec, features = data.backbone.spec, data.features
    there = [spec.face(side)[:, -1] >= sure for side in (features.left, features.right)]
    return there[0].astype(np.int64) + there[1]


def top2(data: PairData, folds: int, seed: int, progress: Progress) -> NDArray[np.float64]:
    """(n,): of each pair, by the lens that has not seen it."""
    options = TrainingOptions(seed=seed)
    scores = cross_validate(data, options, count=folds, progress=progress).scores
    return np.asarray(scores.per_pair["top2"])


def compared(
    before: NDArray[np.float64], after: NDArray[np.float64], kinds: NDArray[np.int64]
) -> list[dict[str, Any]]:
    """For each kind of pair and for all: how many, top-2 without and with faces, and the paired
    difference with its interval."""
    rows = []
    groups = [(name, kinds == kind) for kind, name in enumerate(KINDS)]
    for name, some in [*groups, ("all pairs", np.ones(len(kinds), bool))]:
        if not some.any():
            continue
        difference = after[some] - before[some]
        low, high = bootstrap_interval(difference)
        rows.append(
            {
                "kind": name,
                "pairs": int(some.sum()),
                "without": float(before[some].mean()),
                "with": float(after[some].mean()),
                "difference": float(difference.mean()),
                "ci95": [float(low), float(high)],
            }
        )
    return rows


def table(rows: list[dict[str, Any]]) -> str:
    """The figures for people, in Markdown."""
    header = ("pairs with", "how many", "without faces", "with faces", "difference (95%)")
    cells = [
        [
            row["kind"],
            f"{row['pairs']:,}",
            f"{row['without']:.3f}",
            f"{row['with']:.3f}",
            f"{row['difference']:+.3f} ({row['ci95'][0]:+.3f} to {row['ci95'][1]:+.3f})",
        ]
        for row in rows
    ]
    return "\n".join(harness.markdown(header, cells)) + "\n"


def main() -> None:
    parser = harness.parser(__doc__, quick="two folds", prog="python -m benchmarks.lens.faces")
    parser.add_argument("--folds", type=int, help="how many (default 5; with --quick 2)")
    parser.add_argument("--seed", type=int, default=0, help="of the folds (default 0)")
    parser.add_argument("--quality", default="default", choices=list(QUALITIES))
    arguments = parser.parse_args()
    backbone = QUALITIES[arguments.quality]
    folds = arguments.folds or (2 if arguments.quick else 5)
    root = harness.require_tll()
    try:
        with Bars() as progress:
            with_faces = load_pairs(root, backbone, progress=progress)
            without = load_pairs(root, WITHOUT_FACES[backbone], progress=progress)
            before = top2(without, folds, arguments.seed, progress)
            after = top2(with_faces, folds, arguments.seed, progress)
    except TllError as error:
        sys.exit(str(error))
    rows = compared(before, after, kinds_of(with_faces))
    result = {
        "backbone": backbone,
        "machine": harness.machine(),
        "folds": folds,
        "seed": arguments.seed,
        "sure": SURE,
        "rows": rows,
    }
    written = [
        harness.write_json(result, arguments.out / "faces.json"),
        harness.write_text(table(rows), arguments.out / "faces.md"),
    ]
    harness.finish(table(rows).rstrip(), *written)


if __name__ == "__main__":
    main()
