"""Patterns that other drawings use, and the drawings of nothing but a pattern."""

from __future__ import annotations

from canvas import SMALL, SQUARE, Picture
from layouts import around, cells, turned
from shapes import Shape, box, curve, disc, spiral


def checks(paint: str, columns: int, rows: int, step: float) -> list[Shape]:
    """Every other square of a chess board."""
    grid = cells(columns, rows, step)
    return [box(paint, x, y, step, step) for i, j, x, y in grid if (i + j) % 2]


def gingham(paint: str, step: int) -> list[Shape]:
    """Bands of a clear colour, crossed."""
    bands = [box(paint, x, 0, step, 400) for x in range(-6 * step, 7 * step, 2 * step)]
    return bands + turned(90, bands)


def scales(step: float, *paints_and_radii: tuple[str, float]) -> list[Shape]:
    """Overlapping rows of scales, each of discs within discs."""
    rows = cells(int(340 / step), int(500 / step), step, step / 2)
    spots = [(x + j % 2 * step / 2, y) for _, j, x, y in rows]
    return [disc(paint, x, y, r * step) for x, y in spots for paint, r in paints_and_radii]


PATTERNS = [
    Picture("patterns/gingham.png", SMALL, "snow").showing(gingham("#33467c80", 25)),
    Picture("patterns/hypnosis.gif", SQUARE, "snow").showing(
        around(2, spiral("ink", 17, 1, 165, 2.4))
    ),
    Picture("patterns/snowflake.png", SQUARE, "sky>dusk").showing(
        around(
            6,
            curve("snow", 5, 0, 0, 84, 0),
            curve("snow", 4, 46, -18, 28, 0, 46, 18),
            curve("snow", 4, 74, -22, 52, 0, 74, 22),
        )
    ),
    Picture("patterns/polka-dots.png", SMALL, "tomato").showing(
        [disc("snow", x + j % 2 * 18, y, 10) for _, j, x, y in cells(9, 8, 36, 30)]
    ),
    Picture("patterns/seigaiha.webp", SQUARE, "dusk").showing(
        scales(
            40, ("cream", 0.52), ("dusk", 0.47), ("cream", 0.36), ("dusk", 0.31), ("cream", 0.18)
        )
    ),
    Picture("patterns/dusk.png", SMALL, "plum>amber"),
]
