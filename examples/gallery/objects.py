"""The drawings of things that people make: toys, tools, clothes, vehicles."""

from __future__ import annotations

import numpy as np

from animals import eyes
from canvas import CLEAR, LANDSCAPE, PORTRAIT, SMALL, SQUARE, WIDE, Picture
from layouts import around, bent, cells, mirrored, moved, rings, specks, turned, within
from patterns import checks, gingham
from shapes import arc, blob, box, curve, disc, ground, pear, poly, streak, swell, wedge

BOTTLE_RIGHT = (11, -122, 12, -64, 30, -34, 34, 0, 33, 108)
BOTTLE_LEFT = (-33, 108, -34, 0, -30, -34, -12, -64, -11, -122)

OBJECTS = [
    Picture("objects/basketball.jpg", SQUARE, "dusk>navy").showing(
        turned(
            -20,
            within(
                disc("tangerine", 0, 0, 78, ball=60, grain=12),
                curve("ink", 4, 0, -90, 0, 90),
                curve("ink", 4, -90, 0, 90, 0),
                mirrored(arc("ink", 4, 105, 0, 72, 90, 270)),
            ),
        )
    ),
    Picture("objects/barcode.png", SMALL, "sand>clay").showing(
        box("snow", 0, 0, 220, 150, 8, ball=9),
        [box("ink", x, 0, 2.5 + x * x % 7, 116) for x in range(-90, 91, 10)],
    ),
    Picture("objects/piano-keys.jpg", WIDE, "cocoa").showing(
        [box("snow>cream", x, 10, 29, 180, 4, tube=9) for x in range(-155, 170, 31)],
        [box("coal>ink", x * 31 - 139.5, -32, 18, 110, 3, tube=50) for x in (0, 1, 3, 4, 5, 7, 8)],
        box("brick", 0, -92, 320, 16, ball=9),
    ),
    Picture("objects/umbrella.png", SQUARE, CLEAR).showing(
        curve("bark", 5, 0, -20, 0, 66, 6, 82, 20, 80, 24, 68),
        within(
            wedge("ink", 0, 14, 88, 180, 360, ball=40),
            disc("snow", 0, 14, 58, 90),
            disc("ink", 0, 14, 34, 90),
            disc("snow", 0, 14, 12, 90),
        ),
    ),
    Picture("objects/football-shirt.jpg", SQUARE, "leaf>moss").showing(
        mirrored(
            within(
                poly(
                    "snow", 0, -66, 30, -78, 62, -62, 92, -14, 66, 2, 52, -16, 52, 84, 0, 84, ball=9
                ),
                [box("ink", x, 0, 15, 220) for x in range(0, 100, 30)],
            )
        )
    ),
    Picture("objects/chess-board.png", SQUARE, "moss>pine").showing(
        box("bark", 0, 0, 186, 186, 5, grain=20, ball=9),
        box("cream", 0, 0, 164, 164),
        checks("cocoa", 8, 8, 20.5),
        [
            disc(("rose", "dusk")[j // 4], x, y, 7, ball=70)
            for i, j, x, y in cells(8, 8, 20.5)
            if (5 * i + 3 * j) % 9 == 1
        ],
    ),
    Picture("objects/finish-flag.png", LANDSCAPE, CLEAR).showing(
        bent(
            lambda at: at + np.sin(at[:, :1] / 26) * (0, 9) + (8, -26),
            box("snow", 0, 0, 216, 120, ball=9),
            checks("ink", 9, 5, 24),
        ),
        box("bark", -104, 0, 9, 190, 4, tube=70),
    ),
    Picture("objects/bottle.png", PORTRAIT, CLEAR).showing(
        blob("moss>pine", *BOTTLE_RIGHT, *BOTTLE_LEFT, tube=80),
        box("brick", 0, -112, 25, 32, 4),
        box("cream>sand", 0, 48, 67, 70, 2, tube=20),
        disc("plum", 0, 48, 16, 18, ball=60),
        curve("#ffffff70", 5, -19, -16, -22, 96, soft=2),
    ),
    Picture("objects/tent.jpg", LANDSCAPE, "navy>lilac").showing(
        specks("snow", 40, 280, 200, 1),
        disc("cream", 96, -60, 16),
        ground("moss>pine", 60),
        poly("tangerine>rust", -92, 72, 0, -66, 92, 72, ball=9),
        poly("cocoa", -34, 72, 0, -66, 34, 72),
        mirrored(poly("amber", -34, 72, 0, -66, -20, 20, -46, 72)),
    ),
    Picture("objects/party-hat.jpg", SQUARE, "blush>rose").showing(
        within(poly("sea", -62, 80, 0, -70, 62, 80, tube=50), specks("sun", 34, 150, 190, 7)),
        moved(0, -72, around(12, streak("cream", 10, 0, 0, 24, 0))),
    ),
    Picture("objects/sailing-boat.jpg", LANDSCAPE, "sky>ice").showing(
        poly("snow", -6, -84, -6, 40, -84, 40),
        poly("tomato", 4, -84, 4, 40, 66, 40),
        box("bark", 0, -20, 5, 150),
        swell("sea", 66, 3, 9, 0),
        poly("brick>cocoa", -92, 48, 86, 48, 62, 78, -66, 78),
        swell("sea>dusk", 74, 4, 12, 9),
    ),
    Picture("objects/plug-socket.jpg", SQUARE, "mint").showing(
        box("snow", 0, 0, 150, 150, 18, ball=9),
        disc("fog", 0, 0, 60, ball=9),
        mirrored(disc("ink", 24, -12, 10)),
        wedge("ink", 0, 14, 24, 0, 180),
    ),
    Picture("objects/car-front.jpg", LANDSCAPE, "sky>fog").showing(
        ground("slate>coal", 56),
        mirrored(box("ink", 72, 62, 34, 50, 8)),
        blob("tomato", -64, -10, -46, -66, 46, -66, 64, -10),
        blob("dusk", -50, -14, -38, -54, 38, -54, 50, -14),
        box("tomato>brick", 0, 22, 214, 82, 34, ball=9),
        eyes(68, 12, 22),
        box("ink", 0, 30, 78, 22, 11),
        box("cream", 0, 58, 54, 14, 3),
    ),
    Picture("objects/bowling-ball.jpg", SQUARE, "peach").showing(
        [box("straw>honey", x, 0, 33, 220, grain=20) for x in range(-102, 110, 34)],
        disc("dusk", 0, 0, 78, ball=80),
        mirrored(disc("ink", 20, -24, 10)),
        disc("ink", 0, 18, 13),
    ),
    Picture("objects/button.jpg", SQUARE, "cream>sand").showing(
        gingham("#aadfc460", 22),
        disc("rose", 0, 0, 76, ball=60),
        disc("#c95673", 0, 0, 58),
        disc("rose", 0, 0, 54),
        [disc("plum", x, y, 9) for *_, x, y in cells(2, 2, 36)],
        curve("snow", 5, -18, -18, 18, 18),
        curve("snow", 5, -18, 18, 18, -18),
    ),
    Picture("objects/lifebelt.webp", SQUARE, "sky>sea").showing(
        [swell("#1c6f9250", y, 4, 14, y * 3) for y in range(-80, 100, 30)],
        within(disc("snow", 0, 0, 82, ball=30), around(4, wedge("tomato", 0, 0, 90, 25, 65))),
        disc("#0e4f6c", 0, 0, 42),
        disc("sea", 2, 3, 40),
    ),
    Picture("objects/vinyl-record.jpg", SQUARE, "amber>tomato").showing(
        rings(*((("ink", "coal")[r % 2], r) for r in range(88, 30, -3))),
        around(2, wedge("#ffffff28", 0, 0, 86, 20, 44), wedge("#ffffff18", 0, 0, 86, 70, 80)),
        rings(("sun", 31), ("tomato", 27), ("sun", 12), ("ink", 3)),
    ),
    Picture("objects/bicycle-wheel.jpg", SQUARE, "peach").showing(
        rings(("ink", 88), ("steel", 78), ("peach", 73)),
        disc("slate", 0, 0, 9, ball=60),
        around(20, curve("slate", 1.6, 0, 6, 75, -4)),
    ),
    Picture("objects/wall-clock.jpg", SQUARE, "rose>brick").showing(
        rings(("ink", 84), ("snow", 74)),
        around(12, box("ink", 64, 0, 12, 4)),
        curve("ink", 6, 0, 0, -26, -26),
        curve("ink", 4, 0, 0, 46, -22),
        disc("tomato", 0, 0, 5),
    ),
    Picture("objects/die.jpg", SQUARE, "pine>ink").showing(
        turned(
            12,
            box("tomato", 0, 0, 130, 130, 24, ball=40),
            disc("snow", 0, 0, 14),
            [disc("snow", x, y, 14) for *_, x, y in cells(2, 2, 76)],
        )
    ),
    Picture("objects/skittle.jpg", PORTRAIT, "honey>bark").showing(
        within(pear("snow", ball=40), [box("tomato", 0, y, 120, 9) for y in (-34, -18)])
    ),
    Picture("objects/light-bulb.jpg", PORTRAIT, "dusk>navy").showing(
        disc("#ffd04a70", 0, -36, 90, soft=20),
        turned(180, pear("sun>amber", ball=30)),
        curve("rust", 3, -14, 40, -20, -40, 0, -56, 20, -40, 14, 40),
        disc("ink", 0, 102, 14, 7),
        [box("steel", 0, y, 50, 10, 5, tube=70) for y in (72, 83, 94)],
    ),
]
