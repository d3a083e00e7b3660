"""What of a picture is inside its frame: bars and borders of one colour are left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ..contracts import Pixels
from .boxes import WHOLE, Box

_TOLERANCE = 14
"""Levels of a channel by which a frame differs from its colour; compression smears it."""
_LEAST_SHARE = 0.97
"""Of a row's pixels that have that colour, where it belongs to the frame."""
_LEAST_LEFT = 0.3
"""Of width and height; what is inside a thicker frame is not looked for."""
_ROUNDS = 2
"""Frames in frames that are taken off."""


def content_box(pixels: Pixels) -> Box:
    """The part of a picture (h, w, 3) that is inside its frame; all of it where there is none."""
    height, width = pixels.shape[:2]
    top, bottom, left, right = 0, height, 0, width
    for _ in range(_ROUNDS):
        inside = pixels[top:bottom, left:right]
        above, below = _frame(inside), _frame(inside[::-1])
        before = _frame(inside.swapaxes(0, 1))
        after = _frame(inside[:, ::-1].swapaxes(0, 1))
        if not (above or below or before or after):
            break
        top, bottom, left, right = top + above, bottom - below, left + before, right - after
        if bottom - top < _LEAST_LEFT * height or right - left < _LEAST_LEFT * width:
            return WHOLE
    return Box(left / width, top / height, right / width, bottom / height)


def _frame(rows: NDArray[np.uint8]) -> int:
    """How many of the first rows are of the first one's colour."""
    colour = np.median(rows[0], axis=0)
    same = (np.abs(rows.astype(np.int16) - colour).max(-1) <= _TOLERANCE).mean(1) >= _LEAST_SHARE
    return len(same) if same.all() else int(same.argmin())
