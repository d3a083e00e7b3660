"""Cross-validate all systems, write what came of it as JSON, table, drawings and a page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tll_index.core.config import Settings, load_settings
from tll_index.core.progress import Progress
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.engine.images.decode import Limits
from tll_index.engine.lens.experiment import PairData, load_pairs
from tll_index.engine.lens.options import TrainingOptions

from ..machine import machine
from .cost import embedding
from .page import page
from .plots import draw
from .systems import OURS, PLAIN, System
from .trials import Projections, Trial, row, run_trial


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
    out.mkdir(parents=True, exist_ok=True)
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
            _write(out / "tll.json", json.dumps(result, indent=2) + "\n"),
            _write(out / "tll.md", table(result)),
        ]
    written += draw(result["rows"], out)
    ours, plain = trials[OURS][0].places, trials[PLAIN][0].places
    assert ours is not None and plain is not None
    text = page(material, ours, plain, Limits.of(settings))
    return [*written, _write(out / "tll.html", text)]


def _wanted(rows: list[System]) -> TrainingOptions:
    """Options for which all is loaded that any row needs."""
    return max((system.options for system in rows), key=lambda one: one.augment != "none")


def _write(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


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
        "machine": machine(),
        "folds": folds,
        "seeds": list(range(len(trials[OURS]))),
        "rows": [
            {**row(system, trials[system.key], trials[OURS]), **speed[system.key]}
            for system in rows
        ],
    }


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
        "| | top-1 | top-2 | 95% | against ours | top-5 | MRR | R@1 | R@5 | R@10 | s / fold "
        "| values | bytes | lens MB | pictures / s | cost |",
        "|---" + "|--:" * 15 + "|",
    ]
    part = "systems"
    for one in result["rows"]:
        if one["part"] != part:
            part = one["part"]
            lines.append("| *ours, but* " + "| " * 15 + "|")
        lines.append("| " + " | ".join(_cells(one)) + " |")
    return "\n".join(lines) + "\n"


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
