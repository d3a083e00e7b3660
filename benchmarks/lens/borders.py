"""Whether borders decide what is found: `python -m benchmarks.lens.borders`.

The left pictures of Totally-Looks-Like's test split are searched among all of its pictures, with
borders left out and with borders kept, each through a lens trained on features of that kind. Barred
is a picture with bars above and below that take at least a fifth of its height. For barred queries
and for all others: how many of the ten hits are barred. With `--folds`, the cross-validated top-2
of both, pair by pair.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tll_index.core.config import Settings, load_settings
from tll_index.core.errors import TllError
from tll_index.core.progress import Progress
from tll_index.engine.backbones.backbone import Backbone, load_backbone
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.engine.evaluation.metrics import bootstrap_interval
from tll_index.engine.evaluation.tll import read_pairs
from tll_index.engine.images.decode import Geometry, Limits, decode
from tll_index.engine.images.file_bytes import read_bytes
from tll_index.engine.lens.experiment import PairData, cross_validate, fit_lens, load_pairs
from tll_index.engine.lens.half_precision import applied
from tll_index.engine.lens.options import TrainingOptions
from tll_index.rendering.progress import Bars

from .. import harness

HITS = 10
BARRED = 0.2
"""Of a picture's height, what bars above and below take together at least."""
_TRIMMING = Geometry(8, fit="squash", trim=True)


@dataclass(frozen=True)
class Outcome:
    """What was found with borders left out, or without that."""

    trim: bool
    barred_hits: NDArray[np.float64]
    """(queries,): the share of the hits of each that are barred."""
    top2: NDArray[np.float64] | None
    """(pairs,): expected, of each by a lens that has not seen it."""


def main() -> None:
    """Measure, print a table, write borders.json."""
    parser = harness.parser(__doc__, prog="python -m benchmarks.lens.borders")
    parser.add_argument("--backbone", default=DEFAULT, help=f"default {DEFAULT}")
    parser.add_argument("--folds", type=int, default=0, help="how many (default 0: no top-2)")
    chosen = parser.parse_args()
    data, settings = harness.require_tll(), load_settings()
    try:
        with Bars() as progress:
            backbone = load_backbone(chosen.backbone, settings=settings)
            outcomes, barred, queries = measured(
                data, backbone, chosen.folds, settings=settings, progress=progress
            )
    except TllError as error:
        sys.exit(str(error))
    found = {
        "machine": harness.machine(),
        "backbone": chosen.backbone,
        **summed_up(outcomes, barred, queries),
    }
    harness.finish(table(found), harness.write_json(found, chosen.out / "borders.json"))


def measured(
    data: Path,
    backbone: Backbone,
    folds: int,
    *,
    options: TrainingOptions | None = None,
    settings: Settings,
    progress: Progress,
) -> tuple[list[Outcome], NDArray[np.bool_], NDArray[np.int64]]:
    """Both outcomes; which pictures are barred; which of them are queries."""
    pairs, options = read_pairs(data), options or TrainingOptions()
    pictures = [*pairs.left, *pairs.right, *pairs.unlabelled]
    queries = np.flatnonzero([path.parent.match("test/left") for path in pictures])
    barred = are_barred(pictures, settings, progress)
    outcomes = []
    for trim in (False, True):
        material = load_pairs(
            pairs, trimming(backbone, trim), options=options, settings=settings, progress=progress
        )
        scored = cross_validate(material, options, count=folds) if folds else None
        outcomes.append(
            Outcome(
                trim,
                barred[found_by(material, options, queries)].mean(1),
                None if scored is None else scored.scores.per_pair["top2"],
            )
        )
    return outcomes, barred, queries


def trimming(backbone: Backbone, trim: bool) -> Backbone:
    """The same backbone, that leaves borders out or does not."""
    geometry = replace(backbone.spec.geometry, trim=trim)
    spec = replace(backbone.spec, geometry=geometry)
    return Backbone(spec, backbone.weights, backbone.runtime, backbone.recognition)


def are_barred(
    pictures: Sequence[Path], settings: Settings, progress: Progress
) -> NDArray[np.bool_]:
    """(n,): of each, whether it is."""
    limits, found = Limits.of(settings), []
    progress.start("looking for bars", len(pictures))
    for path in pictures:
        picture = decode(read_bytes(path, limits), _TRIMMING, limits)
        assert picture.box is not None
        _, top, _, bottom = picture.box
        below = picture.height - bottom
        found.append(min(top, below) > 0 and top + below >= BARRED * picture.height)
        progress.advance()
    return np.array(found)


def found_by(
    material: PairData, options: TrainingOptions, queries: NDArray[np.int64]
) -> NDArray[np.int64]:
    """(q, HITS): the nearest pictures of each query but itself, by a lens trained on all pairs."""
    features, lens = material.features, fit_lens(material, options).lens
    assert features.unlabelled is not None
    everything = [features.left, features.right, features.unlabelled]
    gallery = np.concatenate([applied(lens.encode_gallery, some) for some in everything])
    first = len(features.left) + len(features.right)  # the queries have no label
    inner = applied(lens.encode_query, features.unlabelled[queries - first]) @ gallery.T
    inner[np.arange(len(queries)), queries] = -np.inf
    return np.argsort(-inner, axis=1, kind="stable")[:, :HITS]


def summed_up(
    outcomes: list[Outcome], barred: NDArray[np.bool_], queries: NDArray[np.int64]
) -> dict[str, Any]:
    """JSON values: shares, and the difference of top-2 with its 95% interval over pairs."""
    of_barred = barred[queries]
    rows = []
    for one in outcomes:
        row: dict[str, Any] = {
            "trim": one.trim,
            "barred_queries": round(float(one.barred_hits[of_barred].mean()), 4),
            "other_queries": round(float(one.barred_hits[~of_barred].mean()), 4),
        }
        if one.top2 is not None:
            row["top2"] = round(float(one.top2.mean()), 4)
        rows.append(row)
    found: dict[str, Any] = {
        "pictures": len(barred),
        "barred": int(barred.sum()),
        "queries": len(queries),
        "barred_among_queries": int(of_barred.sum()),
        "rows": rows,
    }
    before, after = (one.top2 for one in outcomes)
    if before is not None and after is not None:
        low, high = bootstrap_interval(after - before)
        found["top2_difference"] = [
            round(float(one), 4) for one in (np.mean(after - before), low, high)
        ]
    return found


def table(found: dict[str, Any]) -> str:
    """The figures for people, in Markdown."""
    has_top2 = "top2" in found["rows"][0]
    header = ["borders", "barred hits of barred queries", "of other queries"]
    lines = [
        [
            "left out" if row["trim"] else "kept",
            f"{row['barred_queries']:.1%}",
            f"{row['other_queries']:.1%}",
            *([f"{row['top2']:.4f}"] if has_top2 else []),
        ]
        for row in found["rows"]
    ]
    share = found["barred"] / found["pictures"]
    about = (
        f"{share:.1%} of {found['pictures']:,} pictures are barred, "
        f"{found['barred_among_queries']} of {found['queries']:,} queries."
    )
    text = [about, "", *harness.markdown(header + ["top-2"] * has_top2, lines)]
    if "top2_difference" in found:
        mean, low, high = found["top2_difference"]
        text += ["", f"Top-2, pair by pair: {mean:+.4f} ({low:+.4f} to {high:+.4f})."]
    return "\n".join(text)


if __name__ == "__main__":
    main()
