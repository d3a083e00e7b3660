"""The drawings of animals, of their hides too, and the eyes that faces share."""

from __future__ import annotations

import math

from canvas import LANDSCAPE, PORTRAIT, SQUARE, Picture
from layouts import around, mirrored, moved, scatter, turned
from patterns import scales
from plants import leaf
from shapes import Shape, arc, blob, box, curve, disc, ground, pear, poly, spiral, streak

SNAIL = (-112, 70, -60, 50, 20, 48, 70, 34, 84, 12, 106, 14, 110, 40, 92, 68, 0, 72)


def eyes(x: float, y: float, r: float) -> list[Shape]:
    """Two of them, looking the same way."""
    eye = [disc("snow", 0, 0, r, ball=9), disc("ink", r / 8, r / 8, r * 0.55)]
    shine = disc("snow", -r / 8, -r / 6, r / 6)
    return moved(-x, y, eye, shine) + moved(x, y, eye, shine)


def zebra_stripe(x: float) -> Shape:
    sway = math.sin(x / 54)
    path = (x, -130, x + 22 * sway, -50, x - 11 * sway, 20, x + 8, 130)
    return streak("ink", 21, *path, grain=20)


ANIMALS = [
    Picture("animals/lion.webp", SQUARE, "leaf>moss").showing(
        around(16, streak("rust", 44, 20, 0, 56, 3, 92, 6, ball=10)),
        around(13, streak("tangerine", 36, 15, 0, 80, 0)),
        mirrored(disc("honey", 38, -46, 15)),
        disc("straw", 0, 2, 54, 56, ball=35),
        eyes(21, -8, 9),
        mirrored(disc("cream", 12, 30, 17, 14)),
        blob("cocoa", -12, 14, 12, 14, 0, 26),
        mirrored(curve("cocoa", 2.5, 0, 24, 3, 36, 16, 36)),
    ),
    Picture("animals/zebra-hide.jpg", LANDSCAPE, "snow>cream").showing(
        [zebra_stripe(x) for x in range(-160, 170, 27)],
        [streak("ink", 9, x, y, x + 8, y + 22, x + 4, y + 48) for x, y in scatter(9, 260, 150)],
    ),
    Picture("animals/tiger-fur.jpg", LANDSCAPE, "amber").showing(
        ground("amber>tangerine", -100, grain=35),
        [
            [
                mirrored(streak("ink", 17, 150, y - 10, 80, y, 18 + y * 7 % 40, y + 14, grain=20)),
                streak("ink", 7, y * 3 % 50 - 40, y - 8, y * 3 % 50 - 10, y - 4),
            ]
            for y in range(-92, 110, 23)
        ],
    ),
    Picture("animals/snail.jpg", LANDSCAPE, "ice>mint").showing(
        [(curve("straw", 5, x, 20, x + 8, -22), disc("cocoa", x + 8, -24, 5)) for x in (84, 98)],
        ground("leaf>moss", 62),
        blob("straw", *SNAIL, ball=9),
        moved(-12, -4, disc("clay", 0, 0, 62, ball=55, grain=10), spiral("cocoa", 6, 2, 56, 3.2)),
    ),
    Picture("animals/caterpillar.jpg", PORTRAIT, "ice>mint").showing(
        curve("bark", 10, -34, 150, -28, 0, -36, -150),
        leaf("moss", -30, -60, 90, 190),
        [disc("leaf", 10 * math.sin(y / 26), y, 31, 23, ball=60) for y in range(100, -60, -30)],
        mirrored(curve("ink", 2.5, 8, -100, 20, -124), disc("tomato", 20, -124, 4)),
        disc("leaf", 0, -84, 34, ball=60),
        eyes(12, -90, 8),
        arc("ink", 2.5, 0, -80, 13, 25, 155),
    ),
    Picture("animals/owl.jpg", SQUARE, "dusk>navy").showing(
        mirrored(poly("bark", 14, -60, 62, -88, 58, -40)),
        disc("bark", 0, 10, 66, 84, ball=40),
        [disc("clay", x, y, 11, 13, ball=40) for y in (36, 52, 68) for x in range(-30, 31, 20)],
        mirrored(disc("sand", 27, -28, 32)),
        eyes(25, -28, 23),
        poly("amber", -9, -14, 9, -14, 0, 8),
    ),
    Picture("animals/pig.jpg", SQUARE, "leaf>moss").showing(
        mirrored(poly("rose", 30, -62, 74, -84, 66, -28)),
        disc("blush", 0, 4, 76, 70, ball=40),
        eyes(34, -20, 9),
        disc("rose", 0, 20, 36, 26, ball=30),
        mirrored(disc("plum", 13, 20, 6, 10)),
    ),
    Picture("animals/starfish.jpg", SQUARE, "sand").showing(
        ground("sand>straw", -100, grain=20),
        turned(
            -90,
            around(5, blob("tangerine", 0, -24, 50, -15, 88, 0, 50, 15, 0, 24, ball=5)),
            disc("tangerine", 0, 0, 30),
            around(5, [disc("peach", x, 0, 5 - x / 24) for x in range(10, 84, 12)]),
        ),
    ),
    Picture("animals/ladybird.jpg", SQUARE, "leaf>moss").showing(
        mirrored(
            [curve("ink", 5, 40, y, 88, y + y / 3) for y in (-36, 4, 44)],
            curve("ink", 3, 10, -74, 24, -94),
        ),
        disc("ink", 0, -52, 36, 32, ball=40),
        mirrored(disc("snow", 19, -64, 7)),
        disc("tomato", 0, 10, 64, 70, ball=60),
        box("ink", 0, 12, 3, 134),
        mirrored([disc("ink", x, y, 13) for x, y in ((28, -24), (40, 18), (20, 48))]),
    ),
    Picture("animals/fish-scales.jpg", LANDSCAPE, "sea").showing(
        turned(180, scales(34, ("navy", 0.52), ("sea", 0.48), ("mint", 0.3), ("sea", 0.24)))
    ),
    Picture("animals/penguin.jpg", PORTRAIT, "ice>sky").showing(
        ground("snow", 92),
        mirrored(
            disc("tangerine", 24, 112, 22, 9, ball=9), streak("ink", 30, 34, -40, 76, 10, 72, 50)
        ),
        pear("ink", ball=30),
        moved(0, 22, pear("snow"), scale=0.72),
        mirrored(disc("snow", 13, -60, 14)),
        eyes(12, -62, 8),
        poly("amber", -10, -50, 10, -50, 0, -32),
    ),
]
