"""A found face as an upright square of fixed size, as the recognition network was trained on.

dlib's network was trained on chips whose eyes' corners and nose lie in fixed places. The detector
finds other points (pupils, nose, corners of the mouth), so what counts here is where *those* lie
in dlib's chips: the mean over 1,264 faces of Totally-Looks-Like that both find. Points that move
against dlib's weigh less: the tip of the nose moves when a head turns, the mouth when it opens.
So the corners of a chip are 3.3 pixels from those of dlib's own; with equal weights, 4.9.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...core.contracts import Pixels
from ...core.extras import is_installed
from .parts import as_image, part_of

SIDE = 150
"""Of the chips that the recognition network takes, in pixels."""

CANONICAL = np.array(
    [[48.86, 46.51], [102.26, 46.34], [75.24, 79.12], [52.0, 105.04], [98.81, 104.84]]
)
"""(5, 2) x, y in a chip of `SIDE` pixels: the eye on the left, the one on the right, the nose, the
corner of the mouth on the left, the one on the right."""

WEIGHTS = np.array([1.0, 1.0, 1 / 3, 0.0, 0.0])
"""How much each point counts."""

_LEAST_SCALE = 1e-3
"""Of pixels of a picture to one of a chip: points that lie on top of each other say nothing."""


def similarity(points: NDArray[np.floating], side: int = SIDE) -> NDArray[np.float64]:
    """(2, 3): from x, y of a chip to x, y of the picture, turned, scaled and moved but never
    mirrored, such that the canonical points come as near to `points` as they can.

    Args:
        points: (5, 2) x, y in the picture. The centre of its first pixel is 0, 0.
    """
    weights = WEIGHTS / WEIGHTS.sum()
    wanted, found = CANONICAL * (side / SIDE), np.asarray(points, np.float64)
    middle, centre = weights @ wanted, weights @ found
    z, w = ((some - mean) @ [1, 1j] for some, mean in ((wanted, middle), (found, centre)))
    turn = (weights * z.conj() * w).sum() / (weights * np.abs(z) ** 2).sum()
    if abs(turn) < _LEAST_SCALE:
        turn = complex(_LEAST_SCALE)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.column_stack([matrix, centre - matrix @ middle])


def chip(image: Pixels | Image.Image, points: NDArray[np.floating], side: int = SIDE) -> Pixels:
    """The face as an upright square. What lies outside of the picture is black.

    Args:
        image: (height, width, 3) uint8 RGB, or the same by Pillow.
        points: (5, 2), see `similarity`.

    Returns:
        (side, side, 3) uint8, by linear interpolation; averaged over areas where it is smaller.
    """
    matrix = similarity(points, side)
    linear = matrix[:, :2]
    edges = (linear @ [[-1, side, -1, side], [-1, -1, side, side]] + matrix[:, 2:]).T
    part = part_of(as_image(image), edges, np.hypot(*linear[:, 0]))
    linear, first = linear / part.shrink, part.inside(matrix[:, 2]) - 0.5
    if (warp := _fast_warp()) is not None:
        back = np.linalg.inv(linear)
        how = np.column_stack([back, -back @ first]).ravel().tolist()
        pixels: Pixels = warp(np.asarray(part.image, np.uint8), how, (side, side), "bilinear")
        return pixels
    # Pillow counts from the corners of pixels.
    how = np.column_stack([linear, first + 0.5 - linear.sum(1) / 2]).ravel().tolist()
    square = part.image.transform(
        (side, side), Image.Transform.AFFINE, how, Image.Resampling.BILINEAR
    )
    return np.asarray(square, np.uint8)


@cache
def _fast_warp() -> Any:
    """The same by `kornia_rs`, six times as fast, where it is installed. It rounds down, so its
    pixels are half a level darker on average."""
    if not is_installed("kornia_rs"):
        return None
    from kornia_rs import imgproc

    return getattr(imgproc, "warp_affine", None)
