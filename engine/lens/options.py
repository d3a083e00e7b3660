"""What can be chosen about training a lens, and the two sets of choices that have a name."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal

from ...core.errors import LensError, UsageError

_RECORDED = {"csls": "hubs"}
"""What lens files and the command line call some of the choices, since their first versions."""


_SINCE_FACES = ("face_outputs", "face_shrinkage", "face_power", "face_weight", "face_cost")
"""Choices that the files of earlier lenses don't have; to those they made no difference."""


def said_of(name: str) -> str:
    """What the command line calls a choice, without the dashes before it."""
    return _RECORDED.get(name, name).replace("_", "-")


@dataclass(frozen=True)
class TrainingOptions:
    """The choices of a training; the defaults are our recipe, see docs/lens.md for its numbers."""

    scaling: Literal["value", "layer", "none"] = "value"
    """Before PCA: every value to the same variance, every pooled layer, or as they are."""
    pca: int = 384
    """Dimensions that PCA keeps; 0 leaves it out."""
    unlabelled: bool = True
    """Whether PCA also learns from pictures of no pair, where the data has some."""
    candidates: bool = True
    """Whether matches are guessed among candidates that the data offers without saying which is
    right, and learned from as well, each as much as it is likely."""
    start: Literal["cca", "random"] = "cca"
    """What the adaptation starts from: canonical directions of the pairs, or chance."""
    shrinkage: float = 0.35
    """cca: how much of the covariance is replaced by a multiple of the identity, 0 to 1. Less where
    there are guessed pairs: it falls with the root of how many pairs there are."""
    power: float = 2.0
    """cca: directions are scaled by the correlation of the pairs along them to half this power."""
    adaptation: Literal["linear", "diagonal", "identity"] = "linear"
    """linear: a matrix; diagonal: a weight for each of PCA's values (Peterson et al. 2018, arXiv
    1608.02164), from 1; identity: none, so nothing is learned from pairs but the hubness
    correction. start, shrinkage, power and outputs are about the matrix only."""
    outputs: int = 126
    """Dimensions of embeddings; linear only, the others keep PCA's. Of a backbone that finds faces,
    `face_outputs` of them are a face's, and two say whether there is one."""
    face_outputs: int = 30
    """Dimensions of the adaptation of faces, which starts from canonical directions as well."""
    face_shrinkage: float = 0.5
    """`shrinkage`, of faces."""
    face_power: float = 1.0
    """`power`, of faces."""
    face_weight: float = 0.8
    """What the cosine of two faces counts beside that of the pictures."""
    face_cost: float = 0.23
    """What two pictures with faces lose before: the rest of them has told as much already."""
    relu: bool = False
    temperature: float = 7.0
    """Cosines are multiplied by it before the softmax."""
    direction: Literal["left-to-right", "both"] = "left-to-right"
    """Left pictures choose among right ones, or also right ones among left ones."""
    augment: Literal["none", "mirror", "flip"] = "none"
    """mirror: each picture is mirrored in half of the epochs, by chance; flip: all are, always, as
    torchvision's RandomHorizontalFlip(p=1) does."""
    grey: bool = False
    """Pictures are seen without their colour, in training and in use."""
    batch: int = 0
    """Pairs a step, each the others' foils; 0 is all."""
    epochs: int = 20
    lr: float = 1e-4
    """Learning rate of AdamW at the start; it falls along half a cosine to 0."""
    weight_decay: float = 0.01
    dropout: float = 0.0
    """Share of PCA's values that are set to 0 in training."""
    csls: float = 0.5
    """Weight of the hubness correction; 0 is none."""
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low, high in (
            ("pca", 0, math.inf),
            ("shrinkage", 0, 1),
            ("power", 0, 10),
            ("outputs", 1, 1 << 16),
            ("face_outputs", 1, 1 << 16),
            ("face_shrinkage", 0, 1),
            ("face_power", 0, 10),
            ("face_weight", 1e-3, 1e3),
            ("face_cost", 1e-3, 1e3),
            ("temperature", 1e-3, 1e4),
            ("batch", 0, math.inf),
            ("epochs", 0, 1e6),
            ("lr", 0, 10),
            ("weight_decay", 0, 10),
            ("dropout", 0, 0.99),
            ("csls", 0, 10),
            ("seed", 0, (1 << 32) - 1),
        ):
            if not low <= (value := getattr(self, name)) <= high:
                raise UsageError(f"{said_of(name)} is {value}; it must be {low} to {high}")
        if self.batch == 1:
            raise UsageError("a batch of 1 has no foils; take 0 for all pairs, or at least 2")
        if self.adaptation == "linear" and self.start == "cca":
            if not self.pca:
                raise UsageError("start cca needs PCA: take --pca 384, or --start random")
            if self.outputs > self.pca:
                raise UsageError(f"start cca gives at most as many outputs as PCA ({self.pca})")
        if self.adaptation != "linear" and not self.pca:
            raise UsageError(f"a {self.adaptation} adaptation needs PCA, or linear in its place")

    def changed(self, **chosen: Any) -> TrainingOptions:
        """The same with some choices made otherwise; None keeps what is.

        Raises:
            UsageError: no such choice, or a value that can't be.
        """
        if unknown := chosen.keys() - {field.name for field in fields(TrainingOptions)}:
            raise UsageError(f"no training options {sorted(unknown)}")
        return replace(self, **{name: value for name, value in chosen.items() if value is not None})

    def of_pictures(self, compares_faces: bool) -> TrainingOptions:
        """Those of whole pictures, whose embeddings leave room for those of faces.

        Raises:
            UsageError: there is no room left.
        """
        if not compares_faces or self.adaptation != "linear":
            return self
        if (outputs := self.outputs - self.face_outputs - 2) < 1:
            raise UsageError(
                f"{self.outputs} outputs leave nothing beside {self.face_outputs} of faces; take "
                "more, or --faces off"
            )
        return replace(self, outputs=outputs)

    def of_faces(self, values: int) -> TrainingOptions:
        """Those of a face's `values` features."""
        return replace(
            self,
            adaptation="linear",
            start="cca",
            pca=values,
            outputs=min(self.face_outputs, values),
            shrinkage=self.face_shrinkage,
            power=self.face_power,
            relu=False,
        )

    def as_dict(self) -> dict[str, Any]:
        """Every choice by its name; JSON values."""
        return asdict(self)

    def recorded(self) -> dict[str, Any]:
        """The same by the names that lens files have."""
        return {_RECORDED.get(name, name): value for name, value in self.as_dict().items()}

    @classmethod
    def of_record(cls, record: dict[str, Any]) -> TrainingOptions:
        """What `recorded` was of.

        Raises:
            LensError: a choice is missing, unknown, or has a value that can't be.
        """
        names = {_RECORDED.get(field.name, field.name): field.name for field in fields(cls)}
        record = {**{name: getattr(cls, name) for name in _SINCE_FACES}, **record}
        if odd := sorted(names.keys() ^ record.keys()):
            what = "does not say" if odd[0] in names else "was trained with an unknown option:"
            raise LensError(f"this lens {what} {odd[0]}; train it again with this version")
        try:
            return cls(**{names[name]: value for name, value in record.items()})
        except (UsageError, TypeError) as error:
            raise LensError(
                f"this lens says that it was trained with impossible options: {error}"
            ) from None


RECIPES = {
    "ours": TrainingOptions(),
    "paper": TrainingOptions(
        scaling="none",
        pca=256,
        unlabelled=False,
        candidates=False,
        start="random",
        outputs=1024,
        relu=True,
        temperature=15.0,
        batch=256,
        epochs=50,
        lr=1e-3,
        weight_decay=0.0,
        csls=0.0,
    ),
}
"""ours: the defaults. paper: Risser-Maroix et al., ICIP 2021, as far as it says: PCA to 256, a
linear layer to 1,024 and ReLU, temperature 15, Adam, 50 epochs. It is silent about batch and
learning rate: those are guesses."""


def options_of(recipe: str = "ours", **chosen: Any) -> TrainingOptions:
    """A recipe with some choices made otherwise; None keeps the recipe's own.

    Raises:
        UsageError: no such recipe, no such choice, or a value that can't be.
    """
    if recipe not in RECIPES:
        raise UsageError(f"unknown recipe {recipe!r}; choose one of: {', '.join(RECIPES)}")
    return RECIPES[recipe].changed(**chosen)
