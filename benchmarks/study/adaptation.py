"""Rows that learn from features, or not at all: the cosine baseline and all adaptations."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tll_index.engine.lens.experiment import PairData, evaluate
from tll_index.engine.lens.half_precision import applied
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import TrainingOptions
from tll_index.engine.lens.trainer import Fit, train_lens
from tll_index.engine.lens.training import PairFeatures, pair_loss

from .curves import rounded, smoothed
from .laboratory import Laboratory


def fitted(
    laboratory: Laboratory,
    material: PairData,
    options: TrainingOptions,
    rows: NDArray[np.int64],
    name: str = "adaptation",
) -> tuple[Fit, float]:
    """A lens learned from those `rows` of the pairs, and the seconds that it took, features
    aside."""
    _, validation = laboratory.split
    projections = laboratory.projections
    started, saved = time.perf_counter(), projections.saved
    fit = train_lens(
        material.features.rows(rows),
        material.backbone.spec,
        possible(options, len(rows), material.backbone.spec.dimension),
        validation=material.features.rows(validation),
        progress=laboratory.progress,
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
    laboratory: Laboratory, backbone: str, options: TrainingOptions
) -> dict[str, Any]:
    """Figures of an adaptation; JSON values only.

    Raises:
        DataError, WeightsError, UsageError
    """
    material = laboratory.material(backbone, options)
    fit, seconds = fitted(laboratory, material, options, laboratory.split[0])
    figures = _judged(laboratory, material, fit.lens, options)
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
    laboratory: Laboratory, backbone: str, options: TrainingOptions
) -> dict[str, Any]:
    """Figures of the plain cosine of features; JSON values only.

    Raises:
        DataError, WeightsError
    """
    material = laboratory.material(backbone, options)
    return _judged(laboratory, material, Lens.plain(material.backbone.spec), options)


def _judged(
    laboratory: Laboratory, material: PairData, lens: Lens, options: TrainingOptions
) -> dict[str, Any]:
    """What the validation pairs say of a lens: exact expectation over all draws of foils."""
    validation = material.rows(laboratory.split[1])
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
