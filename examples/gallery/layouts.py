"""Shapes put in their places: moved, bent, cut off, repeated, scattered."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from outlines import dense, rotated
from shapes import Layers, Shape, disc, flat

Bend = Callable[[np.ndarray], np.ndarray]


def bent(bend: Bend, *layers: Layers) -> list[Shape]:
    def bend_one(shape: Shape) -> Shape:
        clips = tuple(bend(clip) for clip in shape.clips)
        return replace(shape, outline=bend(dense(shape.outline)), clips=clips)

    return [bend_one(shape) for shape in flat(layers)]


def moved(x: float, y: float, *layers: Layers, scale: float = 1) -> list[Shape]:
    return bent(lambda at: at * scale + (x, y), *layers)


def turned(degrees: float, *layers: Layers) -> list[Shape]:
    return bent(lambda at: rotated(at, degrees), *layers)


def mirrored(*layers: Layers) -> list[Shape]:
    return flat([layers, bent(lambda at: at * (-1, 1), *layers)])


def around(count: int, *layers: Layers) -> list[Shape]:
    """As many copies as the count, turned about the middle."""
    return flat([turned(360 * i / count, *layers) for i in range(count)])


def within(frame: Shape, *layers: Layers) -> list[Shape]:
    """The frame with the layers painted on it, cut off at its edge."""
    return [frame, *(replace(s, clips=(*s.clips, frame.outline)) for s in flat(layers))]


def rings(*paints_and_radii: tuple[str, float]) -> list[Shape]:
    """Discs about the middle, the first the largest and raised."""
    discs = [disc(paint, 0, 0, r) for paint, r in paints_and_radii]
    return [replace(discs[0], ball=20), *discs[1:]]


def cells(columns: int, rows: int, w: float, h: float = 0) -> list[tuple[int, int, float, float]]:
    """Column, row and centre of each cell of a grid about the middle."""
    grid = [(i, j) for j in range(rows) for i in range(columns)]
    return [(i, j, (i - columns / 2 + 0.5) * w, (j - rows / 2 + 0.5) * (h or w)) for i, j in grid]


def scatter(count: int, width: float, height: float) -> list[tuple[float, float]]:
    """Points spread evenly, but in no visible order, over a rectangle about the middle."""
    steps = [((i * 0.7549) % 1 - 0.5, (i * 0.5698) % 1 - 0.5) for i in range(1, count + 1)]
    return [(x * width, y * height) for x, y in steps]


def specks(paint: str, count: int, width: float, height: float, r: float, **look: Any) -> Layers:
    """Dots of varied size, scattered."""
    spots = enumerate(scatter(count, width, height))
    return [disc(paint, x, y, r * (0.6 + i * 7 % 5 / 6), **look) for i, (x, y) in spots]
