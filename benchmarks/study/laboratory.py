"""What all runs of a study share: pairs, split, settings, features that are loaded once."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tll_index.core.config import Settings
from tll_index.core.progress import Progress
from tll_index.engine.backbones.registry import spec_of
from tll_index.engine.backbones.runtime import torch_device
from tll_index.engine.backbones.weights import find, how_to_get, locate
from tll_index.engine.evaluation.metrics import folds
from tll_index.engine.evaluation.tll import Pairs, read_pairs
from tll_index.engine.lens.experiment import PairData, load_pairs
from tll_index.engine.lens.options import TrainingOptions

from ..tll.trials import Projections
from .bodies import body_of
from .classifier import ClassifierOptions
from .joined import JoinedPairs

PARTS = 4
"""One of so many parts of the pairs is for validation: 75 to 25, as in the paper."""


@dataclass
class Laboratory:
    """One study's pairs and how it runs."""

    data: Path
    settings: Settings
    progress: Progress
    seed: int = 0
    pair_limit: int = 0
    """So many pairs, drawn at random; 0 is all."""
    epochs: int | None = None
    """Of adaptations; None is what each row says."""
    classifier: ClassifierOptions = field(default_factory=ClassifierOptions)

    def __post_init__(self) -> None:
        self.projections = Projections()
        self._materials: dict[tuple[object, ...], PairData] = {}
        self._joined: dict[str, JoinedPairs] = {}
        self._digests: dict[str, str] = {}

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs of the study."""
        pairs = read_pairs(self.data)
        if 0 < self.pair_limit < len(pairs):
            order = np.random.default_rng(self.seed).permutation(len(pairs))
            pairs = pairs.rows(np.sort(order[: self.pair_limit]))
        return pairs

    @cached_property
    def split(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Which pairs are for training, and which for validation."""
        validation = folds(len(self.pairs), PARTS, self.seed)[0]
        return np.setdiff1d(np.arange(len(self.pairs)), validation), validation

    @cached_property
    def data_digest(self) -> str:
        """Of the pairs' pictures."""
        return self.pairs.digest()

    def options(self, options: TrainingOptions) -> TrainingOptions:
        """A row's options with this study's seed and epochs."""
        epochs = options.epochs if self.epochs is None else self.epochs
        return replace(options, seed=self.seed, epochs=epochs)

    def missing(self, backbone: str) -> str | None:
        """How to get the weights of a backbone; None if they are here."""
        spec = spec_of(backbone)
        return None if find(spec, self.settings.weights_dir) else how_to_get(spec)

    def identity(self, backbone: str) -> dict[str, Any]:
        """All that decides a measurement besides the row itself; JSON values only.

        Raises:
            WeightsError: the weights are missing or not what they should be.
        """
        spec = spec_of(backbone)
        if backbone not in self._digests:
            self._digests[backbone] = locate(spec, self.settings.weights_dir).sha256
        return {
            "data": self.data_digest,
            "parts": PARTS,
            "seed": self.seed,
            "backbone": spec.recipe(),
            "weights": self._digests[backbone],
            "device": self.settings.device,
        }

    def material(self, backbone: str, options: TrainingOptions) -> PairData:
        """The pairs' features as `options` want them. The last ones stay in memory: rows come in
        an order that asks for the same again.

        Raises:
            DataError, WeightsError
        """
        more = options.candidates, bool(options.unlabelled and options.pca)
        key = backbone, options.grey, options.augment != "none", *more
        if key not in self._materials:
            loaded = load_pairs(
                self.pairs,
                backbone,
                options=options,
                settings=self.settings,
                progress=self.progress,
            )
            self._materials = {key: loaded}
        return self._materials[key]

    def joined(self, backbone: str) -> JoinedPairs:
        """The pairs set side by side, for the body of a backbone; both balances of a pair
        classifier look at the same ones.

        Raises:
            UsageError: it can't be cut into stages.
            WeightsError
        """
        if backbone not in self._joined:
            spec = spec_of(backbone)
            body = body_of(backbone, locate(spec, self.settings.weights_dir))
            device = torch_device(self.settings.device)
            for part in (body.frozen, *body.stages):
                part.to(device)
            self._joined[backbone] = JoinedPairs(self.pairs, spec, body, self.settings)
        return self._joined[backbone]
