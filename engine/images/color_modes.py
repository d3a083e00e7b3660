"""Any of Pillow's modes -> 8-bit RGB; strip by strip, in little memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from PIL import Image

from .backgrounds import background_of, has_empty_alpha, with_alpha
from .formats.grey_range import NODATA_TAG, grey_range, nodata_of

CONVERSION = 2
"""Which rules make RGB of transparency and of deep grey. 1, until 0.1: always over white; deep grey
by its extremes. 2: a background by the picture (`backgrounds.py`); deep grey by those of its values
that are of the picture (`greys.py`). A store goes on with the rules that made it."""

_STRIP = 1 << 20
"""Pixels that are converted at once. What is in between takes up to 40 bytes for each of them: of
all of a picture with 178 million pixels that would be 7 GB."""

_SAMPLES = 1 << 20
"""Pixels of deep grey that its range is told by; up to four times as many are looked at."""


def to_rgb(image: Image.Image, conversion: int = CONVERSION) -> Image.Image:
    """The picture in mode RGB, by the rules of `conversion`."""
    if image.mode.startswith(("I", "F")):
        return _deep(image) if conversion > 1 else _deep_by_extremes(image)
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        if conversion > 1 and has_empty_alpha(image):
            return image.convert("RGB")
        grey = background_of(image) if conversion > 1 else 255
        return _in_strips(image, lambda strip: _over(strip, grey))
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


def _over(image: Image.Image, grey: int) -> Image.Image:
    image = with_alpha(image)
    behind = Image.new("RGBA", image.size, (grey, grey, grey, 255))
    return Image.alpha_composite(behind, image)


def _deep(image: Image.Image) -> Image.Image:
    tags = getattr(image, "tag_v2", {})
    nodata = nodata_of(tags.get(NODATA_TAG))
    is_float = image.mode.startswith("F")
    is_measured = not image.mode.startswith("I;16")
    low, high = grey_range(_sample(image), nodata, is_float=is_float, is_measured=is_measured)
    # Pillow turns "white is zero" around only where there are 8 bits or fewer.
    is_negative = tags.get(262) == 0

    def scaled(strip: Image.Image) -> Image.Image:
        values = np.asarray(strip).astype(np.float64)
        values = (values - low) * (255.0 / (high - low))
        values = np.nan_to_num(values, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255)
        bytes_ = values.round().astype(np.uint8)
        return Image.fromarray(255 - bytes_ if is_negative else bytes_)

    return _in_strips(image, scaled)


def _sample(image: Image.Image) -> np.ndarray:
    """Values of a picture, in rows and columns at equal distances: at most some 4 million."""
    step = max(1, int((image.width * image.height / _SAMPLES) ** 0.5))
    strips = [
        np.asarray(strip)[-top % step :: step, ::step].astype(np.float64)
        for top, strip in _strips(image)
    ]
    return np.concatenate(strips)


def _deep_by_extremes(image: Image.Image) -> Image.Image:
    low, factor = _range(image)

    def scaled(strip: Image.Image) -> Image.Image:
        return Image.fromarray(((_values(strip) - low) * factor).round().astype(np.uint8))

    return _in_strips(image, scaled)


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
