"""What of a picture is inside its borders: bars of one colour at its edges are left out.

A letterboxed film, a scan on black, a portrait between two white bars: the bars say how the picture
was shown, not what it shows. They are left out only where that is sure. A bar is a run of lines,
each of one colour along its whole length and all of the same; where it ends the picture begins at
once, along a straight line. So an object in front of black or white keeps its background.

`near_duplicates.framing` is more generous: it looks for the same content in other frames, where a
wrong guess costs nothing, because the pixels are compared afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...core.contracts import Pixels

ContentBox = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""

_TOLERANCE = 14
"""Levels of a channel by which a bar differs from its colour; compression smears it."""
_LEAST_UNIFORM = 0.97
"""Of a line of a bar, the share of its values that are of the bar's colour."""
_JUMP = 24
"""Levels of a channel by which the picture differs from the bar where it begins."""
_DARK = 40
"""Levels that no channel of a dark bar's colour reaches. Nearly all bars are dark, and the picture
may be dark where it meets them; while on white stand drawings and goods."""
_LEAST_EDGES_DARK = 0.5, 0.75
_LEAST_EDGES = 0.95, 0.98
"""Of a bar's inner edge, the share along which the picture differs from it at once: where the
opposite side has a bar of the same colour that is about as thick, and where it has none."""
_ABOUT_AS_THICK = 0.3
"""Of the thicker one of such two, the share by which the other may be thinner."""
_LEAST_LEFT = 0.3
"""Of width and height; a picture that would lose more stays whole."""
_LEAST_LINES = 2
_SIDE = 256
"""Lines, and pixels of a line, that are looked at; of a larger picture evenly spaced ones."""
_ROUNDS = 5
"""Times that bars are looked for, and then those that they enclose. Where there are more, they are
what the picture shows."""
_REACH = 6
"""Lines within which the picture begins where a bar ends: compression and scaling blur edges."""
_PLAIN = 3.0
"""Standard deviation, in levels, along the lines of what is no picture but a band of one colour."""

_SIDES = (True, False), (False, False), (True, True), (False, True)
"""Left, top, right, bottom: `is_upright` and `is_far` of `_Side`."""
_NO_BARS = 0, 0, 0, 0


def content_box(image: Image.Image) -> ContentBox:
    """The part of an RGB image that is inside its borders; all of it where there are none."""
    size = min(image.width, _SIDE), min(image.height, _SIDE)
    if size == image.size:
        return box_of(np.asarray(image))
    box = box_of(np.asarray(image.resize(size, Image.Resampling.NEAREST)))
    return (0, 0, *image.size) if box == (0, 0, *size) else _refined(box, size, image)


def box_of(pixels: Pixels) -> ContentBox:
    """The same of pixels (height, width, 3), of which every line is looked at."""
    height, width = pixels.shape[:2]
    left, top, right, bottom = 0, 0, width, height
    for _ in range(_ROUNDS):
        before, above, after, below = _bars(pixels[top:bottom, left:right])
        if not (before or above or after or below):
            return left, top, right, bottom
        left, top, right, bottom = left + before, top + above, right - after, bottom - below
        if right - left < _LEAST_LEFT * width or bottom - top < _LEAST_LEFT * height:
            break
    return 0, 0, width, height


def _refined(box: ContentBox, size: tuple[int, int], image: Image.Image) -> ContentBox:
    """A box that was found in an image of that size, in the pixels of the image that it is of."""

    def at(line: int, axis: int) -> int:
        """Where the nearest pixels were taken from."""
        return int((line + 0.5) * image.size[axis] / size[axis])

    def bar(line: int, axis: int, is_far: bool) -> int:
        """How many more lines a bar has, from one of its own to one that is not."""
        near, far = at(line, axis), at(line + 1, axis) + 1
        strip = (near, upper, far, lower) if axis == 0 else (before, near, after, far)
        side = _Side(np.asarray(image.crop(strip)), is_upright=axis == 0, is_far=is_far)
        return side.bar().lines

    left, top, right, bottom = box
    before, upper = at(left, 0), at(top, 1)
    after, lower = at(right - 1, 0) + 1, at(bottom - 1, 1) + 1
    return (
        at(left - 1, 0) + bar(left - 1, 0, False) if left else 0,
        at(top - 1, 1) + bar(top - 1, 1, False) if top else 0,
        at(right, 0) + 1 - bar(right - 1, 0, True) if right < size[0] else image.width,
        at(bottom, 1) + 1 - bar(bottom - 1, 1, True) if bottom < size[1] else image.height,
    )


class _Bar(NamedTuple):
    """A bar at one edge of a picture; one of no lines is none."""

    lines: int
    colour: tuple[int, int, int]

    def is_like(self, other: _Bar) -> bool:
        """Whether it has the other's colour."""
        pairs = zip(self.colour, other.colour, strict=True)
        return all(abs(one - two) <= _TOLERANCE for one, two in pairs)

    def least_edge(self, has_opposite: bool) -> float:
        """The share of its inner edge along which the picture must differ from it."""
        of_pair, alone = _LEAST_EDGES_DARK if max(self.colour) < _DARK else _LEAST_EDGES
        return of_pair if has_opposite else alone


class _Side(NamedTuple):
    """A picture as it is seen from one of its edges: lines along it, the outermost first."""

    pixels: Pixels
    """(height, width, 3)."""
    is_upright: bool
    """Whether the lines are columns."""
    is_far: bool
    """Whether the edge is the right or the lower one."""

    @property
    def total(self) -> int:
        """How many lines there are."""
        return self.pixels.shape[1 if self.is_upright else 0]

    def bar(self) -> _Bar:
        """The bar that begins with the outermost line."""
        line = self._block(0, 1).reshape(-1, 3)
        middle = np.sort(line[:: max(1, len(line) // 32)], axis=0)
        colour = tuple(middle[len(middle) // 2].tolist())
        start, stop = 0, 1
        while start < self.total:
            near = _near(self._block(start, stop), colour, _TOLERANCE)
            length = near.size // (stop - start)
            values = near.sum(0).sum(1) if self.is_upright else near.reshape(-1, length).sum(1)
            same = (values >= _LEAST_UNIFORM * length)[:: -1 if self.is_far else 1]
            if not same.all():
                return _Bar(start + int(same.argmin()), colour)
            start, stop = stop, min(4 * stop, stop + 16, self.total)
        return _Bar(self.total, colour)

    def edge(self, bar: _Bar) -> float:
        """Of a bar's inner edge, the share along which something else begins at once."""
        if bar.lines == self.total:
            return 0.0
        beyond = self._block(bar.lines, min(bar.lines + _REACH, self.total))
        differs = ~_near(beyond, bar.colour, _JUMP)
        along = differs.reshape(len(differs), -1).any(1) if self.is_upright else differs.any((0, 2))
        return float(along.mean())

    def _block(self, start: int, stop: int) -> Pixels:
        """Some of its lines, as they stand in the picture."""
        if self.is_far:
            start, stop = self.total - stop, self.total - start
        return self.pixels[:, start:stop] if self.is_upright else self.pixels[start:stop]


def _near(block: Pixels, colour: tuple[int, int, int], levels: int) -> NDArray[np.bool_]:
    """Which values of a block differ from the colour by no more than so many levels."""
    bounds = np.empty((2, block.shape[1], 3), np.uint8)
    bounds[0] = [max(value - levels, 0) for value in colour]
    bounds[1] = [min(value + levels, 255) for value in colour]
    lowest, highest = bounds.reshape(2, -1)
    flat = block.reshape(len(block), -1)  # numpy is slow where the last axis is short
    # What is below the lowest wraps around, to a difference above any other.
    return (flat - lowest <= highest - lowest).reshape(block.shape)


def _bars(pixels: Pixels) -> ContentBox:
    """How many lines the bars have that are surely bars: left, top, right, bottom."""
    height, width = pixels.shape[:2]
    sides = [_Side(pixels, *side) for side in _SIDES]
    bars = [side.bar() for side in sides]
    left, top, right, bottom = (bar.lines for bar in bars)
    is_empty = left + right >= width or top + bottom >= height
    if is_empty or max(left, top, right, bottom) < _LEAST_LINES:
        return _NO_BARS
    before, after = _sure(sides[0], bars[0], sides[2], bars[2])
    above, below = _sure(sides[1], bars[1], sides[3], bars[3])
    if not (before or above or after or below):
        # Bars of one frame end where the rectangle that they enclose does.
        rows, columns = pixels[:, left : width - right], pixels[top : height - bottom]
        sides = [_Side(columns if side[0] else rows, *side) for side in _SIDES]
        if not _is_frame(sides, bars):
            return _NO_BARS
        before, above, after, below = left, top, right, bottom
    inside = pixels[above : height - below, before : width - after]
    return _NO_BARS if _is_plain(inside) else (before, above, after, below)


def _sure(first: _Side, first_bar: _Bar, last: _Side, last_bar: _Bar) -> tuple[int, int]:
    """How many lines of two opposite bars are surely bars."""
    sides = (first, first_bar), (last, last_bar)
    edges = [side.edge(bar) if bar.lines >= _LEAST_LINES else 0.0 for side, bar in sides]
    thin, thick = sorted((first_bar.lines, last_bar.lines))
    is_pair = thick - thin <= max(3, _ABOUT_AS_THICK * thick) and first_bar.is_like(last_bar)
    if is_pair and all(
        edge >= bar.least_edge(True) for edge, (_, bar) in zip(edges, sides, strict=True)
    ):
        return first_bar.lines, last_bar.lines
    one, other = (
        bar.lines if edge >= bar.least_edge(False) else 0
        for edge, (_, bar) in zip(edges, sides, strict=True)
    )
    return one, other


def _is_frame(sides: list[_Side], bars: list[_Bar]) -> bool:
    """Whether all bars that there are belong to one frame; the rectangle that it encloses may
    reach an edge of the picture."""
    around = [(s, bar) for s, bar in zip(sides, bars, strict=True) if bar.lines >= _LEAST_LINES]
    return all(
        bar.is_like(around[0][1]) and side.edge(bar) >= bar.least_edge(False)
        for side, bar in around
    )


def _is_plain(pixels: Pixels) -> bool:
    """Whether there is nothing in a picture but bands of one colour, as in a flag."""
    height, width = pixels.shape[:2]
    some = pixels[:: -(-height // 32), :: -(-width // 32)].astype(np.float32)
    return min(float(some.std(axis).mean()) for axis in (0, 1)) < _PLAIN
