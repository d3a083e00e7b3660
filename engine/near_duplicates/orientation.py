"""The eight ways a picture may lie: turned by quarters, and mirrored."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from .boxes import Box

_Kind = TypeVar("_Kind", bound=np.generic)


class Orientation(NamedTuple):
    """First mirrored (left and right), then turned clockwise."""

    mirrored: bool
    turned: int
    """Degrees: 0, 90, 180 or 270."""

    @property
    def swaps_sides(self) -> bool:
        """Whether width becomes height."""
        return self.turned in (90, 270)

    @property
    def inverse(self) -> Orientation:
        """What takes it back: a mirrored one is its own."""
        return self if self.mirrored else Orientation(False, -self.turned % 360)

    def of(self, pictures: NDArray[_Kind]) -> NDArray[_Kind]:
        """(..., h, w) -> the same, lying so."""
        lying = pictures[..., ::-1] if self.mirrored else pictures
        return np.rot90(lying, -self.turned // 90, axes=(-2, -1))

    def of_box(self, box: Box) -> Box:
        """Where a part is, once the picture lies so."""
        left, top, right, bottom = box
        if self.mirrored:
            left, right = 1 - right, 1 - left
        for _ in range(self.turned // 90):
            left, top, right, bottom = 1 - bottom, left, 1 - top, right
        return Box(left, top, right, bottom)


UPRIGHT = Orientation(False, 0)
ORIENTATIONS = tuple(
    Orientation(mirrored, turned) for mirrored in (False, True) for turned in (0, 90, 180, 270)
)
