"""Boxes that may hold a face: YuNet, one pass over a whole picture of bounded size."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from ...core.contracts import Pixels
from .boxes import Values, distinct
from .networks import DETECTION, load_session

GRIDS = (8, 16, 32)
"""Pixels of a cell of each grid, a side."""
MULTIPLE = max(GRIDS)
"""What both sides of the network's input are multiples of."""

_NEARLY = 0.95
_SAME = 0.3
"""Boxes that overlap by more are of one face."""
_LEAST = -30.0
"""Of a logit: less makes no difference."""
_LARGEST = 8.0
"""Of the logarithm of a side in cells: no face is larger."""


class Proposals:
    """The network, ready to look at pictures in any thread."""

    def __init__(self, model: Path = DETECTION) -> None:
        self._session = load_session(model)

    def find(self, image: Image.Image, side: int, sure: float) -> tuple[Values, Values]:
        """(n, 4) boxes in pixels of the picture, and (n,) scores from 0 to 1, the best first.

        Args:
            image: in RGB.
            side: a picture whose longer side has more pixels is made smaller first.
            sure: the least score.
        """
        seen, scale = _seen(image, side)
        (found,) = self._session.run(["found"], {"pixels": seen[None]})
        values = found[0]
        # Of a face, and of an object: their probabilities' geometric mean.
        face, thing = 1 + np.exp(-np.maximum(values[:, :2], _LEAST)).T
        scores = 1 / np.sqrt(face * thing)
        cells = np.flatnonzero(scores >= sure)
        sides, corners = _grids(*seen.shape[:2])
        boxes = _boxes(values[cells], sides[cells], corners[cells])
        kept = distinct(boxes, scores[cells], _SAME)
        return (boxes[kept] + 0.5) / scale - 0.5, scores[cells][kept]


def _seen(image: Image.Image, side: int) -> tuple[Pixels, float]:
    """The picture as the network takes it, and by what its sides were multiplied: filled up with
    black on the right and below."""
    width, height = image.size
    scale = _scale(width, height, side)
    if scale < 1:
        width, height = (max(1, round(size * scale)) for size in image.size)
        image = image.resize((width, height), Image.Resampling.BOX, reducing_gap=2.0)
    rows, columns = (-(-size // MULTIPLE) * MULTIPLE for size in (height, width))
    seen = np.zeros((rows, columns, 3), np.uint8)
    seen[:height, :width] = np.asarray(image, np.uint8)
    return seen, scale


def _scale(width: int, height: int, side: int) -> float:
    """At most 1, for a longer side of at most `side`; a bit less where the shorter one then is a
    multiple, which spares filling it up with nearly as much."""
    scale = min(1.0, side / max(width, height))
    shorter = min(width, height)
    whole = shorter * scale // MULTIPLE * MULTIPLE / shorter
    return whole if whole > scale * _NEARLY else scale


@cache
def _grids(height: int, width: int) -> tuple[Values, Values]:
    """(cells, 1) the side of each cell, (cells, 2) the x, y of its first pixel."""
    sides, corners = [], []
    for cell in GRIDS:
        y, x = np.mgrid[: height // cell, : width // cell] * cell
        corners.append(np.column_stack([x.ravel(), y.ravel()]))
        sides.append(np.full((x.size, 1), cell))
    return np.concatenate(sides).astype(np.float32), np.concatenate(corners).astype(np.float32)


def _boxes(values: Values, sides: Values, corners: Values) -> Values:
    """(n, 4), in pixels of what the network saw."""
    centres = corners + values[:, 2:4] * sides
    halves = np.exp(np.minimum(values[:, 4:6], _LARGEST)) * sides / 2
    return np.hstack([centres - halves, centres + halves])
