"""The comparison's command line: `python -m benchmarks.lens [--seeds 3] [--folds 5] …`. All systems
are cross-validated, and written as JSON, table, plots and a page."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from tll_index.core.config import Settings, load_settings
from tll_index.core.errors import TllError
from tll_index.core.progress import Progress
from tll_index.engine.backbones.backbone import Backbone
from tll_index.engine.backbones.registry import DEFAULT, BackboneSpec, Layer
from tll_index.engine.backbones.runtime import load_runtime
from tll_index.engine.images.batches import batch_of
from tll_index.engine.images.decode import Limits, decode
from tll_index.engine.images.file_bytes import read_bytes
from tll_index.engine.lens.experiment import PairData, load_pairs
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import TrainingOptions
from tll_index.rendering.progress import Bars

from .. import harness
from . import __doc__ as about
from .pages import draw, page
from .trials import OURS, PLAIN, Projections, System, Trial, ablations, row, run_trial, systems


def main() -> None:
    parser = harness.parser(about, quick="no ablation", prog="python -m benchmarks.lens")
    parser.add_argument("--seeds", type=int, help="how many (default 3; with --quick 1)")
    parser.add_argument("--folds", type=int, default=5, help="how many (default 5)")
    parser.add_argument("--mirror", action="store_true", help="also train on mirrored pictures")
    parser.add_argument("--backbone", default=DEFAULT, help=f"default {DEFAULT}")
    arguments = parser.parse_args()
    seeds = (1 if arguments.quick else 3) if arguments.seeds is None else arguments.seeds
    if seeds < 1:
        parser.error("--seeds must be at least 1")
    data = harness.require_tll()
    rows = systems()
    if not arguments.quick:
        rows += ablations(rows[-1].options, arguments.mirror)
    try:
        with Bars() as progress:
            written = run(
                data,
                rows,
                seeds=seeds,
                folds=arguments.folds,
                out=arguments.out,
                backbone=arguments.backbone,
                settings=load_settings(),
                progress=progress,
            )
    except TllError as error:
        sys.exit(str(error))
    harness.finish((arguments.out / "tll.md").read_text("utf-8").rstrip(), *written)


def run(
    data: Path,
    rows: list[System],
    *,
    seeds: int,
    folds: int,
    out: Path,
    backbone: str = DEFAULT,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> list[Path]:
    """Do the study and write its files into `out`; after each seed, its figures so far.

    Raises:
        DataError, UsageError, WeightsError
    """
    settings, progress = settings or load_settings(), progress or Progress()
    material = load_pairs(
        data, backbone, options=_wanted(rows), settings=settings, progress=progress
    )
    trials: dict[str, list[Trial]] = {system.key: [] for system in rows}
    speed: dict[str, dict[str, float]] = {}
    for seed in range(seeds):
        projections = Projections()  # of one seed: another one has other folds
        for system in rows:
            trial = run_trial(
                material,
                system,
                seed=seed,
                count=folds,
                projections=projections,
                progress=progress,
            )
            trials[system.key].append(trial)
            progress.note(f"seed {seed}, {system.title}: top-2 {trial.scores.top2:.4f}")
        if not speed:
            lenses = {key: own[0].lens for key, own in trials.items()}
            speed = embedding(material, lenses, settings)
        result = report(material, rows, trials, speed, folds)
        written = [
            harness.write_json(result, out / "tll.json"),
            harness.write_text(table(result), out / "tll.md"),
        ]
    written += draw(result["rows"], out)
    ours, plain = trials[OURS][0].ranks, trials[PLAIN][0].ranks
    assert ours is not None and plain is not None
    text = page(material, ours, plain, Limits.of(settings))
    return [*written, harness.write_text(text, out / "tll.html")]


def _wanted(rows: list[System]) -> TrainingOptions:
    """Options for which all is loaded that any row needs."""
    return max((system.options for system in rows), key=lambda one: one.augment != "none")


def report(
    material: PairData,
    rows: list[System],
    trials: dict[str, list[Trial]],
    speed: dict[str, dict[str, float]],
    folds: int,
) -> dict[str, Any]:
    """All figures, and what they were measured on and with; JSON values only."""
    unlabelled = material.features.unlabelled
    return {
        "data": {
            "sha256": material.pairs.digest(),
            "pairs": len(material.pairs),
            "unlabelled": 0 if unlabelled is None else len(unlabelled),
        },
        "backbone": {
            "name": material.backbone.spec.name,
            "weights_sha256": material.backbone.weights.sha256,
            "runtime": material.backbone.runtime.name,
            "features": material.backbone.spec.dimension,
            **material.backbone.spec.recipe(),
        },
        "machine": harness.machine(),
        "folds": folds,
        "seeds": list(range(len(trials[OURS]))),
        "rows": [
            {**row(system, trials[system.key], trials[OURS]), **speed[system.key]}
            for system in rows
        ],
    }


_HEADER = (
    *("", "top-1", "top-2", "95%", "against ours", "top-5", "MRR", "R@1", "R@5", "R@10"),
    *("s / fold", "values", "bytes", "lens MB", "pictures / s", "cost"),
)


def table(result: dict[str, Any]) -> str:
    """The figures for people, in Markdown."""
    seeds, data, used = len(result["seeds"]), result["data"], result["machine"]
    lines = [
        f"{data['pairs']:,} pairs, {result['folds']} folds, {seeds} seed{'s' * (seeds > 1)}; "
        f"{result['backbone']['name']}, {result['backbone']['features']:,} features of "
        f"{result['backbone']['preprocessing']['size']} px; {used['cores']} cores of {used['cpu']}",
        "",
        "Top-k and MRR: the match and 19 foils, exact expectation over all draws from the fold. "
        "Recall: among the right pictures of all pairs. ±: standard deviation of the "
        "cross-validated mean over seeds. Intervals: bootstrap, 95%, over pairs. Cost: "
        "seconds of embedding, in 224 px passes of the same network.",
        "",
    ]
    rows, part = [], "systems"
    for one in result["rows"]:
        if one["part"] != part:
            part = one["part"]
            rows.append(["*ours, but*", *[""] * (len(_HEADER) - 1)])
        rows.append(_cells(one))
    return "\n".join([*lines, *harness.markdown(_HEADER, rows)]) + "\n"


def _cells(one: dict[str, Any]) -> list[str]:
    mean, spread = one["mean"], one["spread"]["top2"]
    low, high = one["top2_ci95"]
    below, above = one["top2_against_ours_ci95"]
    return [
        one["title"],
        f"{mean['top1']:.3f}",
        f"{mean['top2']:.3f}" + (f" ± {spread:.3f}" if spread is not None else ""),
        f"{low:.3f} to {high:.3f}",
        ""
        if one["key"] == OURS
        else f"{one['top2_against_ours']:+.3f} ({below:+.3f} to {above:+.3f})",
        *(
            f"{mean[name]:.3f}"
            for name in ("top5", "mrr", "recall_at_1", "recall_at_5", "recall_at_10")
        ),
        f"{one['seconds_per_fold']:.1f}",
        f"{one['dimension']:,}",
        f"{one['bytes_per_vector']:,}",
        f"{one['lens_bytes'] / 1e6:.1f}",
        f"{one['pictures_per_second']:.1f}",
        f"{one['cost']:.2f}",
    ]


# -- cost -----------------------------------------------------------------------------------------

SIDE = 224
BATCH = 32
ROUNDS = 7


def embedding(
    material: PairData, lenses: dict[str, Lens], settings: Settings
) -> dict[str, dict[str, float]]:
    """For each of `lenses`, `pictures_per_second` of backbone and lens (decoding aside), and
    `cost`: seconds in passes of the network that only averages its last layer at 224 pixels.

    Each round times all of it, one after the other, so that whatever else the machine does hits
    all alike; reported are medians over rounds.
    """
    backbone = material.backbone
    one_pass = Backbone(
        small := pass_at_224(backbone.spec),
        backbone.weights,
        load_runtime(small, backbone.weights, settings),
    )
    data = [read_bytes(path, Limits.of(settings)) for path in material.pairs.left[:BATCH]]
    seen, seen_small = (
        batch_of([decode(one, spec.geometry, Limits.of(settings)) for one in data])
        for spec in (backbone.spec, small)
    )
    seconds: dict[str, list[float]] = {name: [] for name in lenses}
    ratios: dict[str, list[float]] = {name: [] for name in lenses}
    for turn in range(ROUNDS + 1):
        alone = harness.seconds(partial(one_pass.features, seen_small.pixels))
        network, features = harness.timed(partial(backbone.features, *seen))
        for name, lens in lenses.items():
            whole = network + harness.seconds(partial(lens.encode_gallery, features))
            if turn:  # the first warms up
                seconds[name].append(whole)
                ratios[name].append(whole / alone)
    return {
        name: {
            "pictures_per_second": round(len(data) / median(seconds[name]), 2),
            "cost": round(median(ratios[name]), 3),
        }
        for name in lenses
    }


def pass_at_224(spec: BackboneSpec) -> BackboneSpec:
    """The same network (of several, the first) up to the same layer, averaged as a whole, once at
    224 pixels."""
    first = (spec.networks or (spec,))[0]
    last = first.layers[-1]
    return replace(
        first,
        geometry=replace(spec.geometry, size=SIDE, faces=0, trim=False),
        layers=(Layer(last.name, last.channels),),
        views=(),
    )


if __name__ == "__main__":
    main()
