"""What a lens learns about faces: the pairs that show one on both sides, and the term they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..backbones.spec import BackboneSpec
from .face_term import FaceTerm
from .lesson import Lesson, Sides
from .options import TrainingOptions

LEAST_PAIRS = 20
"""Pairs with two faces from which a face term can be learned: below, no faces are compared."""

_QUIET = 1e-3
"""Of the mean deviation: values that vary less are not blown up further."""


@dataclass(frozen=True, eq=False)
class FaceScaling:
    """A rule for how the features of a training's faces are centred and scaled."""

    spec: BackboneSpec
    mean: NDArray[np.float32]
    """(F,)"""
    scale: NDArray[np.float32]
    """(F,): what centred features are multiplied with."""

    @classmethod
    def of(cls, parts: Sequence[NDArray[np.floating]], spec: BackboneSpec) -> FaceScaling | None:
        """From the features (n, D) of all pictures that training may see; None where they show too
        few faces, or the backbone finds none."""
        if spec.faces is None:
            return None
        values = [spec.face(one).astype(np.float32) for one in parts]
        seen = np.concatenate([one[one[:, -1] > 0, :-1] for one in values])
        if len(seen) < 2 * LEAST_PAIRS:
            return None
        deviation = seen.std(axis=0)
        scale = 1 / (deviation + _QUIET * deviation.mean() + np.float32(1e-9))
        return cls(spec, seen.mean(axis=0), scale)

    def lesson(
        self, versions: Sequence[Sides], weights: NDArray[np.float32], known: int
    ) -> Lesson | None:
        """The pairs that show two faces; None where they are too few.

        Args:
            versions: features (n, D) of the pairs, more than once where they are augmented.
            weights: (n,), how much each pair counts.
            known: so many of them, the first, are no guess.
        """
        values = [
            (self.spec.face(left).astype(np.float32), self.spec.face(right).astype(np.float32))
            for left, right in versions
        ]
        # A pair counts with what all of its versions show.
        presence = np.min([left[:, -1] * right[:, -1] for left, right in values], axis=0)
        rows = np.flatnonzero(presence > 0)
        if (presence[:known] > 0).sum() < LEAST_PAIRS:
            return None
        sides: list[Sides] = [
            (self._scaled(left[rows, :-1]), self._scaled(right[rows, :-1]))
            for left, right in values
        ]
        return Lesson(sides, (weights * presence)[rows], float(presence[:known].sum()))

    def term(self, adaptation: NDArray[np.float32], options: TrainingOptions) -> FaceTerm:
        """What a lens does with a map (b, F) that was learned from `lesson`."""
        return FaceTerm(self.mean, adaptation * self.scale, options.face_weight, options.face_cost)

    def _scaled(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        return (features - self.mean) * self.scale
