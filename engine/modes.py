"""Any of Pillow's modes -> 8-bit RGB, transparency over white; strip by strip, in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

_STRIP = 1 << 20
"""Pixels that are converted at once. What is in between takes up to 40 bytes for each of them: of
all of a picture with 178 million pixels that would be 7 GB."""


def to_rgb(image: Image.Image) -> Image.Image:
    """The picture in mode RGB; deep grey is stretched to the range that its values show."""
    if image.mode.startswith(("I", "F")):
        low, factor = _range(image)

        def scaled(strip: Image.Image) -> Image.Image:
            return Image.fromarray(((_values(strip) - low) * factor).round().astype(np.uint8))

        return _in_strips(image, scaled)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        return _in_strips(image, _over_white)
    return image if image.mode == "RGB" else image.convert("RGB")


def _strips(image: Image.Image) -> Iterator[tuple[int, Image.Image]]:
    """The picture from top to bottom: where each part begins, and the part."""
    rows = max(1, _STRIP // image.width)
    if rows >= image.height:
        yield 0, image
        return
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))


def _in_strips(image: Image.Image, convert: Callable[[Image.Image], Image.Image]) -> Image.Image:
    out = Image.new("RGB", image.size)
    for top, strip in _strips(image):
        out.paste(convert(strip).convert("RGB"), (0, top))
    return out


def _over_white(image: Image.Image) -> Image.Image:
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    return Image.alpha_composite(white, image)


def _values(image: Image.Image) -> np.ndarray:
    return np.nan_to_num(np.asarray(image).astype(np.float64), posinf=0.0, neginf=0.0)


def _range(image: Image.Image) -> tuple[float, float]:
    """What of 16-bit, 32-bit or float grey becomes 0, and the factor that makes the rest at most
    255; by the range that the values show: cameras and scanners put 8 and 12 bits into 16."""
    low, high = 0.0, -np.inf
    for _, strip in _strips(image):
        values = _values(strip)
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    for full in (1.0 if image.mode.startswith("F") else 255.0, 255.0, 4095.0, 65535.0):
        if low == 0.0 and high <= full:
            return low, 255.0 / full
    return low, 255.0 / ((high - low) or 1.0)
