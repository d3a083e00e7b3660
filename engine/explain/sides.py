"""The two pictures that are compared, and which of their cells matter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Pixels
from ..images.decode import Picture, PixelBox
from . import attribution

_THIRDS = (
    ("upper left", "upper middle", "upper right"),
    ("middle left", "centre", "middle right"),
    ("lower left", "lower middle", "lower right"),
)


@dataclass(frozen=True, eq=False)
class Subject:
    """A picture that is to be explained."""

    name: str
    picture: Picture
    """Decoded for the backbone."""
    whole: Pixels | None = None
    """All of it, stretched to a square, to draw on; None draws on what the backbone sees."""


@dataclass(frozen=True, eq=False)
class Side:
    """One of the two pictures of an explanation, and which of its regions matter."""

    subject: Subject
    heatmap: NDArray[np.float32]
    """(g, g): what each cell of the box gives to the likeness, the uppermost row first. By *sum*,
    28 x 28 cells whose sum is the cosine; by *mask*, 7 x 7 cells, and what the cosine loses without
    each. Below 0 is what keeps the pictures apart."""

    @property
    def box(self) -> PixelBox:
        """The part of the upright picture that the backbone sees, in its pixels: left, top, right,
        bottom."""
        picture = self.subject.picture
        return picture.box or (0.0, 0.0, float(picture.width), float(picture.height))

    @property
    def thirds(self) -> NDArray[np.float64]:
        """(3, 3): the parts of the heatmap above 0 in the upper, middle and lower third of the
        whole picture, from left to right; their sum is 1, or 0 where nothing is above 0."""
        picture = self.subject.picture
        left, top, right, bottom = self.box
        rows = attribution.overlaps(
            len(self.heatmap), top / picture.height, bottom / picture.height, 3
        )
        columns = attribution.overlaps(
            len(self.heatmap), left / picture.width, right / picture.width, 3
        )
        warm: NDArray[np.float64] = rows @ np.maximum(self.heatmap, 0) @ columns.T
        return warm / (warm.sum() or 1)

    @property
    def where(self) -> str:
        """The third that matters most, such as `upper left`; `nowhere` if there is none."""
        thirds = self.thirds
        row, column = divmod(int(thirds.argmax()), 3)
        return _THIRDS[row][column] if thirds.any() else "nowhere"

    def facts(self) -> dict[str, Any]:
        """JSON values."""
        return {
            "picture": self.subject.name,
            "width": self.subject.picture.width,
            "height": self.subject.picture.height,
            "box": [round(edge, 2) for edge in self.box],
            "where": self.where,
            "thirds": [[round(float(share), 4) for share in row] for row in self.thirds],
            "heat": [[round(float(value), 6) for value in row] for row in self.heatmap],
        }
