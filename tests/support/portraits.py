"""Pictures of faces that are free: Grace Hopper's portrait by the US Navy, which matplotlib has,
and a drawing."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import Image, ImageDraw

HOPPER_EYES = (222.0, 192.0), (307.0, 185.0)
"""Of the portrait of 512 x 600 pixels: on the left, on the right."""


@cache
def hopper() -> Image.Image:
    """In RGB, 512 x 600."""
    file = Path(matplotlib.get_data_path()) / "sample_data/grace_hopper.jpg"
    return Image.open(file).convert("RGB")


def pixels(image: Image.Image) -> np.ndarray:
    """(height, width, 3) uint8."""
    return np.asarray(image, np.uint8)


def drawn_face(side: int = 200) -> Image.Image:
    """A cartoon's face: an oval with eyes, brows, a nose and a mouth."""
    image = Image.new("RGB", (200, 200), (90, 130, 180))
    draw = ImageDraw.Draw(image)
    draw.ellipse((50, 25, 150, 180), (236, 188, 150), (90, 50, 30), 3)
    draw.pieslice((48, 15, 152, 115), 180, 360, (70, 40, 20))
    draw.ellipse((56, 60, 144, 150), (236, 188, 150))
    for left in (68, 108):
        draw.ellipse((left, 80, left + 24, 96), "white", (60, 30, 20), 2)
        draw.ellipse((left + 8, 82, left + 17, 94), (50, 30, 20))
        draw.line((left - 2, 72, left + 26, 71), (60, 30, 20), 4)
    draw.line((100, 95, 93, 122, 104, 124), (150, 90, 70), 3)
    draw.ellipse((78, 136, 122, 152), (180, 60, 60), (110, 30, 30), 2)
    return image.resize((side, side), Image.Resampling.BICUBIC)
