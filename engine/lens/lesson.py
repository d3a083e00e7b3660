"""What a training learns from: projected pairs, how much each counts, and where the map begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from .options import TrainingOptions
from .projection import canonical_directions

Sides: TypeAlias = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Left and right pictures of pairs, (n, D) each: row i of both is pair i."""


def both(one: Sides, other: Sides) -> Sides:
    """The pairs of one and of the other."""
    return np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]])


@dataclass(frozen=True, eq=False)
class Lesson:
    """The projected pairs that a training learns from."""

    sides: list[Sides]
    """Left and right, (n, P) each; more than one version of the same pairs where they are
    augmented."""
    weights: NDArray[np.float32]
    """(n,): how much each pair counts."""
    known: float
    """So many pairs, the first, are no guess."""

    def with_more(
        self,
        left: NDArray[np.floating],
        right: NDArray[np.floating],
        weights: NDArray[np.float32],
    ) -> Lesson:
        """These pairs as well, the same in every version."""
        sides = [both(one, (left, right)) for one in self.sides]
        return replace(self, sides=sides, weights=np.concatenate([self.weights, weights]))

    def start(self, options: TrainingOptions) -> NDArray[np.float32]:
        """Where the adaptation begins: (outputs, P); of a diagonal one only that, (P,)."""
        left = self.sides[0][0]
        width = left.shape[1]
        if options.adaptation == "diagonal":
            return np.ones(width, np.float32)
        if options.adaptation == "identity":
            return np.eye(width, dtype=np.float32)
        if options.start == "random":
            bound = width**-0.5  # as torch.nn.Linear
            random = np.random.default_rng(options.seed)
            return random.uniform(-bound, bound, (options.outputs, width)).astype(np.float32)
        matrix = canonical_directions(
            np.concatenate([one for one, _ in self.sides]),
            np.concatenate([other for _, other in self.sides]),
            options.outputs,
            options.shrinkage * float(self.known / self.weights.sum()) ** 0.5,
            options.power,
            np.tile(self.weights, len(self.sides)),
        )
        length = np.linalg.norm(left @ matrix.T, axis=1).mean()
        return matrix / (length if length > 0 else np.float32(1))
