"""A face that was found in a picture, and which of several counts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Face:
    """A face in a picture. Places are x, y in its pixels; the centre of the first one is 0, 0."""

    box: tuple[float, float, float, float]
    """Left, top, right, bottom; may reach beyond the picture."""
    points: NDArray[np.float32]
    """(5, 2): the eye on the left, the one on the right, the nose, the corner of the mouth on the
    left, the one on the right."""
    score: float
    """How sure the detector is, from 0 to 1."""

    @property
    def size(self) -> float:
        """The side of a square as large as its box, in pixels."""
        left, top, right, bottom = self.box
        return float(np.sqrt((right - left) * (bottom - top)))

    @property
    def prominence(self) -> float:
        """How much the face counts among those of its picture: its area, less where unsure."""
        return self.size**2 * self.score


def in_order(faces: Iterable[Face]) -> list[Face]:
    """The face that counts first: the most prominent; of equals the one further left, then up."""
    return sorted(faces, key=lambda face: (-face.prominence, face.box))
