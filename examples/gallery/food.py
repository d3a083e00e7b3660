"""The drawings of things to eat."""

from __future__ import annotations

import numpy as np

from canvas import CLEAR, LANDSCAPE, PORTRAIT, SQUARE, Picture
from layouts import around, bent, cells, moved, rings, specks, turned, within
from patterns import gingham
from plants import leaf
from shapes import blob, box, curve, disc, ground, pear, poly, spiral, streak, wedge

HONEYS = ("amber", "honey", "sun")
HEXAGON = (0, -18, 15, -9, 15, 9, 0, 18, -15, 9, -15, -9)
STRAWBERRY = (0, -50, 44, -58, 70, -22, 48, 40, 0, 88, -48, 40, -70, -22, -44, -58)

FOOD = [
    Picture("food/orange.jpg", SQUARE, "ice>sky").showing(
        disc("tangerine", 0, 12, 72, ball=60, grain=18),
        leaf("moss", 0, -58, 62, -24),
        disc("pine", 0, -58, 6, 4),
    ),
    Picture("food/pumpkin.jpg", LANDSCAPE, "lilac>dusk").showing(
        ground("bark>cocoa", 60),
        [
            disc("tangerine", x, 14, 35, 70 - abs(x) / 5, ball=60, grain=8)
            for x in (-62, 62, -34, 34, 0)
        ],
        curve("moss>pine", 15, 0, -48, 2, -64, 14, -78),
        leaf("leaf", 6, -52, 55, 12),
    ),
    Picture("food/fried-egg.jpg", SQUARE, "sand>clay").showing(
        box("bark", 0, 120, 26, 80, 8, tube=40),
        rings(("coal", 90), ("ink", 80)),
        blob("snow", -62, -6, -34, -50, 10, -58, 56, -36, 60, 8, 36, 48, -8, 60, -50, 38, ball=9),
        disc("amber", 2, 0, 34, ball=70),
    ),
    Picture("food/picnic.jpg", LANDSCAPE, "snow").showing(
        gingham("#e5492f88", 34),
        rings(("snow", 62), ("fog", 46), ("snow", 44)),
        disc("tomato", -16, 4, 25, ball=70),
        leaf("leaf", -16, -18, 24, -30),
        disc("leaf", 22, -6, 21, ball=70),
        curve("bark", 3, 22, -20, 26, -34),
    ),
    Picture("food/honeycomb.jpg", LANDSCAPE, "rust").showing(
        [
            moved(x + j % 2 * 17, y, poly(HONEYS[(2 * i + j) % 3], *HEXAGON, ball=-40))
            for i, j, x, y in cells(10, 9, 34, 29)
        ]
    ),
    Picture("food/lollipop.png", PORTRAIT, CLEAR).showing(
        box("fog", 0, 80, 9, 110, 4, tube=70),
        moved(
            0,
            -34,
            within(
                disc("snow", 0, 0, 78, ball=30),
                around(2, spiral("rose", 13, 2, 70, 1.8)),
                turned(-40, disc("#ffffff80", 0, -50, 18, 8, soft=3)),
            ),
        ),
    ),
    Picture("food/cinnamon-roll.jpg", SQUARE, "ice>sky").showing(
        rings(("snow", 96), ("fog", 84)),
        disc("honey", 0, 0, 78, ball=40, grain=20),
        spiral("#6a3a16", 8, 4, 72, 3.6),
        specks("#fcfaf5d0", 12, 120, 120, 9),
    ),
    Picture("food/cucumber.jpg", PORTRAIT, "cream>sand").showing(
        curve("moss", 50, -14, -92, -2, 0, -14, 92, tube=80),
        specks("pine", 24, 34, 190, 1.5),
        [curve("#62ae4a90", 4, x - 12, -96, x, 0, x - 12, 96) for x in (-14, -2, 10)],
        [
            moved(
                62,
                y,
                rings(("moss", 27), ("mint", 23), ("#c9ecd0", 14)),
                around(9, streak("snow", 3, 6, 0, 13, 0)),
            )
            for y in (20, 74)
        ],
    ),
    Picture("food/pizza-slice.jpg", SQUARE, "sea>pine").showing(
        within(
            poly("sun", -74, -52, 74, -52, 0, 92, grain=10, ball=9),
            [disc("tomato", x, y, 18, ball=30) for x, y in ((-34, -26), (26, -18), (-4, 30))],
        ),
        curve("honey", 26, -76, -52, 0, -64, 76, -52, ball=30, grain=20),
        leaf("moss", -14, -4, 26, 20),
        leaf("moss", 4, 58, 20, 100),
    ),
    Picture("food/watermelon.jpg", SQUARE, "sun>amber").showing(
        wedge("moss", 0, -76, 162, 58, 122, ball=9),
        wedge("mint", 0, -76, 150, 58, 122),
        wedge("tomato", 0, -76, 142, 58, 122),
        [
            disc("ink", x, y, 3, 6)
            for x, y in ((0, -20), (-18, 16), (18, 14), (0, 46), (-36, 44), (36, 42))
        ],
    ),
    Picture("food/doughnut.jpg", SQUARE, "mint").showing(
        disc("honey", 0, 2, 80, ball=40),
        around(9, disc("rose", 46, 0, 27)),
        disc("rose", 0, 0, 62),
        disc("honey", 0, 0, 26),
        disc("mint", 0, 1, 21),
        [
            turned(
                137.5 * i, moved(34 + i * 13 % 33, 0, turned(77 * i, curve(paint, 4, 0, -4, 0, 4)))
            )
            for i, paint in enumerate(("snow", "sun", "sea", "plum") * 11)
        ],
    ),
    Picture("food/kiwi-slice.jpg", SQUARE, "ice>sky").showing(
        rings(("bark", 84), ("leaf", 79), ("#8cc94f", 52), ("cream", 22)),
        around(24, streak("#dff0a8", 4, 20, 0, 70, 0)),
        around(18, disc("ink", 38, 0, 6, 3)),
        turned(10, around(18, disc("ink", 48, 0, 6, 3))),
    ),
    Picture("food/lemon-slice.jpg", SQUARE, "sea>dusk").showing(
        rings(("sun", 84), ("cream", 75)),
        around(9, blob("#ffe066>#ffd84a", 10, 0, 58, -18, 68, 0, 58, 18, grain=20)),
    ),
    Picture("food/strawberry.jpg", SQUARE, "cream>blush").showing(
        within(
            blob("tomato", *STRAWBERRY, ball=60),
            [disc("sun", x + j % 2 * 11, y, 2.5, 4.5) for _, j, x, y in cells(7, 8, 22, 20)],
        ),
        [leaf("moss", 0, -54, 40, turn) for turn in (-10, 190, 40, 140, -90)],
    ),
    Picture("food/cookie.jpg", SQUARE, "sky>sea").showing(
        within(
            disc("honey", 0, 0, 80, ball=40, grain=35), specks("cocoa", 16, 150, 150, 9, ball=40)
        )
    ),
    Picture("food/bacon.jpg", LANDSCAPE, "coal>ink").showing(
        bent(
            lambda at: at + np.sin(at[:, :1] / 15 + at[:, 1:] / 60) * (0, 5),
            [
                moved(
                    0,
                    y,
                    box("brick", 0, 0, 236, 42, 5, grain=20, ball=9),
                    box("blush", 0, -9, 236, 9),
                    box("peach", 0, 10, 236, 6),
                )
                for y in (-56, 0, 56)
            ],
        )
    ),
    Picture("food/aubergine.jpg", PORTRAIT, "cream>sand").showing(
        pear("grape", ball=70),
        curve("#ffffff60", 9, -22, -20, -34, 40, soft=4),
        [leaf("moss", 0, -96, 48, turn) for turn in (30, 60, 90, 120, 150)],
        curve("moss", 12, 0, -96, 8, -122),
    ),
    Picture("food/pear.jpg", PORTRAIT, "blush>rose").showing(
        within(pear("straw", ball=70, grain=20), disc("#62ae4a90", -30, 60, 60, soft=16)),
        curve("bark", 6, 0, -96, 10, -124),
        leaf("moss", 6, -110, 46, -10),
    ),
    Picture("food/banana.jpg", LANDSCAPE, "sky>ice").showing(
        streak("sun", 62, -92, -58, -64, 16, 10, 52, 96, 22, ball=40),
        curve("bark", 9, -90, -54, -96, -68),
    ),
    Picture("food/croissant.jpg", LANDSCAPE, "blush>rose").showing(
        streak("honey", 76, -100, 40, -66, -22, 0, -44, 66, -22, 100, 40, ball=40, grain=8),
        [curve("rust", 4, x * 0.7, -8, x, -62 + x * x / 90, soft=1) for x in range(-65, 66, 26)],
    ),
]
