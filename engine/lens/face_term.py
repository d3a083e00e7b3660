"""The face term of a lens: what two faces add to the likeness of two pictures.

Where both pictures show a face, these are compared as well:

    likeness(a, b) = cosine(a, b) + p(a) p(b) (weight * cosine of the faces - cost)

p is 1 with a face and 0 without, or in between where it is not sure. `cost` is what two pictures
lose for having faces at all: the rest of the picture has told as much already. All of it is one
inner product. An embedding holds, side by side and divided by the root of 1 + weight + cost,

    whole     (a,)  the embedding of the whole picture, of length 1
    face      (b,)  that of its face, of length 1, times p and the root of the weight
    presence        p times the root of the cost; of a gallery embedding negative
    filling         what makes the length 1; no part of any likeness
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Features, UnitVectors
from ...core.errors import LensError
from ..search.normalize import unit
from .half_precision import rounded

BESIDE = 2
"""Values of an embedding beside those of whole and face: presence and filling."""

_Values = NDArray[np.floating]


@dataclass(frozen=True, eq=False)
class FaceTerm:
    """A learned rule for how much two faces add to a likeness."""

    mean: NDArray[np.float32]
    """(F,): what is subtracted from the features of a face."""
    adaptation: NDArray[np.float32]
    """(b, F): the learned map of what is left."""
    weight: float
    """Of the faces' cosine, beside the pictures'; above 0."""
    cost: float
    """What two pictures with faces lose; above 0."""

    def __post_init__(self) -> None:
        for name, array, wanted in (
            ("mean", self.mean, (self.values,)),
            ("adaptation", self.adaptation, (self.width, self.values)),
        ):
            if array.dtype != np.float32 or array.shape != wanted or 0 in wanted:
                raise LensError(
                    f"lens: the face's {name} is {array.dtype}{array.shape}, expected float32 "
                    f"{wanted}"
                )
            if not np.isfinite(array).all():
                raise LensError(f"lens: the face's {name} has values that are not finite")
        if not (0 < self.weight < math.inf and 0 < self.cost < math.inf):
            raise LensError(
                f"lens: faces with weight {self.weight} and cost {self.cost} are no face term"
            )

    @property
    def values(self) -> int:
        """F, the number of a face's features; its presence comes after them."""
        return int(self.adaptation.shape[-1])

    @property
    def width(self) -> int:
        """b, the length of a face's embedding."""
        return int(self.adaptation.shape[0])

    @property
    def most(self) -> float:
        """No likeness is above it."""
        return 1 + self.weight

    def rounded(self) -> FaceTerm:
        """The same in numbers that float16 has."""
        mean, adaptation = rounded(self.mean), rounded(self.adaptation, largest=1)
        assert mean is not None and adaptation is not None
        return replace(self, mean=mean, adaptation=adaptation)

    def transform(self, whole: UnitVectors, features: Features) -> UnitVectors:
        """(n, a) embeddings of whole pictures, each of length 1 or 0, and (n, F + 1) features of
        their faces, presence last -> (n, a + b + 2): embeddings of length 1."""
        presence = np.clip(features[:, -1:], 0, 1)
        values: NDArray[np.float32] = features[:, :-1] - self.mean
        face = unit(values @ self.adaptation.T)
        parts = [whole, math.sqrt(self.weight) * presence * face, math.sqrt(self.cost) * presence]
        return self._filled(np.hstack(parts) / self._length)

    def whole(self, embeddings: UnitVectors) -> NDArray[np.float32]:
        """(n, a + b + 2) -> (n, a): those of whole pictures, of length 1."""
        whole: NDArray[np.float32] = embeddings[:, : -self.width - BESIDE] * self._length
        return whole

    def without(self, embeddings: UnitVectors) -> UnitVectors:
        """(n, a + b + 2) -> the same shape: as if no picture showed a face."""
        kept = embeddings[:, :-1].copy()
        kept[:, -self.width - 1 :] = 0
        return self._filled(kept)

    def face_likeness(self, one: UnitVectors, other: UnitVectors) -> NDArray[np.float64]:
        """(n,): what the faces add to the likeness of embeddings, row by row; below 0 where they
        take from it."""
        start = -self.width - BESIDE
        products = one[:, start:-1].astype(np.float64) * other[:, start:-1]
        return (products[:, :-1].sum(axis=1) - products[:, -1]) * self._length**2

    def compared(self, embeddings: UnitVectors) -> NDArray[np.float32]:
        """(n, a + b + 2) -> the same shape: vectors whose inner products with embeddings are their
        likeness."""
        compared = embeddings * self._length**2
        compared[:, -2] *= -1
        compared[:, -1] = 0
        return compared

    def gallery(self, embeddings: UnitVectors, lost: _Values, most: float) -> UnitVectors:
        """(n, a + b + 2) -> (n, a + b + 4): what a store keeps.

        Args:
            lost: (n,), what each picture loses in every result, for hubness; not more than `most`.
        """
        kept = embeddings * self._length
        kept[:, -2] *= -1
        kept[:, -1] = 0
        room = self._length**2 + most**2 - np.square(kept).sum(axis=1) - np.square(lost)
        rest = np.sqrt(np.maximum(room, 0))
        found = np.hstack([kept, -lost[:, None], rest[:, None]])
        return (found / self._gallery_length(most)).astype(np.float32)

    def queries(self, embeddings: UnitVectors, *, plain: bool = False) -> UnitVectors:
        """(n, a + b + 2), as `transform` returns them or sums of such -> (n, a + b + 4): what a
        query searches with, each of length 1. Plain ones pay no heed to what pictures lose."""
        whole = embeddings[:, : -self.width - BESIDE]
        size = np.linalg.norm(whole, axis=1, keepdims=True) * self._length
        scaled = embeddings * (self._length / np.where(size > 0, size, 1))
        # Of a sum, faces may be longer than those of one picture.
        beside = scaled[:, whole.shape[1] : -1]
        longest = math.sqrt(self.weight + self.cost)
        beside *= np.minimum(1, longest / np.maximum(np.linalg.norm(beside, axis=1), 1e-9))[:, None]
        filled = self._filled(scaled[:, :-1] / self._length)
        heed = np.full((len(filled), 1), 0 if plain else 1 / self._length)
        found = np.hstack([filled, heed, np.zeros_like(heed)])
        return (found if plain else found / math.sqrt(1 + self._length**-2)).astype(np.float32)

    def embeddings_of(self, gallery: UnitVectors, most: float) -> UnitVectors:
        """(n, a + b + 4), as `gallery` returns them -> (n, a + b + 2): what they were made from."""
        found = gallery[:, :-2] * (self._gallery_length(most) / self._length)
        found[:, -2] *= -1
        return self._filled(found[:, :-1])

    def scale(self, most: float) -> float:
        """A score is this times the inner product of `queries` and `gallery`."""
        return math.sqrt(self._length**2 + 1) * self._gallery_length(most)

    @property
    def _length(self) -> float:
        return math.sqrt(1 + self.weight + self.cost)

    def _gallery_length(self, most: float) -> float:
        return math.sqrt(self._length**2 + most**2)

    @staticmethod
    def _filled(values: _Values) -> UnitVectors:
        """(n, d), none longer than 1 -> (n, d + 1), each of length 1."""
        room = 1 - np.square(values, dtype=np.float64).sum(axis=1, keepdims=True)
        return np.hstack([values, np.sqrt(np.maximum(room, 0))]).astype(np.float32)
