"""What the comparison compares, and what each system scores, cross-validated seed by seed.

All rows are fixed here, before any result is seen: no row is chosen by what it scores.
"""

from __future__ import annotations

import hashlib
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tll_index.core.progress import Progress
from tll_index.engine.backbones.registry import BackboneSpec
from tll_index.engine.evaluation.metrics import FOILS, Scores, bootstrap_interval, expected_top_k
from tll_index.engine.lens.experiment import (
    CrossValidation,
    PairData,
    cross_validate,
    evaluate_by_folds,
)
from tll_index.engine.lens.half_precision import applied
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import TrainingOptions, options_of
from tll_index.engine.lens.projection import Projection, fit_projection
from tll_index.engine.lens.trainer import Fit, train_lens
from tll_index.engine.lens.training import PairFeatures
from tll_index.engine.search.search import nearest, new_index


@dataclass(frozen=True)
class System:
    """A row of the study."""

    key: str
    title: str
    kind: Literal["plain", "pca", "trained"]
    """plain: the cosine of the features; pca: of their projection, nothing else learned."""
    options: TrainingOptions
    """pca heeds those of the projection alone, plain none."""
    part: Literal["systems", "ablation"] = "ablation"


OURS = "ours"
PLAIN = "plain"
PAPER = "paper"


def systems(**chosen: Any) -> list[System]:
    """The four that are compared; options `chosen` otherwise hold for all (tests are smaller)."""
    ours, paper = options_of("ours", **chosen), options_of("paper", **chosen)
    return [
        System(PLAIN, "plain cosine of the features", "plain", ours, "systems"),
        System("pca", "PCA only: our scaling and PCA, then cosine", "pca", ours, "systems"),
        System(PAPER, "the paper's recipe on our features", "trained", paper, "systems"),
        System(OURS, "ours", "trained", ours, "systems"),
    ]


def ablations(ours: TrainingOptions, mirror: bool = False) -> list[System]:
    """Ours with one change each. Where it can't stand alone, its title says what goes with it."""
    changes: list[tuple[str, str, dict[str, Any]]] = [
        ("no-hubs", "no hubness correction", {"csls": 0.0}),
        ("random-start", "random start, not CCA", {"start": "random"}),
        # From chance, a few small steps lead nowhere: that would say little about the start.
        (
            "random-start-long",
            "random start, learning rate 0.001, 200 epochs",
            {"start": "random", "lr": 1e-3, "epochs": 200},
        ),
        ("no-tuning", "no fine-tuning: CCA alone", {"epochs": 0}),
        ("scaling-layer", "scaling by layer", {"scaling": "layer"}),
        ("scaling-none", "no scaling", {"scaling": "none"}),
        ("no-candidates", "no guessed pairs", {"candidates": False}),
        ("no-unlabelled", "PCA without unlabelled pictures", {"unlabelled": False}),
        ("pca-256", "PCA 256", {"pca": 256}),
        ("pca-512", "PCA 512", {"pca": 512}),
        ("outputs-64", "64 outputs", {"outputs": 64}),
        ("outputs-254", "254 outputs", {"outputs": 254}),
        # Half of all values become 0, so it is given all the outputs that CCA has.
        ("relu", f"ReLU over {ours.pca} outputs", {"relu": True, "outputs": ours.pca}),
        ("both-directions", "left and right both ask", {"direction": "both"}),
    ]
    if mirror:
        changes.append(("mirror", "mirrored views in training", {"augment": "mirror"}))
    rows = [
        System(key, title, "trained", replace(ours, **change)) for key, title, change in changes
    ]
    return [row for row in rows if row.options != ours]


FIGURES = ("top1", "top2", "top5", "mrr", "recall_at_1", "recall_at_5", "recall_at_10")

_AFTER = (
    *("adaptation", "start", "shrinkage", "power", "outputs", "relu", "temperature", "direction"),
    *("candidates", "batch", "epochs", "lr", "weight_decay", "dropout", "csls"),
    *("face_outputs", "face_shrinkage", "face_power", "face_weight", "face_cost"),
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
class MatchRanks:
    """Of every pair, as judged by the lens that has not seen it; (n,) each."""

    better: NDArray[np.int64]
    """How many other right pictures of its fold score higher than the match."""
    first: NDArray[np.int64]
    """Which pair's right picture comes first."""
    margin: NDArray[np.float64]
    """Score of the match less that of the best other; below 0 where it is not found."""
    among: NDArray[np.int64]
    """How many right pictures the fold has."""
    top_k: list[float]
    """Expected share of matches among the k best of 20 candidates, k from 1 to 20."""


def match_ranks(material: PairData, judged: CrossValidation) -> MatchRanks:
    """Rank the right pictures of each fold as a query would."""
    count = len(material.pairs)
    better, first, among = (np.zeros(count, np.int64) for _ in range(3))
    margin, chances = np.zeros(count), np.zeros((FOILS + 1, count))
    for fit, rows in zip(judged.fits, judged.rows, strict=True):
        queries = applied(fit.lens.encode_query, material.features.left[rows])
        gallery = applied(fit.lens.encode_gallery, material.features.right[rows])
        index = new_index(gallery.shape[1])
        index.add_with_ids(gallery, rows)
        found = nearest(index, queries, len(rows))
        is_match = found.ids == rows[:, None]
        own, others = found.scores[is_match], found.scores[~is_match].reshape(len(rows), -1)
        better[rows] = (others > own[:, None]).sum(axis=1)
        ties = (others == own[:, None]).sum(axis=1)
        first[rows] = found.ids[:, 0]
        margin[rows] = (own - others[:, 0]) * fit.lens.scale
        among[rows] = len(rows)
        for k in range(1, FOILS + 2):
            chances[k - 1, rows] = expected_top_k(better[rows], ties, len(rows) - 1, k=k)
    return MatchRanks(better, first, margin, among, chances.mean(axis=1).tolist())


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
    ranks: MatchRanks | None
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
        match_ranks(material, judged) if system.part == "systems" else None,
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
    known = [trial.ranks.top_k for trial in trials if trial.ranks is not None]
    return np.mean(known, axis=0).round(6).tolist() if known else None


def _rounded(interval: tuple[float, float]) -> list[float]:
    return [round(end, 6) for end in interval]


def _bytes(lens: Lens) -> int:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "lens.npz"
        lens.save(path)
        return path.stat().st_size
