"""Rows of Table I: pair classifiers trained and scored, and an adaptation on the same lists."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tll_index.engine.evaluation.metrics import (
    FOILS,
    Scores,
    expected_reciprocal_rank,
    expected_top_k,
)
from tll_index.engine.lens.half_precision import applied
from tll_index.engine.lens.options import TrainingOptions
from tll_index.engine.search.search import products

from .adaptation import fitted
from .classifier import PairClassifier
from .curves import rounded
from .laboratory import Laboratory


def lists_of(
    among: NDArray[np.int64], foils: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """(n, 1 + foils): for each of `among` (n,) itself, then so many others of them, drawn without
    replacement; fewer where there are fewer."""
    foils = min(foils, len(among) - 1)
    rows = [[row, *random.permutation(among[among != row])[:foils]] for row in among]
    return np.array(rows, np.int64)


def training_lists(laboratory: Laboratory) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lists of 1 + 19 for the pairs that train a classifier, and for those that choose its best
    epoch; fewer foils are the first columns, so both balances see the same positives."""
    options = laboratory.classifier
    random = np.random.default_rng(laboratory.seed)
    rows = random.permutation(laboratory.split[0])[: options.pairs or None]
    kept_back = max(2, round(options.development * len(rows)))
    return tuple(  # type: ignore[return-value]
        lists_of(np.sort(part), FOILS, random) for part in (rows[kept_back:], rows[:kept_back])
    )


def validation_lists(laboratory: Laboratory) -> NDArray[np.int64]:
    """(n, 20): what each validation pair is offered, its match first."""
    return lists_of(laboratory.split[1], FOILS, np.random.default_rng(laboratory.seed))


def measure_classifier(laboratory: Laboratory, backbone: str, foils: int) -> dict[str, Any]:
    """Train a pair classifier with so many negatives to each positive, and score the validation
    pairs; JSON values only.

    Raises:
        DataError, WeightsError, UsageError
    """
    joined = laboratory.joined(backbone)
    progress = laboratory.progress
    started = time.perf_counter()
    train, development = training_lists(laboratory)

    def taught(lists: NDArray[np.int64]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
        maps = joined.maps(lists, progress)
        columns = min(1 + foils, lists.shape[1])
        chosen = np.arange(len(maps)).reshape(lists.shape)[:, :columns].ravel()
        labels = np.zeros((len(lists), columns), np.float32)
        labels[:, 0] = 1
        return maps[chosen] if columns < lists.shape[1] else maps, labels.ravel()

    classifier = PairClassifier(joined.body, laboratory.classifier, laboratory.seed)
    told = classifier.train(
        *taught(train), taught(development), progress, f"pair classifier 1 : {foils}"
    )
    asked = validation_lists(laboratory)
    logits = classifier.logits(joined.maps(asked, progress)).reshape(asked.shape)
    return {
        **_ranked(logits),
        **_told_apart(logits),
        "training_pairs": len(train) + len(development),
        "best_epoch": told.best_epoch,
        "epochs": len(told.losses),
        "seconds": round(time.perf_counter() - started, 2),
        "curves": {
            "loss": rounded(told.losses),
            "development_loss": rounded(told.development_losses),
        },
    }


def measure_on_lists(
    laboratory: Laboratory, backbone: str, options: TrainingOptions
) -> dict[str, Any]:
    """An adaptation that learns from the classifier's training pairs and ranks the same lists.

    Raises:
        DataError, WeightsError, UsageError
    """
    material = laboratory.material(backbone, options)
    rows = np.sort(np.concatenate([lists[:, 0] for lists in training_lists(laboratory)]))
    fit, seconds = fitted(laboratory, material, options, rows)
    asked = validation_lists(laboratory)
    queries = applied(fit.lens.encode_query, material.features.left[asked[:, 0]])
    gallery = applied(fit.lens.encode_gallery, material.features.right)
    return {
        **_ranked(products(queries, gallery, asked)),
        "training_pairs": len(rows),
        "seconds": round(seconds, 2),
    }


def _ranked(scores: NDArray[np.floating]) -> dict[str, Any]:
    """Where the matches stand in their lists: (n, c) scores, the match in column 0."""
    own, others = scores[:, :1], scores[:, 1:]
    better, ties = (others > own).sum(axis=1), (others == own).sum(axis=1)
    counts = better, ties, others.shape[1], others.shape[1]
    figures = {f"top{k}": expected_top_k(*counts, k) for k in (1, 2, 5)}
    figures["mrr"] = expected_reciprocal_rank(*counts)
    ranked = Scores.of(figures).as_dict()
    kept = {name: value for name, value in ranked.items() if value is not None}
    return {**kept, "each_pair": rounded(figures["top2"].tolist())}


def _told_apart(logits: NDArray[np.float32]) -> dict[str, float]:
    """How well pairs are told from foils by the sign of a logit: (n, c), the match first.

    `accuracy` weighs the two alike, as if there were as many of each; `accuracy_as_offered` counts
    each candidate once.
    """
    recall = float((logits[:, 0] > 0).mean())
    specificity = float((logits[:, 1:] <= 0).mean())
    foils = logits.shape[1] - 1
    return {
        "recall": round(recall, 6),
        "specificity": round(specificity, 6),
        "accuracy": round((recall + specificity) / 2, 6),
        "accuracy_as_offered": round((recall + foils * specificity) / (1 + foils), 6),
    }
