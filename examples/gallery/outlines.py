"""Outlines and paths: arrays of points, in units of which half a picture's short side is 100."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def dense(outline: np.ndarray) -> np.ndarray:
    """The closed outline with points at most 5 units apart, so that it can be bent."""
    edges = np.roll(outline, -1, axis=0) - outline
    counts = np.maximum(1, np.ceil(np.linalg.norm(edges, axis=1) / 5)).astype(int)
    first = np.repeat(np.cumsum(counts) - counts, counts)
    fraction = (np.arange(counts.sum()) - first) / np.repeat(counts, counts)
    return np.repeat(outline, counts, axis=0) + np.repeat(edges, counts, axis=0) * fraction[:, None]


def rotated(outline: np.ndarray, degrees: float) -> np.ndarray:
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return outline @ np.array([[cos, sin], [-sin, cos]])


def circling(x: float, y: float, r: float, start: float = 0, end: float = 360) -> np.ndarray:
    angles = np.radians(np.linspace(start, end, 60))
    return np.stack([x + r * np.cos(angles), y + r * np.sin(angles)], axis=1)


def smooth(xy: Sequence[float], closed: bool = False) -> np.ndarray:
    """A Catmull-Rom curve through the points."""
    path = np.reshape(xy, (-1, 2))
    before, after = (path[-1:], path[:2]) if closed else (path[:1], path[-1:])
    padded = np.concatenate([before, path, after])
    a, b, c, d = padded[:-3], padded[1:-2], padded[2:-1], padded[3:]
    t = np.linspace(0, 1, 14, endpoint=False)[:, None, None]
    curve = b + (c - a) * t / 2 + (2 * a - 5 * b + 4 * c - d) * t**2 / 2
    curve += (3 * b - a - 3 * c + d) * t**3 / 2
    return np.concatenate([curve.swapaxes(0, 1).reshape(-1, 2), path[:1] if closed else path[-1:]])


def ribbon(path: np.ndarray, width: float, tapered: bool = False) -> np.ndarray:
    """The outline of a stroke along the path, with round ends or tapering to points."""
    along = np.gradient(path, axis=0)
    along *= width / 2 / np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    if tapered:
        along *= np.sin(np.linspace(0.02, math.pi - 0.02, len(path)))[:, None] ** 0.8
    side = along[:, ::-1] * (-1, 1)
    turn = np.linspace(0, math.pi, 12)[:, None]
    end_cap = path[-1] + side[-1] * np.cos(turn) + along[-1] * np.sin(turn)
    start_cap = path[0] - side[0] * np.cos(turn) - along[0] * np.sin(turn)
    return np.concatenate([path + side, end_cap, (path - side)[::-1], start_cap])
