"""What all runs of a study share: pairs, split, settings, features that are loaded once, and pairs
that are set side by side as one input."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tll_index.core.config import Settings
from tll_index.core.contracts import Pixels
from tll_index.core.progress import Progress
from tll_index.engine.backbones.backbone import normalised
from tll_index.engine.backbones.feature_cache import decoded
from tll_index.engine.backbones.registry import BackboneSpec, spec_of
from tll_index.engine.backbones.runtime import pictures_a_pass, torch_device
from tll_index.engine.backbones.weights import find, how_to_get, locate
from tll_index.engine.evaluation.metrics import folds
from tll_index.engine.evaluation.tll import Pairs, read_pairs
from tll_index.engine.images.decode import Geometry, Limits
from tll_index.engine.lens.experiment import PairData, load_pairs
from tll_index.engine.lens.options import TrainingOptions

from ..lens.trials import Projections
from .classifier import Body, ClassifierOptions, body_of

SIDE = 112
"""Of each of the two pictures, in pixels: together half of the 224 x 224 that a backbone sees."""


class JoinedPairs:
    """The pictures of pairs, ready to be set side by side."""

    def __init__(self, pairs: Pairs, spec: BackboneSpec, body: Body, settings: Settings) -> None:
        self.body = body
        self._pairs, self._spec, self._settings = pairs, spec, settings
        self._squares: dict[Path, Pixels] = {}
        self._known: dict[bytes, NDArray[np.float16]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="tll-study-")
        self._device = next(body.frozen.parameters()).device

    def maps(self, lists: NDArray[np.int64], progress: Progress) -> NDArray[np.float16]:
        """What the frozen part gives for the left picture of the first pair of each of `lists`
        (n, c), joined with the right one of every pair in it: (n * c, channels, h, w), row by row.
        The same lists are read from the disk the next time.

        Raises:
            DataError: a picture can't be used.
        """
        key = lists.tobytes()
        if key not in self._known:
            self._known[key] = self._computed(lists, progress)
        return self._known[key]

    def _computed(self, lists: NDArray[np.int64], progress: Progress) -> NDArray[np.float16]:
        self._decode([self._pairs.left[row] for row in lists[:, 0]])
        self._decode([self._pairs.right[row] for row in np.unique(lists)])
        queries, gallery = np.repeat(lists[:, 0], lists.shape[1]), lists.ravel()
        maps: NDArray[np.float16] | None = None
        progress.start("looking at joined pairs", len(queries), "pairs")
        step = pictures_a_pass(self._settings)
        for start in range(0, len(queries), step):
            rows = slice(start, start + step)
            some = self._maps_of(queries[rows], gallery[rows])
            if maps is None:
                path = Path(self._folder.name) / f"{len(self._known)}.npy"
                shape = (len(queries), *some.shape[1:])
                maps = np.lib.format.open_memmap(path, "w+", np.float16, shape)
            maps[rows] = some
            progress.advance(len(some))
        assert maps is not None
        return maps

    def _maps_of(
        self, queries: NDArray[np.int64], gallery: NDArray[np.int64]
    ) -> NDArray[np.float16]:
        joined = np.stack(
            [
                side_by_side(
                    self._squares[self._pairs.left[query]],
                    self._squares[self._pairs.right[candidate]],
                )
                for query, candidate in zip(queries, gallery, strict=True)
            ]
        )
        batch = torch.from_numpy(normalised(joined, self._spec)).to(self._device)
        with torch.inference_mode():
            maps: NDArray[np.float16] = self.body.frozen(batch).half().cpu().numpy()
        return maps

    def _decode(self, paths: list[Path]) -> None:
        missing = [path for path in dict.fromkeys(paths) if path not in self._squares]
        limits, geometry = Limits.of(self._settings), Geometry(SIDE, fit="squash")

        def square(path: Path) -> Pixels:
            return decoded(path, geometry, limits)[0].pixels

        with ThreadPoolExecutor(self._settings.decoders()) as threads:
            self._squares.update(zip(missing, threads.map(square, missing), strict=True))


def side_by_side(left: Pixels, right: Pixels) -> Pixels:
    """Two squares (side, side, 3) as one picture (side, 2 side, 3)."""
    return np.concatenate([left, right], axis=1)


PARTS = 4
"""One of so many parts of the pairs is for validation: 75 to 25, as in the paper."""


@dataclass
class StudyProtocol:
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
