"""What is laid behind a picture with transparency: white, unless its visible pixels are white too.

Six white logos on nothing would all be the same white square. So the background falls from white to
black as what is visible comes near to white, by a rule without jumps:

    contrast    root of the mean square of how far from white a visible pixel ends up on white (its
                farthest channel), each weighted by how visible it is: 0 for a white logo
    openness    share of the picture that is transparent
    background  255 x (1 - d x o): d rises from 0 at a contrast of 64 to 1 at 32, o from 0 at an
                openness of 0.02 to 1 at 0.10

What has some colour, line or shadow to be told by keeps its white; so does a sheet of white paper
with rounded corners. A picture without a transparent pixel is not changed at all.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

_SIDE = 256
"""Of the pixels that are looked at: at most so many rows, so many columns."""

_ENOUGH, _NONE = 64.0, 32.0
_CLOSED, _OPEN = 0.02, 0.10

_MAY_HAVE_EMPTY_ALPHA = frozenset(("BMP", "DIB", "ICO", "CUR", "TGA", "DDS"))
"""Formats whose fourth byte many programs leave 0: nobody means that nothing is to be seen."""


def with_alpha(image: Image.Image) -> Image.Image:
    """A picture with transparency of any of Pillow's kinds, in RGBA; not associated."""
    if image.mode == "La":
        image = image.convert("LA")
    return image.convert("RGBA")


def has_empty_alpha(image: Image.Image) -> bool:
    """Whether its alpha is 0 everywhere in a format where that means nothing."""
    if image.mode != "RGBA" or image.format not in _MAY_HAVE_EMPTY_ALPHA:
        return False
    return image.getchannel("A").getextrema() == (0, 0)


def background_of(image: Image.Image) -> int:
    """The grey, 0 to 255, that is laid behind a picture with transparency."""
    columns, rows = (np.linspace(0, side - 1, min(side, _SIDE)).round() for side in image.size)
    small = image
    if max(image.size) > _SIDE:
        size = len(columns), len(rows)
        small = with_alpha(image.resize(size, Image.Resampling.NEAREST))
    values = np.asarray(with_alpha(small), np.float32)
    alpha = values[..., 3] / 255
    visible = float(alpha.sum())
    if not visible:
        return 255
    distance = alpha * (255 - values[..., :3].min(axis=-1))
    contrast = float(np.sqrt((alpha * distance**2).sum() / visible))
    dark = np.clip((_ENOUGH - contrast) / (_ENOUGH - _NONE), 0, 1)
    is_open = np.clip((1 - alpha.mean() - _CLOSED) / (_OPEN - _CLOSED), 0, 1)
    return round(255 * (1 - float(dark * is_open)))
