"""The drawings of places: landscapes, seas, skies, walls and floors."""

from __future__ import annotations

import math

from canvas import LANDSCAPE, SQUARE, WIDE, Picture
from layouts import around, bent, cells, mirrored, moved, specks, turned, within
from outlines import rotated
from patterns import checks, scales
from shapes import box, curve, disc, ground, poly, spiral, streak, swell

BRICKS = ("brick", "rust", "#963325")
BIRCHES = ((-118, 20), (-84, 14), (-46, 26), (-8, 13), (24, 22), (62, 14), (99, 28))  # x, width

PLACES = [
    Picture("places/sunset.jpg", WIDE, "plum>amber").showing(
        disc("#ffd04a70", 0, 10, 80, soft=14),
        disc("amber>tomato", 0, 5, 60),
        ground("dusk>navy", 35),
        [box("#ffab2ec0", 9 * math.sin(y), y, 118 - y, 3, 1) for y in range(40, 100, 8)],
    ),
    Picture("places/mars.jpg", SQUARE, "ink>navy").showing(
        specks("snow", 60, 200, 200, 0.9),
        within(
            disc("tangerine>rust", 0, 0, 74, ball=50, grain=40),
            [curve("#7e2f1b90", 9, -90, y, -20, y + 9, 30, y - 6, 90, y) for y in (-34, 6, 40)],
            specks("#8c351e70", 14, 150, 150, 7),
            disc("snow", 6, -74, 34, 13, soft=2),
        ),
    ),
    Picture("places/zebra-crossing.jpg", WIDE, "fog").showing(
        box("slate>coal", 0, 4, 320, 160, grain=30),
        [
            poly("snow", x * 0.6 - 8, -62, x * 0.6 + 8, -62, x + 14, 74, x - 14, 74, grain=12)
            for x in range(-200, 210, 50)
        ],
    ),
    Picture("places/birch-wood.jpg", LANDSCAPE, "mint>pine").showing(
        ground("moss>pine", 64, grain=50),
        [
            within(
                box("snow", x, 0, width, 190, tube=60),
                [
                    streak("ink", 5, x + y * 7 % 25 - 21, y, x + y * 7 % 25 - 3, y + 2)
                    for y in range(-90 + x % 9, 90, 15)
                ],
            )
            for x, width in BIRCHES
        ],
    ),
    Picture("places/kitchen-floor.jpg", WIDE, "cream>snow").showing(
        bent(
            lambda at: (at * (85, 0) + (0, 6500)) / (145 - at[:, 1:]) - (0, 90),
            checks("coal", 30, 12, 24),
        ),
        ground("mint>sea", -250),
        box("snow", 0, -50, 320, 9, ball=9),
    ),
    Picture("places/brick-wall.jpg", LANDSCAPE, "sand").showing(
        [
            box(BRICKS[(2 * i + j) % 3], x + j % 2 * 22, y, 40, 18, 2, grain=30, ball=9)
            for i, j, x, y in cells(8, 10, 44, 22)
        ]
    ),
    Picture("places/galaxy.jpg", WIDE, "ink>navy").showing(
        specks("snow", 110, 300, 200, 0.9),
        bent(
            lambda at: rotated(at * (1.35, 0.75), -14),
            disc("#b9a4da50", 0, 0, 60, soft=20),
            around(2, spiral("#b9a4da90", 22, 4, 92, 1.3, soft=9)),
            around(2, spiral("lilac", 6, 4, 92, 1.3, soft=3)),
            disc("cream", 0, 0, 18, soft=8),
        ),
    ),
    Picture("places/mountain.jpg", LANDSCAPE, "sky>ice").showing(
        poly("steel>slate", -150, 80, -80, -20, 0, 80),
        disc("sun", 92, -62, 18),
        within(
            poly("slate>dusk", -100, 80, 0, -78, 112, 80, grain=25),
            poly("snow", -60, -20, -20, -8, 0, -26, 24, -4, 50, -24, 20, -120, -30, -120),
        ),
        swell("moss>pine", 66, 6, 24, 0),
    ),
    Picture("places/pyramids.jpg", WIDE, "sky>peach").showing(
        disc("cream", -100, -56, 17),
        ground("sand>honey", 50, grain=15),
        [
            moved(
                x,
                y,
                poly("straw", -96, 0, 0, -124, 30, 10, grain=20),
                poly("clay", 0, -124, 30, 10, 96, 0, grain=20),
                scale=size,
            )
            for x, y, size in ((96, 52, 0.55), (-14, 62, 1))
        ],
    ),
    Picture("places/cottage.jpg", LANDSCAPE, "sky>ice").showing(
        ground("leaf>moss", 62),
        box("brick", 52, -66, 20, 50),
        box("cream", 0, 22, 160, 104, ball=9),
        box("tomato", 0, 50, 30, 50, 6),
        poly("brick>rust", -98, -22, -58, -86, 58, -86, 98, -22, grain=25, ball=9),
        mirrored(
            box("snow", 46, 12, 44, 40),
            [box("dusk", 46 + x, 12 + y, 16, 14) for *_, x, y in cells(2, 2, 18, 16)],
        ),
    ),
    Picture("places/moon.jpg", SQUARE, "ink>navy").showing(
        specks("snow", 60, 200, 200, 0.9),
        within(
            disc("fog", 0, 0, 80, ball=50, grain=25), specks("steel", 22, 160, 160, 9, ball=-50)
        ),
    ),
    Picture("places/rough-sea.jpg", WIDE, "peach>cream").showing(
        [
            (swell("snow", -32 + i * 24, 9, 15, i * 37), swell(paint, -28 + i * 24, 9, 15, i * 37))
            for i, paint in enumerate(("sky", "#5aa9cf", "#3f8fb5", "sea", "dusk", "navy"))
        ]
    ),
    Picture("places/desert-dunes.jpg", WIDE, "sky>cream").showing(
        disc("snow", 84, -58, 15),
        [
            swell(paint, -20 + i * 30, 14, 34 + i * 4, i * 80, grain=15, ball=9)
            for i, paint in enumerate(("sand", "straw", "honey>clay", "clay>rust"))
        ],
    ),
    Picture("places/roof-tiles.jpg", LANDSCAPE, "rust").showing(
        turned(180, scales(34, ("cocoa", 0.53), ("rust", 0.48), ("tangerine", 0.36), ("rust", 0.3)))
    ),
    Picture("places/calm-sea.jpg", WIDE, "sky>cream").showing(
        ground("sea>mint", 10),
        ground("cream>sand", 82),
        poly("snow", 70, -14, 70, 8, 56, 8),
    ),
    Picture("places/crescent-moon.jpg", LANDSCAPE, "navy").showing(
        specks("snow", 50, 280, 200, 1),
        disc("cream", 0, 0, 74, grain=20),
        disc("navy", 30, -14, 66),
    ),
]
