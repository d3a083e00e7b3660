"""Cross-validate the systems, seed by seed, and say what each scores and costs."""

from __future__ import annotations

import hashlib
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tll_index.core.progress import Progress
from tll_index.engine.backbones.registry import BackboneSpec
from tll_index.engine.evaluation.metrics import Scores, bootstrap_interval
from tll_index.engine.lens.experiment import (
    CrossValidation,
    PairData,
    cross_validate,
    evaluate_by_folds,
)
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import TrainingOptions
from tll_index.engine.lens.projection import Projection, fit_projection
from tll_index.engine.lens.trainer import Fit, train_lens
from tll_index.engine.lens.training import PairFeatures

from .places import MatchRanks, places
from .systems import System

FIGURES = ("top1", "top2", "top5", "mrr", "recall_at_1", "recall_at_5", "recall_at_10")

_AFTER = (
    *("adaptation", "start", "shrinkage", "power", "outputs", "relu", "temperature", "direction"),
    *("candidates", "batch", "epochs", "lr", "weight_decay", "dropout", "csls"),
)
"""Options that no projection depends on. Any other that there may ever be is held to matter."""


class Projections:
    """`fit_projection`, remembering: systems of the same scaling and PCA share it in each fold."""

    def __init__(self) -> None:
        self._known: dict[tuple[bytes, str], tuple[Projection, float]] = {}
        self.saved = 0.0
        """Seconds that all calls together took less than without memory."""

    def __call__(
        self, parts: list[NDArray[np.floating]], spec: BackboneSpec, options: TrainingOptions
    ) -> Projection:
        started = time.perf_counter()
        digest = hashlib.blake2b()
        for part in parts:
            digest.update(np.ascontiguousarray(part).data)
        heeded = {k: v for k, v in options.as_dict().items() if k not in _AFTER}
        key = digest.digest(), repr(heeded)
        if key not in self._known:
            began = time.perf_counter()
            projection = fit_projection(parts, spec, options)
            self._known[key] = projection, time.perf_counter() - began
        projection, took = self._known[key]
        self.saved += took - (time.perf_counter() - started)
        return projection


@dataclass(frozen=True, eq=False)
class Trial:
    """A system, cross-validated with one seed."""

    scores: Scores
    seconds: list[float]
    """Of training, for each fold."""
    lens: Lens
    """Of the first fold; the others are of the same shape."""
    curves: dict[str, NDArray[np.float64]]
    """`loss` and `top2` after each epoch, mean over folds; empty where nothing is trained so."""
    places: MatchRanks | None
    """Of the systems that are compared; ablations do without."""


def run_trial(
    material: PairData,
    system: System,
    *,
    seed: int,
    count: int,
    projections: Projections,
    progress: Progress,
) -> Trial:
    """Cross-validate `system`; `seed` decides its folds and its training."""
    seconds: list[float] = []

    def fit_one(pairs: PairFeatures, *arguments: Any, **rest: Any) -> Fit:
        started, saved = time.perf_counter(), projections.saved
        fit = make(pairs, *arguments, project=projections, **rest)
        seconds.append(time.perf_counter() - started + projections.saved - saved)
        return fit

    make = pca_alone if system.kind == "pca" else train_lens
    if system.kind == "plain":
        lens = Lens.plain(material.backbone.spec)
        judged = evaluate_by_folds(material, lens, count=count, seed=seed)
    else:
        judged = cross_validate(
            material,
            replace(system.options, seed=seed),
            count=count,
            progress=progress,
            fit_one=fit_one,
        )
    return Trial(
        judged.scores,
        seconds or [0.0] * count,
        judged.fits[0].lens,
        curves(judged),
        places(material, judged) if system.part == "systems" else None,
    )


def pca_alone(
    pairs: PairFeatures,
    spec: BackboneSpec,
    options: TrainingOptions,
    *,
    project: Projections,
    **_: Any,
) -> Fit:
    """Like `train_lens`, but nothing is learned from which pictures are pairs."""
    parts = [pairs.left, pairs.right]
    if options.unlabelled and pairs.unlabelled is not None:
        parts.append(pairs.unlabelled)
    projection = project(parts, spec, options)
    identity = np.eye(options.pca, dtype=np.float32)
    steps = projection.followed_by(identity)._replace(adaptation=None)
    return Fit(Lens(spec.name, spec.dimension, spec.layout).with_steps(*steps).compact())


def curves(judged: CrossValidation) -> dict[str, NDArray[np.float64]]:
    """The learning curves of the folds, averaged."""
    return {
        "loss": np.mean([fit.losses for fit in judged.fits], axis=0),
        "top2": np.mean([fit.top2 for fit in judged.fits], axis=0),
    }


def row(system: System, trials: list[Trial], ours: list[Trial]) -> dict[str, Any]:
    """All that there is to say about a system; JSON values only.

    `ours` are the trials of ours with the same seeds, for the difference in top-2: pair by pair,
    which says more than two intervals side by side.
    """
    figures = {name: [getattr(trial.scores, name) for trial in trials] for name in FIGURES}
    lens = trials[0].lens
    top2, reference = _each_pair(trials), _each_pair(ours)
    return {
        "key": system.key,
        "title": system.title,
        "part": system.part,
        "kind": system.kind,
        "options": None if system.kind == "plain" else system.options.recorded(),
        "mean": {name: round(fmean(values), 6) for name, values in figures.items()},
        "spread": {
            name: round(stdev(values), 6) if len(values) > 1 else None
            for name, values in figures.items()
        },
        "each_seed": {
            name: [round(value, 6) for value in values] for name, values in figures.items()
        },
        "top2_ci95": _rounded(bootstrap_interval(top2)),
        "top2_against_ours": round(float((top2 - reference).mean()), 6),
        "top2_against_ours_ci95": _rounded(bootstrap_interval(top2 - reference)),
        "seconds_per_fold": round(fmean(second for trial in trials for second in trial.seconds), 3),
        "dimension": lens.dimension,
        "bytes_per_vector": 4 * lens.dimension,
        "lens_bytes": _bytes(lens) if lens.trained else 0,
        "curves": {
            name: np.mean([trial.curves[name] for trial in trials], axis=0).round(6).tolist()
            for name in ("loss", "top2")
        },
        "top_k": _mean_top_k(trials),
    }


def _each_pair(trials: list[Trial]) -> NDArray[np.float64]:
    """(n,): each pair's top-2, mean over seeds. Pairs are what a bootstrap may draw anew; the
    seeds see the same ones."""
    each: NDArray[np.float64] = np.mean([one.scores.per_pair["top2"] for one in trials], axis=0)
    return each


def _mean_top_k(trials: list[Trial]) -> list[float] | None:
    known = [trial.places.top_k for trial in trials if trial.places is not None]
    return np.mean(known, axis=0).round(6).tolist() if known else None


def _rounded(interval: tuple[float, float]) -> list[float]:
    return [round(end, 6) for end in interval]


def _bytes(lens: Lens) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "lens.npz"
        lens.save(path)
        return path.stat().st_size
