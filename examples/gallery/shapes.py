"""Shapes, of which every drawing is made: outlines with paint, relief and soft edges."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from outlines import circling, ribbon, smooth


@dataclass(frozen=True)
class Shape:
    """A painted outline, in units of which half the picture's short side is 100.

    The paint is a colour, or two that fade from top to bottom, "sky>sea". Ball, tube (an upright
    one) and grain are percentages of relief; what has relief is lit from the upper left and casts
    a shadow. Soft is how far the edge is blurred, in units; nothing is painted outside the clips.
    """

    outline: np.ndarray
    paint: str
    ball: int = 0
    tube: int = 0
    grain: int = 0
    soft: float = 0
    clips: tuple[np.ndarray, ...] = ()


Layers = Shape | Sequence["Layers"]


def flat(layers: Layers) -> list[Shape]:
    return [layers] if isinstance(layers, Shape) else [s for layer in layers for s in flat(layer)]


def disc(paint: str, x: float, y: float, r: float, ry: float = 0, **look: Any) -> Shape:
    return Shape(circling(0, 0, 1) * (r, ry or r) + (x, y), paint, **look)


def box(paint: str, x: float, y: float, w: float, h: float, r: float = 0.1, **look: Any) -> Shape:
    """A rectangle about its centre, its corners rounded."""
    i, j = w / 2 - r, h / 2 - r
    centres = ((x + i, y + j), (x - i, y + j), (x - i, y - j), (x + i, y - j))
    arcs = [circling(*at, r, 90 * n, 90 * n + 90) for n, at in enumerate(centres)]
    return Shape(np.concatenate(arcs), paint, **look)


def ground(paint: str, top: float, **look: Any) -> Shape:
    return box(paint, 0, top + 100, 400, 200, **look)


def swell(paint: str, top: float, height: float, length: float, shift: float, **look: Any) -> Shape:
    """Everything below a wavy line."""
    x = np.arange(-170, 171, 5)
    line = np.stack([x, top + height * np.sin((x + shift) / length)], axis=1)
    return Shape(np.concatenate([line, [(170, 170), (-170, 170)]]), paint, **look)


def poly(paint: str, *xy: float, **look: Any) -> Shape:
    return Shape(np.reshape(xy, (-1, 2)), paint, **look)


def blob(paint: str, *xy: float, **look: Any) -> Shape:
    return Shape(smooth(xy, closed=True), paint, **look)


def curve(paint: str, width: float, *xy: float, **look: Any) -> Shape:
    return Shape(ribbon(smooth(xy), width), paint, **look)


def streak(paint: str, width: float, *xy: float, **look: Any) -> Shape:
    return Shape(ribbon(smooth(xy), width, tapered=True), paint, **look)


def arc(paint: str, width: float, *circle: float, **look: Any) -> Shape:
    return Shape(ribbon(circling(*circle), width), paint, **look)


def wedge(paint: str, *circle: float, **look: Any) -> Shape:
    return Shape(np.concatenate([[circle[:2]], circling(*circle)]), paint, **look)


def spiral(paint: str, width: float, start: float, end: float, turns: float, **look: Any) -> Shape:
    angles = np.linspace(0, 2 * math.pi * turns, int(60 * turns))
    path = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    path *= np.linspace(start, end, len(angles))[:, None]
    return Shape(ribbon(path, width), paint, **look)


def pear(paint: str, **look: Any) -> Shape:
    """A body with narrow shoulders, as tall as a portrait."""
    half = [(0, -100), (24, -92), (36, -60), (46, -18), (64, 34), (58, 84), (28, 106)]
    other_half = [(-x, y) for x, y in reversed(half[1:])]
    return blob(paint, *np.ravel([*half, (0, 110), *other_half]), **look)
