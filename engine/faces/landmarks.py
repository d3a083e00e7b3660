"""O-Net looks at boxes that may hold a face: whether they do, and where eyes, nose and mouth are.

Its points are three times as exact as those of the first network, which sees little of a face.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from ...core.contracts import Pixels
from .boxes import Values
from .networks import LANDMARKS, load_session
from .parts import part_of

SIDE = 48
"""Of the squares that the network takes, in pixels."""


class Landmarks:
    """The network, ready to look at squares in any thread."""

    def __init__(self, model: Path = LANDMARKS) -> None:
        self._session = load_session(model)

    def at(self, image: Image.Image, boxes: Values) -> tuple[Values, Values, Values]:
        """(n,) how likely each is a face, (n, 4) better boxes, (n, 5, 2) points as in `Face`.

        Args:
            image: in RGB.
            boxes: (n, 4), at least one; what is looked at is a square of the same area and centre.
        """
        centres = (boxes[:, :2] + boxes[:, 2:]) / 2
        sides = np.sqrt(np.prod(boxes[:, 2:] - boxes[:, :2], axis=1, keepdims=True))
        sides = np.maximum(sides, 1)
        corners = centres - sides / 2
        squares = [_square(image, *row) for row in np.hstack([corners, sides]).tolist()]
        (found,) = self._session.run(["found"], {"pixels": np.stack(squares)})
        likely = 1 / (1 + np.exp(found[:, 0] - found[:, 1]))
        better = np.hstack([corners, corners + sides]) + sides * found[:, 2:6]
        points = corners[:, None] + sides[:, None] * found[:, 6:].reshape(-1, 2, 5).swapaxes(1, 2)
        return likely, better.astype(np.float32), points.astype(np.float32)


def _square(image: Image.Image, left: float, top: float, side: float) -> Pixels:
    """That part of a picture at `SIDE` pixels; black where it is outside."""
    edges = np.array([[left, top], [left + side, top + side]])
    part = part_of(image, edges, side / SIDE / 2)
    (left, top), (right, bottom) = part.inside(edges)
    first, last = np.floor((left, top)).astype(int), np.ceil((right, bottom)).astype(int)
    whole = part.image.crop((*first.tolist(), *last.tolist()))  # with what is outside
    box = left - first[0], top - first[1], right - first[0], bottom - first[1]
    return np.asarray(whole.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box), np.uint8)
