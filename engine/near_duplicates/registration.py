"""Brings two pictures of one thing into register: which part of the second shows the first."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .boxes import Box
from .outlines import details

Grey = NDArray[np.float32]
"""(h, w), 0 to 255."""


_ROUNDS = 8
_FURTHEST = 0.06
"""A border moves at most so far from where it was said to be, in shares of the picture."""


def sampled(picture: NDArray[np.generic], box: Box, width: int, height: int) -> Grey:
    """(height, width, ...) of a part of (h, w, ...), averaged where it is made smaller."""
    tall, wide = picture.shape[:2]
    rows = _weights(tall, height, round(box.top, 5), round(box.bottom, 5))
    columns = _weights(wide, width, round(box.left, 5), round(box.right, 5))
    grey = np.asarray(picture, np.float32)
    if grey.ndim == 2:
        return np.asarray(rows @ grey @ columns.T)
    channels = np.ascontiguousarray(np.transpose(grey, (2, 0, 1)))
    return np.asarray(np.transpose(rows @ channels @ columns.T, (1, 2, 0)))


def registered(
    one: NDArray[np.generic], other: NDArray[np.generic], here: Box, there: Box, *, side: int
) -> Box:
    """`there`, moved so that this part of `other` shows best what `here` of `one` shows.

    Gauss-Newton on the details (Lucas and Kanade), each border on its own.

    Args:
        one, other: (h, w) greys.
        side: pixels at which they are laid over each other.
    """
    fixed = details(sampled(one, here, side, side)[None])[0]
    return _moved(fixed, other, there, side)


def _moved(fixed: NDArray[np.float32], other: NDArray[np.generic], start: Box, side: int) -> Box:
    along = (np.arange(side, dtype=np.float32) + 0.5) / side
    box = best = start
    most = -1.0
    for _ in range(_ROUNDS):
        moving = details(sampled(other, box, side, side)[None])[0]
        agreed = _cosine(fixed, moving)
        if agreed <= most + 1e-4:
            break
        most, best = agreed, box
        down, across = np.gradient(moving)
        wide, tall = box.size
        slopes = np.stack(
            [
                across * (1 - along) * side / wide,
                down * (1 - along)[:, None] * side / tall,
                across * along * side / wide,
                down * along[:, None] * side / tall,
            ],
            axis=-1,
        )[2:-2, 2:-2].reshape(-1, 4)
        rest = (fixed - moving)[2:-2, 2:-2].ravel()
        normal = slopes.T @ slopes
        normal += np.eye(4, dtype=np.float32) * (1e-3 * np.trace(normal) / 4 + 1e-3)
        step = np.linalg.solve(normal, slopes.T @ rest).clip(-0.02, 0.02)
        moved = (np.array(box) + step).clip(
            np.array(start) - _FURTHEST, np.array(start) + _FURTHEST
        )
        box = Box(*moved.tolist())
        if min(box.size) < 0.1:
            break
    return best


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    return float((one * other).sum() / max(np.linalg.norm(one) * np.linalg.norm(other), 1e-6))


@lru_cache(maxsize=256)
def _weights(size: int, count: int, low: float, high: float) -> NDArray[np.float32]:
    """(count, size): triangles around `count` places between two shares of `size` pixels; beyond
    the picture, its border."""
    positions = low + (np.arange(count) + 0.5) / count * (high - low)
    at = (positions * size - 0.5)[:, None]
    reach = max(1.0, (high - low) * size / count)
    weights = np.maximum(0, 1 - np.abs(np.clip(at, 0, size - 1) - np.arange(size)) / reach)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True), np.float32)
