"""What a row measures: the cosine baseline, adaptations, pair classifiers, and an adaptation on the
same lists as those; and the smoothing of curves."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tll_index.engine.evaluation.metrics import (
    FOILS,
    Scores,
    expected_reciprocal_rank,
    expected_top_k,
)
from tll_index.engine.lens.experiment import PairData, evaluate
from tll_index.engine.lens.half_precision import applied
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import TrainingOptions
from tll_index.engine.lens.trainer import Fit, train_lens
from tll_index.engine.lens.training import PairFeatures, pair_loss
from tll_index.engine.search.search import products

from .classifier import PairClassifier
from .protocol import StudyProtocol

WEIGHT = 0.6
"""Of the exponential smoothing: what stays of the past with each epoch (TensorBoard's default)."""


def smoothed(values: Sequence[float], weight: float = WEIGHT) -> list[float]:
    """Exponential moving average without the pull towards 0 at the start:

    s_t = sum_i w^(t-i) x_i / sum_i w^(t-i)
    """
    total = norm = 0.0
    result = []
    for value in values:
        total, norm = weight * total + value, weight * norm + 1
        result.append(total / norm)
    return result


def rounded(values: Sequence[float]) -> list[float]:
    """To the six decimals that are kept."""
    return [round(value, 6) for value in values]


def fitted(
    protocol: StudyProtocol,
    material: PairData,
    options: TrainingOptions,
    rows: NDArray[np.int64],
    name: str = "adaptation",
) -> tuple[Fit, float]:
    """A lens learned from those `rows` of the pairs, and the seconds that it took, features
    aside."""
    _, validation = protocol.split
    projections = protocol.projections
    started, saved = time.perf_counter(), projections.saved
    fit = train_lens(
        material.features.rows(rows),
        material.backbone.spec,
        possible(options, len(rows), material.backbone.spec.dimension),
        validation=material.features.rows(validation),
        progress=protocol.progress,
        name=name,
        project=projections,
    )
    if fit.stopped:
        raise KeyboardInterrupt
    return fit, time.perf_counter() - started + projections.saved - saved


def possible(options: TrainingOptions, pairs: int, features: int) -> TrainingOptions:
    """The same options, but that PCA keeps no more values than so many pairs have pictures, or a
    backbone has features: of use for quick looks at few pairs, and for small networks."""
    most = min(2 * pairs, features)
    if options.pca <= most:
        return options
    outputs = min(options.outputs, most) if options.start == "cca" else options.outputs
    return replace(options, pca=most, outputs=outputs)


def measure_adaptation(
    protocol: StudyProtocol, backbone: str, options: TrainingOptions
) -> dict[str, Any]:
    """Figures of an adaptation; JSON values only.

    Raises:
        DataError, WeightsError, UsageError
    """
    material = protocol.material(backbone, options)
    fit, seconds = fitted(protocol, material, options, protocol.split[0])
    figures = _judged(protocol, material, fit.lens, options)
    if fit.validation_losses:
        figures["validation_loss"] = fit.validation_losses[-1]
        figures["validation_loss_smoothed"] = smoothed(fit.validation_losses)[-1]
    figures["seconds"] = round(seconds, 2)
    figures["curves"] = {
        "loss": rounded(fit.losses),
        "validation_loss": rounded(fit.validation_losses),
        "top2": rounded(fit.top2),
    }
    return figures


def measure_cosine(
    protocol: StudyProtocol, backbone: str, options: TrainingOptions
) -> dict[str, Any]:
    """Figures of the plain cosine of features; JSON values only.

    Raises:
        DataError, WeightsError
    """
    material = protocol.material(backbone, options)
    return _judged(protocol, material, Lens.plain(material.backbone.spec), options)


def _judged(
    protocol: StudyProtocol, material: PairData, lens: Lens, options: TrainingOptions
) -> dict[str, Any]:
    """What the validation pairs say of a lens: exact expectation over all draws of foils."""
    validation = material.rows(protocol.split[1])
    scores = evaluate(validation, lens)
    return {
        **scores.as_dict(),
        "each_pair": rounded(scores.per_pair["top2"].tolist()),
        "validation_loss": _loss(lens, validation.features, options),
        "features": material.backbone.spec.dimension,
        "dimension": lens.dimension,
    }


def _loss(lens: Lens, pairs: PairFeatures, options: TrainingOptions) -> float:
    left, right = (
        torch.from_numpy(applied(lens.transform, side)) for side in (pairs.left, pairs.right)
    )
    return pair_loss(left, right, options).item()


def lists_of(
    among: NDArray[np.int64], foils: int, random: np.random.Generator
) -> NDArray[np.int64]:
    """(n, 1 + foils): for each of `among` (n,) itself, then so many others of them, drawn without
    replacement; fewer where there are fewer."""
    foils = min(foils, len(among) - 1)
    rows = [[row, *random.permutation(among[among != row])[:foils]] for row in among]
    return np.array(rows, np.int64)


def training_lists(protocol: StudyProtocol) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Lists of 1 + 19 for the pairs that train a classifier, and for those that choose its best
    epoch; fewer foils are the first columns, so both balances see the same positives."""
    options = protocol.classifier
    random = np.random.default_rng(protocol.seed)
    rows = random.permutation(protocol.split[0])[: options.pairs or None]
    kept_back = max(2, round(options.development * len(rows)))
    return tuple(  # type: ignore[return-value]
        lists_of(np.sort(part), FOILS, random) for part in (rows[kept_back:], rows[:kept_back])
    )


def validation_lists(protocol: StudyProtocol) -> NDArray[np.int64]:
    """(n, 20): what each validation pair is offered, its match first."""
    return lists_of(protocol.split[1], FOILS, np.random.default_rng(protocol.seed))


def measure_classifier(protocol: StudyProtocol, backbone: str, foils: int) -> dict[str, Any]:
    """Train a pair classifier with so many negatives to each positive, and score the validation
    pairs; JSON values only.

    Raises:
        DataError, WeightsError, UsageError
    """
    joined = protocol.joined(backbone)
    progress = protocol.progress
    started = time.perf_counter()
    train, development = training_lists(protocol)

    def taught(lists: NDArray[np.int64]) -> tuple[NDArray[np.float16], NDArray[np.float32]]:
        maps = joined.maps(lists, progress)
        columns = min(1 + foils, lists.shape[1])
        chosen = np.arange(len(maps)).reshape(lists.shape)[:, :columns].ravel()
        labels = np.zeros((len(lists), columns), np.float32)
        labels[:, 0] = 1
        return maps[chosen] if columns < lists.shape[1] else maps, labels.ravel()

    classifier = PairClassifier(joined.body, protocol.classifier, protocol.seed)
    told = classifier.train(
        *taught(train), taught(development), progress, f"pair classifier 1 : {foils}"
    )
    lists = validation_lists(protocol)
    logits = classifier.logits(joined.maps(lists, progress)).reshape(lists.shape)
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
    protocol: StudyProtocol, backbone: str, options: TrainingOptions
) -> dict[str, Any]:
    """An adaptation that learns from the classifier's training pairs and ranks the same lists.

    Raises:
        DataError, WeightsError, UsageError
    """
    material = protocol.material(backbone, options)
    rows = np.sort(np.concatenate([lists[:, 0] for lists in training_lists(protocol)]))
    fit, seconds = fitted(protocol, material, options, rows)
    lists = validation_lists(protocol)
    queries = applied(fit.lens.encode_query, material.features.left[lists[:, 0]])
    gallery = applied(fit.lens.encode_gallery, material.features.right)
    return {
        **_ranked(products(queries, gallery, lists)),
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
