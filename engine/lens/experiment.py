"""From a folder of pairs to a lens and its scores: what `train`, `eval` and `submit` do.

    data = load_pairs("pairs")
    lens = fit_lens(data).lens
    print(cross_validate(data).scores.top2)
    print(evaluate(others, lens).top2)

Features of one's own, from any network, do as well: `PairFeatures(left, right)`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.config import Settings, load_settings
from ...core.errors import DataError, LensError
from ...core.names import shown
from ...core.paths import named
from ...core.progress import Progress
from ...core.version import __version__
from ..backbones.backbone import Backbone, load_backbone
from ..backbones.feature_cache import gather
from ..backbones.registry import DEFAULT, BackboneSpec
from ..evaluation.metrics import Scores, evaluate_candidates, evaluate_pairs, folds
from ..evaluation.tll import CandidateLists, Located, Pairs, read_candidates, read_pairs
from ..search.search import products
from .embedder import Embedder
from .half_precision import applied
from .lens import Lens
from .options import TrainingOptions
from .pseudo_pairs import Offered
from .trainer import Fit, train_lens
from .training import PairFeatures, require_libraries

_OURS = TrainingOptions()


@dataclass(frozen=True, eq=False)
class PairData:
    """Pairs of pictures and their features: all that training and scoring need. Made by
    `load_pairs`."""

    pairs: Pairs
    backbone: Backbone
    features: PairFeatures

    def __len__(self) -> int:
        return len(self.features)

    def rows(self, which: NDArray[np.int64]) -> PairData:
        """Some of the pairs; all of the unlabelled."""
        return replace(self, pairs=self.pairs.rows(which), features=self.features.rows(which))


def load_pairs(
    folder: Pairs | str | os.PathLike[str],
    backbone: str | Backbone = DEFAULT,
    *,
    options: TrainingOptions | None = _OURS,
    lens: Lens | None = None,
    weights: Path | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> PairData:
    """Read the pairs in a folder and extract their features, or find them in the cache.

    Args:
        folder: laid out as on Kaggle (`train.csv`, `train/left`, `train/right`; pictures of no pair
            in `test/left`, `test/right`), or with `left` and `right`, where pictures of equal name
            are a pair. Pairs that are read already do as well.
        backbone: its registry name, see `tll-index backbones`; or one that is loaded.
        options: what will be trained: it decides whether mirrored, grey and unlabelled pictures
            and candidates are wanted. None is no training.
        lens: what will be scored without training: it decides whether grey pictures are wanted,
            and is refused before any picture is read if it does not fit the backbone.

    Raises:
        DataError, UsageError, WeightsError, LensError
        TllError: what trains isn't installed, and `options` say that it will be needed.
    """
    if options is not None:
        require_libraries()
    settings = settings or load_settings()
    pairs = folder if isinstance(folder, Pairs) else read_pairs(folder)
    loaded = (
        backbone
        if isinstance(backbone, Backbone)
        else load_backbone(backbone, weights=weights, settings=settings)
    )
    if lens is not None:
        Embedder(loaded, lens)  # refuses one that does not fit
    grey = any(one is not None and one.grey for one in (options, lens))

    def seen(paths: Sequence[Path], mirrored: bool = False) -> NDArray[np.float16]:
        return gather(
            loaded, paths, mirrored=mirrored, grey=grey, settings=settings, progress=progress
        )

    mirrored = unlabelled = None
    left, right = seen(pairs.left), seen(pairs.right)
    if options is not None and options.augment != "none":
        mirrored = seen(pairs.left, True), seen(pairs.right, True)
    offered = None if options is None or not options.candidates else _offered(pairs)
    wants_more = options is not None and options.unlabelled and options.pca
    if pairs.unlabelled and (wants_more or offered is not None):
        unlabelled = seen(pairs.unlabelled)
    features = PairFeatures(left, right, mirrored, unlabelled, offered, loaded.spec.name)
    return PairData(pairs, loaded, features)


def _offered(pairs: Pairs) -> Offered | None:
    """The candidates of the test split, where there are any, as rows of its pictures."""
    file = pairs.root / "test_candidates.csv"
    if not pairs.unlabelled or not os.path.isfile(file):
        return None
    located = read_candidates(file).located(pairs.root / "test")
    row = {path: number for number, path in enumerate(pairs.unlabelled)}
    right = np.array([row[path] for path in located.right])
    return Offered(np.array([row[path] for path in located.left]), right[located.offered])


def fit_lens(
    data: PairData | PairFeatures,
    options: TrainingOptions | None = None,
    *,
    progress: Progress | None = None,
) -> Fit:
    """Learn a lens from all pairs; its provenance says where it comes from.

    The same pairs, options and machine give the same lens. Ctrl-C does not raise: it ends the
    training early, and `Fit.stopped` says so.

    Args:
        data: of `load_pairs`, or features of any network.
        options: how it is to learn; default: our recipe. `options_of("paper")` is the other.

    Raises:
        UsageError: options that don't fit the data.
    """
    options = options or TrainingOptions()
    features, spec = _features_and_spec(data)
    fit = train_lens(features, spec, options, progress=progress, name="all pairs")
    provenance: dict[str, Any] = {
        "made_with": f"tll-index {__version__}",
        "options": options.recorded(),
        "pairs": len(features),
        "unlabelled": 0 if features.unlabelled is None else len(features.unlabelled),
        "candidates": 0 if features.offered is None else len(features.offered),
        "epochs": len(fit.losses),
        "loss": round(min(fit.losses) if fit.stopped else fit.losses[-1], 6)
        if fit.losses
        else None,
        "cross_validation": None,
    }
    if isinstance(data, PairData):
        provenance["data_sha256"] = data.pairs.digest()
        provenance["weights_sha256"] = data.backbone.weights.sha256
    return replace(fit, lens=replace(fit.lens, provenance=provenance))


def _features_and_spec(data: PairData | PairFeatures) -> tuple[PairFeatures, BackboneSpec]:
    if isinstance(data, PairFeatures):
        return data, data.spec
    return data.features, data.backbone.spec


def _require_fit(lens: Lens, data: PairData | PairFeatures) -> None:
    """
    Raises:
        LensError: it is not for these features.
    """
    if isinstance(data, PairData):
        lens.check(data.backbone.spec, data.backbone.weights.sha256)
    elif lens.backbone and data.backbone:
        lens.check(data.spec)
    elif lens.features not in (0, width := data.spec.dimension):
        raise LensError(f"this lens was trained for {lens.features:,} features, not {width:,}")


def with_score(lens: Lens, scores: Scores, count: int) -> Lens:
    """The lens with its cross-validated score in its provenance."""
    score = {"folds": count, **scores.as_dict()}
    return replace(lens, provenance={**lens.provenance, "cross_validation": score})


def recorded_options(lens: Lens) -> TrainingOptions:
    """The options that a lens was trained with, which its file says.

    Raises:
        LensError: it doesn't, or names what this version does not know.
    """
    recorded = lens.provenance.get("options")
    if not isinstance(recorded, dict):
        raise LensError("this lens does not say with which options it was trained")
    return TrainingOptions.of_record(recorded)


@dataclass(frozen=True, eq=False)
class CrossValidation:
    """The result of a cross-validation: lenses that were each trained without one part of the
    pairs, and scored by that part."""

    scores: Scores
    """Of all pairs, each by the lens that has not seen it."""
    fits: list[Fit]
    rows: list[NDArray[np.int64]]
    """Which pairs each of `fits` was scored by."""


def cross_validate(
    data: PairData | PairFeatures,
    options: TrainingOptions | None = None,
    *,
    count: int = 5,
    seed: int | None = None,
    progress: Progress | None = None,
    fit_one: Callable[..., Fit] = train_lens,
) -> CrossValidation:
    """Train `count` lenses, each on all pairs but those of one fold, and score them by these.

    Foils come from the fold's own right pictures; recall searches the right pictures of all pairs.
    PCA, scaling and hubness correction are fitted within the folds as well. Ctrl-C raises
    `KeyboardInterrupt`.

    Args:
        data: of `load_pairs`, or features of any network.
        options: how they are to learn; default: our recipe.
        count: of the folds.
        seed: of the folds; default: that of the options.
        fit_one: called as `train_lens`, for each fold.

    Raises:
        UsageError: as many folds can't be made.
    """
    options = options or TrainingOptions()
    features, spec = _features_and_spec(data)
    parts = folds(len(features), count, options.seed if seed is None else seed)
    everyone = np.arange(len(features))
    fits, scores = [], []
    for number, held_out in enumerate(parts, start=1):
        fit = fit_one(
            features.rows(np.setdiff1d(everyone, held_out)),
            spec,
            options,
            validation=features.rows(held_out),
            progress=progress,
            name=f"fold {number} of {count}",
        )
        if fit.stopped:
            raise KeyboardInterrupt
        fits.append(fit)
        scores.append(_scores(fit.lens, features, held_out))
    return CrossValidation(Scores.merged(scores, parts), fits, parts)


def evaluate_by_folds(
    data: PairData | PairFeatures, lens: Lens, *, count: int = 5, seed: int = 0
) -> CrossValidation:
    """One lens that has seen none of the pairs, such as a plain one, scored fold by fold as
    `cross_validate` does: so the two can be compared.

    Raises:
        UsageError: as many folds can't be made.
        LensError: it is not for this backbone.
    """
    _require_fit(lens, data)
    features, _ = _features_and_spec(data)
    parts = folds(len(features), count, seed)
    scores = [_scores(lens, features, held_out) for held_out in parts]
    return CrossValidation(Scores.merged(scores, parts), [Fit(lens)] * len(parts), parts)


def evaluate(data: PairData | PairFeatures, lens: Lens) -> Scores:
    """How well a lens finds the matches of all pairs. Of pairs that it has learned from, that says
    nothing: `cross_validate` does.

    Args:
        data: of `load_pairs`, or features of any network.

    Raises:
        LensError: it is not for this backbone.
    """
    _require_fit(lens, data)
    features, _ = _features_and_spec(data)
    return _scores(lens, features, np.arange(len(features)))


def _scores(lens: Lens, features: PairFeatures, rows: NDArray[np.int64]) -> Scores:
    gallery = applied(lens.encode_gallery, features.right)
    others = np.setdiff1d(np.arange(len(gallery)), rows)
    queries = applied(lens.encode_query, features.left[rows])
    more = gallery[others] if len(others) else None
    return evaluate_pairs(queries, gallery[rows], more=more)


def score_candidates(
    data: PairData, file: str | os.PathLike[str], lens_of: Lens | CrossValidation
) -> Scores:
    """How well matches are found in fixed lists of candidates, whose truth the pairs know.

    Args:
        lens_of: one lens for all, or lenses in cross-validation: then each list is ranked by the
            one that has not seen the pair of its left picture.

    Raises:
        DataError: names file and line.
    """
    rows, offered, true = rows_of_candidates(data.pairs, file)
    if isinstance(lens_of, Lens):
        groups = [(lens_of, np.arange(len(rows)))]
    else:
        groups = [
            (fit.lens, np.flatnonzero(np.isin(rows, held_out)))
            for fit, held_out in zip(lens_of.fits, lens_of.rows, strict=True)
        ]
    parts, rows_of = [], []
    for lens, some in groups:
        if len(some):
            gallery = applied(lens.encode_gallery, data.features.right)
            queries = applied(lens.encode_query, data.features.left[rows[some]])
            parts.append(evaluate_candidates(queries, gallery[offered[some]], true[some]))
            rows_of.append(some)
    return Scores.merged(parts, rows_of)


def rows_of_candidates(
    pairs: Pairs, file: str | os.PathLike[str]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Lists of candidates as numbers of pairs.

    Returns:
        (n,) whose left picture each list is for; (n, c) whose right pictures it offers; (n,) which
        of these c is the match.

    Raises:
        DataError: names file and line.
    """
    candidates = read_candidates(file)
    true = candidates.true_matches(pairs)
    located = candidates.located(pairs.folder)
    row_of = {path: row for row, path in enumerate(pairs.left)}
    right_of = {path: row for row, path in enumerate(pairs.right)}
    if unknown := [path for path in located.right if path not in right_of]:
        raise DataError(
            f"{shown(candidates.file)}: {shown(unknown[0])} is the right picture of no pair"
        )
    offered = np.array([right_of[path] for path in located.right])[located.offered]
    return np.array([row_of[path] for path in located.left]), offered, true


def rate_candidates(
    data: str | os.PathLike[str],
    embedder: Embedder,
    *,
    file: str | os.PathLike[str] | None = None,
    settings: Settings | None = None,
    progress: Progress | None = None,
) -> tuple[CandidateLists, NDArray[np.float32]]:
    """Score every candidate of the unlabelled test split, as Kaggle wants them.

    Args:
        data: a folder in Kaggle's layout.
        file: the candidates; default: its `test_candidates.csv`.

    Returns:
        The candidates, and (n, c) scores: of row i's candidate j.

    Raises:
        DataError: no candidates, or a picture of theirs is missing.
    """
    folder = named(data)
    candidates = read_candidates(file or folder / "test_candidates.csv")
    located: Located = candidates.located(folder / "test")
    lens, backbone = embedder.lens, embedder.backbone
    left, right = (
        gather(backbone, paths, grey=lens.grey, settings=settings, progress=progress)
        for paths in (located.left, located.right)
    )
    queries, gallery = applied(lens.encode_query, left), applied(lens.encode_gallery, right)
    scores = products(queries, gallery, located.offered) * np.float32(lens.scale)
    return candidates, scores
