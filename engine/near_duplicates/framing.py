"""What of a picture is inside its frame: bars and borders of one colour are left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Pixels
from .boxes import WHOLE, Box

_TOLERANCE = 14
"""Levels of a channel by which a frame differs from its colour; compression smears it."""
_LEAST_SHARE = 0.97
"""Of a row's pixels that have that colour, where it belongs to the frame."""
_LEAST_LEFT = 0.3
"""Of width and height; what is inside a thicker frame is not looked for."""
_AT_A_TIME = 8
"""Rows that are looked at together: most pictures have no frame, and end there."""
_ROUNDS = 2
"""Frames in frames that are taken off."""


def content_box(pixels: Pixels) -> Box:
    """The part of a picture (h, w, 3) that is inside its frame; all of it where there is none."""
    planes = np.ascontiguousarray(pixels.transpose(2, 0, 1), np.int16)
    height, width = pixels.shape[:2]
    top, bottom, left, right = 0, height, 0, width
    for _ in range(_ROUNDS):
        inside = planes[:, top:bottom, left:right]
        above, below = _frame(inside), _frame(inside[:, ::-1])
        before = _frame(inside.swapaxes(1, 2))
        after = _frame(inside[:, :, ::-1].swapaxes(1, 2))
        if not (above or below or before or after):
            break
        top, bottom, left, right = top + above, bottom - below, left + before, right - after
        if bottom - top < _LEAST_LEFT * height or right - left < _LEAST_LEFT * width:
            return WHOLE
    return Box(left / width, top / height, right / width, bottom / height)


def _frame(rows: NDArray[np.int16]) -> int:
    """How many of the first rows (3, h, w) are of the first one's colour."""
    colour = np.median(rows[:, 0], axis=1)[:, None, None].astype(np.float32)
    for start in range(0, rows.shape[1], _AT_A_TIME):
        near = np.abs(rows[:, start : start + _AT_A_TIME] - colour) <= _TOLERANCE
        same = (near[0] & near[1] & near[2]).mean(1) >= _LEAST_SHARE
        if not same.all():
            return start + int(same.argmin())
    return rows.shape[1]
