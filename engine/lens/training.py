"""Training a lens on pairs: in-batch cross-entropy over the matrix of cosines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Features, UnitVectors
from ...core.errors import UsageError
from ...core.extras import require_extra
from ...core.progress import Progress
from ..backbones.registry import BackboneSpec, spec_of
from ..backbones.spec import Layer
from ..evaluation.metrics import expected_top_k, standing
from ..images.decode import Geometry
from ..search.normalize import unit
from ..search.search import products
from .csls import HubnessCorrection
from .face_lesson import FaceScaling
from .half_precision import applied
from .lesson import Lesson, Sides, both
from .options import TrainingOptions
from .projection import Projection, fit_projection
from .pseudo_pairs import Guessed, Offered, guess

if TYPE_CHECKING:
    import torch

CSLS_NEIGHBOURS = 50


@dataclass(frozen=True, eq=False)
class PairFeatures:
    """The features of pairs: row i of left and right are pair i. (n, D) each, any float."""

    left: NDArray[np.floating]
    right: NDArray[np.floating]
    mirrored: tuple[NDArray[np.floating], NDArray[np.floating]] | None = None
    """Left and right once more, of the mirrored pictures."""
    unlabelled: NDArray[np.floating] | None = None
    """(m, D): pictures of no known pair."""
    offered: Offered | None = None
    """Candidates among the unlabelled."""
    backbone: str = ""
    """Registry name of the backbone that the features are of; empty is not known."""

    @property
    def spec(self) -> BackboneSpec:
        """The backbone that the features are of; where it isn't known, a made-up one with as many,
        which all come of one layer.

        Raises:
            UsageError: no features, or not as many as the backbone has.
        """
        width = self.left.shape[1] if self.left.ndim == 2 else 0
        if not width or self.right.shape[1:] != (width,):
            raise UsageError(f"{self.left.shape} and {self.right.shape} are no features of pairs")
        if not self.backbone:
            return _unknown_backbone(width)
        spec = spec_of(self.backbone)
        if width != spec.dimension:
            raise UsageError(f"{spec.name} has {spec.dimension:,} features, not {width:,}")
        return spec

    def __len__(self) -> int:
        return len(self.left)

    def rows(self, which: NDArray[np.int64]) -> PairFeatures:
        """Some of the pairs; all of the unlabelled."""
        mirrored = self.mirrored and (self.mirrored[0][which], self.mirrored[1][which])
        return replace(self, left=self.left[which], right=self.right[which], mirrored=mirrored)


def _unknown_backbone(width: int) -> BackboneSpec:
    return BackboneSpec(
        name="",
        title="",
        provider="",
        architecture="",
        weights_tag="",
        layers=(Layer("features", width),),
        geometry=Geometry(1),
        mean=(0.0, 0.0, 0.0),
        std=(1.0, 1.0, 1.0),
        parameters=0,
        megabytes=0,
        licence="",
        paper="",
    )


@dataclass(frozen=True, eq=False, kw_only=True)
class History:
    """How a training went."""

    losses: list[float] = field(default_factory=list)
    """Mean loss of each epoch."""
    top2: list[float] = field(default_factory=list)
    """Of the validation pairs after each epoch, if there were any, by the whole pictures alone.
    Nothing is chosen by it."""
    validation_losses: list[float] = field(default_factory=list)
    """Of the validation pairs after each epoch, all in one batch. Nothing is chosen by it."""
    stopped: bool = False
    """Whether Ctrl-C ended it early; the lens is then that of the epoch with the lowest loss."""


class Trainable(Protocol):
    """What learns here: a `Lens`, which this module knows nothing else of."""

    def transform(self, features: Features) -> UnitVectors:
        """See `Lens.transform`."""

    def encode_query(self, features: Features) -> UnitVectors:
        """See `Lens.encode_query`."""

    def encode_gallery(self, features: Features) -> UnitVectors:
        """See `Lens.encode_gallery`."""

    @property
    def scale(self) -> float:
        """See `Lens.scale`."""

    def with_steps(
        self: _Lens,
        mean: NDArray[np.float32] | None,
        components: NDArray[np.float32] | None,
        adaptation: NDArray[np.float32] | None,
        **rest: Any,
    ) -> _Lens:
        """See `Lens.with_steps`."""

    def with_csls(self: _Lens, csls: HubnessCorrection) -> _Lens:
        """See `Lens.with_csls`."""

    def compact(self: _Lens) -> _Lens:
        """See `Lens.compact`."""


_Lens = TypeVar("_Lens", bound=Trainable)


def require_libraries() -> None:
    """Refuse to train where what trains isn't installed; imports nothing.

    Raises:
        TllError: says how to install it.
    """
    require_extra("train", "training")


def learn(
    plain: _Lens,
    pairs: PairFeatures,
    spec: BackboneSpec,
    options: TrainingOptions,
    *,
    validation: PairFeatures | None = None,
    progress: Progress | None = None,
    name: str = "training",
    project: Callable[..., Projection] = fit_projection,
) -> tuple[_Lens, History]:
    """What becomes of a plain lens that learns from pairs; see `trainer.train_lens`."""
    require_libraries()
    if len(pairs.left) != len(pairs.right):
        raise UsageError(f"{len(pairs.left)} left and {len(pairs.right)} right are not pairs")
    if len(pairs) < 2:
        raise UsageError(f"{len(pairs)} pairs are too few to learn from: at least 2")
    if options.augment != "none" and pairs.mirrored is None:
        raise UsageError(f"augment {options.augment} needs the features of the mirrored pictures")
    seen = _seen(pairs, options)
    unlabelled = [] if pairs.unlabelled is None or not options.unlabelled else [pairs.unlabelled]
    everything = [*(side for pair in seen for side in pair), *unlabelled]
    projection = project([spec.whole(one) for one in everything], spec, options)
    faces = FaceScaling.of(everything, spec)

    def sides(some: list[Sides]) -> list[Sides]:
        return [
            (projection.apply(spec.whole(left)), projection.apply(spec.whole(right)))
            for left, right in some
        ]

    validator = None
    if validation is not None:
        validator = _Validator(*sides([(validation.left, validation.right)])[0], options)

    def learned(some: Lesson, of_faces: Lesson | None, name: str) -> tuple[_Lens, History]:
        compares = of_faces is not None
        looped = _Loop(some, options.of_pictures(compares))
        stopped = looped.run(validator, progress or Progress(), name)
        steps, term = projection.followed_by(looped.adaptation), None
        if of_faces is not None and faces is not None:
            second = _Loop(of_faces, options.of_faces(len(faces.mean)))
            stopped = stopped or second.run(None, progress or Progress(), f"{name}, faces")
            term = faces.term(second.adaptation, options)
        else:
            steps = steps.passing_over(spec.dimension - spec.whole_dimension)
        lens = plain.with_steps(*steps, faces=term, relu=options.relu, grey=options.grey).compact()
        if options.csls:
            bank = lens.transform(pairs.left.astype(np.float32))
            csls = HubnessCorrection(bank, min(CSLS_NEIGHBOURS, len(bank)), options.csls)
            lens = lens.with_csls(csls).compact()
        return lens, looped.history(stopped)

    ones = np.ones(len(pairs), np.float32)
    lesson = Lesson(sides(seen), ones, known=len(pairs))
    of_faces = None if faces is None else faces.lesson(seen, ones, len(pairs))
    lens, history = learned(lesson, of_faces, name)
    if options.candidates and pairs.offered is not None and not history.stopped:
        if (others := pairs.unlabelled) is None:
            raise UsageError("candidates are rows of unlabelled pictures, and there are none")
        guessed = _guessed(pairs.offered, others, lens)
        more = others[guessed.queries], others[guessed.gallery]
        lesson = lesson.with_more(*sides([more])[0], guessed.weights)
        if faces is not None:
            of_faces = faces.lesson([both(one, more) for one in seen], lesson.weights, len(pairs))
        lens, history = learned(lesson, of_faces, f"{name}, with guessed pairs")
    return lens, history


def _guessed(offered: Offered, unlabelled: NDArray[np.floating], lens: Trainable) -> Guessed:
    """What a lens that learned from the pairs makes of candidates among the unlabelled."""
    queries = applied(lens.encode_query, unlabelled[offered.queries])
    rows, columns = np.unique(offered.gallery, return_inverse=True)
    gallery = applied(lens.encode_gallery, unlabelled[rows])
    scores = products(queries, gallery, columns.reshape(offered.gallery.shape)) * lens.scale
    return guess(offered, scores)


def _seen(pairs: PairFeatures, options: TrainingOptions) -> list[Sides]:
    """The versions of the pairs, left and right, that training may see of each."""
    as_they_are = [] if options.augment == "flip" else [(pairs.left, pairs.right)]
    mirrored = pairs.mirrored if options.augment != "none" else None
    return as_they_are if mirrored is None else [*as_they_are, mirrored]


@dataclass
class _Validator:
    """A measure of lenses in the making: loss and top-2 of validation pairs."""

    left: NDArray[np.float32]
    right: NDArray[np.float32]
    """(n, P) each, projected."""
    options: TrainingOptions

    def __call__(self, adaptation: NDArray[np.float32]) -> tuple[float, float]:
        import torch

        left, right = (self._embeddings(side, adaptation) for side in (self.left, self.right))
        loss = pair_loss(torch.from_numpy(left), torch.from_numpy(right), self.options)
        ranks = standing(left, right)
        return loss.item(), float(expected_top_k(ranks.better, ranks.ties, ranks.others).mean())

    def _embeddings(
        self, side: NDArray[np.float32], adaptation: NDArray[np.float32]
    ) -> UnitVectors:
        values = side @ adaptation.T
        return unit(np.maximum(values, 0) if self.options.relu else values)


class _Loop:
    """AdamW over the adaptation alone; everything before it is fixed."""

    def __init__(self, lesson: Lesson, options: TrainingOptions) -> None:
        import torch

        self.options = options
        self.sides = [(torch.from_numpy(a), torch.from_numpy(b)) for a, b in lesson.sides]
        self.counts = torch.from_numpy(lesson.weights)
        """How much each pair does."""
        self.random = torch.Generator().manual_seed(options.seed)
        self.weights = torch.from_numpy(lesson.start(options).copy()).requires_grad_()
        self.optimizer = torch.optim.AdamW(
            [self.weights], lr=options.lr, weight_decay=options.weight_decay
        )
        self.adaptation = self._matrix()
        """(outputs, P): of the end, or of the best epoch if stopped."""
        self.losses: list[float] = []
        self.top2: list[float] = []
        self.validation_losses: list[float] = []

    def run(self, validator: _Validator | None, progress: Progress, name: str) -> bool:
        """Train; True if Ctrl-C cut it short."""
        epochs = 0 if self.options.adaptation == "identity" else self.options.epochs
        best = self.adaptation
        progress.start(name, epochs, "epochs")
        try:
            for epoch in range(epochs):
                # Of the weights before the epoch, near enough: the loss of a full batch is exactly.
                loss = self._epoch(0.5 * (1 + np.cos(np.pi * epoch / epochs)))
                before, self.adaptation = self.adaptation, self._matrix()
                if not self.losses or loss < min(self.losses):
                    best = before if self._is_full else self.adaptation
                self.losses.append(loss)
                figures = {"loss": loss}
                if validator is not None:
                    validation_loss, top2 = validator(self.adaptation)
                    self.validation_losses.append(validation_loss)
                    self.top2.append(top2)
                    figures |= {"val_loss": validation_loss, "top2": top2}
                progress.advance(1, **figures)
        except KeyboardInterrupt:
            self.adaptation = best
            return True
        return False

    def history(self, stopped: bool) -> History:
        """How it went."""
        return History(
            losses=self.losses,
            top2=self.top2,
            validation_losses=self.validation_losses,
            stopped=stopped,
        )

    def _matrix(self) -> NDArray[np.float32]:
        """The adaptation as it is now: (outputs, P)."""
        weights = self.weights.detach().numpy()
        return weights.copy() if weights.ndim == 2 else np.diag(weights)

    @property
    def _is_full(self) -> bool:
        return self.options.batch in (0, len(self.sides[0][0]))

    def _epoch(self, share: float) -> float:
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = self.options.lr * share
        count = len(self.sides[0][0])
        size = min(self.options.batch or count, count)
        order = torch.arange(count)
        if size < count:
            order = torch.randperm(count, generator=self.random)
        losses = []
        for start in range(0, count - size + 1, size):  # a rest has too few foils: next epoch
            loss = self._loss(order[start : start + size])
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            losses.append(loss.item())
        return float(np.mean(losses))

    def _loss(self, pairs: torch.Tensor) -> torch.Tensor:
        sides = self._outputs(0, pairs), self._outputs(1, pairs)
        return pair_loss(*sides, self.options, self.counts[pairs])

    def _outputs(self, side: int, pairs: torch.Tensor) -> torch.Tensor:
        """(n, outputs) of length 1."""
        import torch

        values = self.sides[0][side][pairs]
        if len(self.sides) > 1:
            flip = torch.rand(len(pairs), 1, generator=self.random) < 0.5
            values = torch.where(flip, self.sides[1][side][pairs], values)
        if drop := self.options.dropout:
            keep = torch.rand(values.shape, generator=self.random) >= drop
            values = values * keep / (1 - drop)
        is_diagonal = self.weights.ndim == 1
        outputs = values * self.weights if is_diagonal else values @ self.weights.T
        if self.options.relu:
            outputs = outputs.relu()
        return torch.nn.functional.normalize(outputs, dim=1)


def pair_loss(
    left: torch.Tensor,
    right: torch.Tensor,
    options: TrainingOptions,
    weights: torch.Tensor | None = None,
) -> torch.Tensor:
    """The loss of pairs of unit vectors (n, d), each the others' foils; natural logarithm. It is
    the mean over pairs, each counting as much as its weight (n,)."""
    import torch
    from torch.nn.functional import cross_entropy

    scores = options.temperature * left @ right.T
    true = torch.arange(len(scores))
    losses = cross_entropy(scores, true, reduction="none")
    if options.direction == "both":
        losses = (losses + cross_entropy(scores.T, true, reduction="none")) / 2
    return losses.mean() if weights is None else losses @ weights / weights.sum()
