"""The drawings of plants, and the leaf that fruit have."""

from __future__ import annotations

from canvas import PORTRAIT, SQUARE, Picture
from layouts import around, moved, scatter, specks, turned, within
from shapes import Shape, blob, curve, disc, ground, streak, wedge


def leaf(paint: str, x: float, y: float, length: float, turn: float) -> list[Shape]:
    spine = (0, 0, length / 2, -length / 8, length, 0)
    blade = streak(paint, length / 2, *spine, ball=20)
    return moved(x, y, turned(turn, blade, streak("#ffffff50", length / 20, *spine)))


PLANTS = [
    Picture("plants/marigold.jpg", SQUARE, "moss>pine").showing(
        [
            around(
                17 - 2 * i, turned(11 * i, disc(paint, 66 - 8 * i, 0, 26 - 2 * i, 16 - i, ball=40))
            )
            for i, paint in enumerate(("tangerine", "amber") * 4)
        ]
    ),
    Picture("plants/cactus.jpg", PORTRAIT, "sky>peach").showing(
        ground("sand>straw", 84),
        curve("moss", 22, 4, 48, -46, 44, -52, -6),
        curve("moss", 20, 0, 20, 42, 14, 48, -40),
        curve("leaf", 44, 0, 84, 0, -76, tube=80),
        disc("rose", 0, -98, 11, 8, ball=40),
        [curve("#174a3c80", 1.5, x, -88, x, 98) for x in (-11, 1, 12)],
        [curve("cream", 1.2, x, y, x + 4, y - 4) for x, y in scatter(40, 36, 170)],
    ),
    Picture("plants/tree-rings.jpg", SQUARE, "moss>pine").showing(
        disc("bark", 0, 0, 90, ball=20, grain=50),
        [
            disc(("sand", "clay")[r % 2], r / 10 - 8, 5 - r / 16, r, r * 0.95, grain=10)
            for r in range(80, 2, -5)
        ],
        streak("bark", 6, -4, 6, 40, 20, 84, 30),
    ),
    Picture("plants/daisy.jpg", SQUARE, "leaf>moss").showing(
        around(15, disc("snow", 58, 0, 33, 11, ball=20)),
        disc("amber", 0, 0, 28, ball=50, grain=40),
    ),
    Picture("plants/sunflower.webp", SQUARE, "sky>ice").showing(
        around(18, streak("amber", 26, 24, 0, 60, 0, 96, 0, ball=9)),
        turned(10, around(18, streak("sun", 20, 24, 0, 56, 0, 84, 0))),
        disc("cocoa", 0, 0, 44, ball=40),
        [turned(137.5 * i, disc("clay", 3.7 * i**0.5, 0, 2)) for i in range(120)],
    ),
    Picture("plants/toadstool.jpg", PORTRAIT, "mint>moss").showing(
        ground("moss>pine", 92, grain=40),
        blob("cream", -16, -10, -22, 110, 22, 110, 16, -10, tube=50),
        disc("sand", 0, 6, 80, 14),
        within(wedge("tomato", 0, 8, 88, 180, 360, ball=40), specks("snow", 16, 170, 160, 10)),
    ),
]
