"""TIFF files that Pillow can't read, by tifffile and imagecodecs; the extra `more`.

Float or 32-bit colour, many bands, 64-bit grey, WebP or JPEG 2000 inside. Of 37 such kinds, made by
tifffile, Pillow reads 15, libvips 26 and these two 37, which is why they were chosen.
"""

from __future__ import annotations

import io
import logging
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from .grey_range import NODATA_TAG, grey_range, nodata_of

_SAMPLES = 1 << 20
_MOST_BYTES = 64
"""Of a pixel, all its bands together."""

_MIN_IS_WHITE, _CMYK = 0, 5
_PLANES = 2
_ALPHA = {1: "a", 2: "A"}
"""An extra band -> the letter of Pillow's modes: colours are multiplied with alpha, or not."""


@lru_cache(maxsize=1)
def library() -> Any:
    """tifffile, quiet; None where it or imagecodecs is not installed."""
    try:
        import imagecodecs  # noqa: F401  (which tifffile decodes with)
        import tifffile
    except ImportError:
        return None
    logging.getLogger("tifffile").setLevel(logging.CRITICAL)
    return tifffile


def opened(data: bytes) -> Any:
    """The first page of a TIFF, its header read and no pixel.

    Raises:
        Exception: whatever tifffile raises of a file that it can't read.
    """
    page = library().TiffFile(io.BytesIO(data)).pages[0]
    if page.dtype is None or page.imagedepth != 1:
        raise ValueError("no samples of one type")
    if page.dtype.itemsize * page.samplesperpixel > _MOST_BYTES:
        raise ValueError(f"more than {_MOST_BYTES} bytes a pixel")
    return page


def decoded(page: Any) -> Image.Image:
    """Its pixels as they lie in the file: grey or RGB of 8 bits, with alpha if that is what the
    next band is (modes LA, La, RGBA, RGBa); of other bands the first.

    Raises:
        Exception: as `opened`.
    """
    values = page.asarray(maxworkers=1)
    if values.ndim == 2:
        values = values[..., None]
    elif page.planarconfig == _PLANES:
        values = np.moveaxis(values, 0, -1)
    if values.dtype.kind == "c":
        values = np.abs(values)
    photometric, bands = int(page.photometric), values.shape[2]
    if photometric == _CMYK and bands >= 4:
        pixels = _in_bytes(values[..., :4], None)
        inks = [Image.fromarray(np.ascontiguousarray(pixels[..., ink])) for ink in range(4)]
        image = Image.merge("CMYK", inks).convert("RGB")
    else:
        colours = 3 if bands >= 3 else 1
        tag = page.tags.get(NODATA_TAG)
        pixels = _in_bytes(values[..., :colours], None if tag is None else nodata_of(tag.value))
        if photometric == _MIN_IS_WHITE:
            pixels = 255 - pixels
        image = Image.fromarray(pixels if colours == 3 else pixels[..., 0])
        if bands == colours + 1 and (how := _ALPHA.get(int((*page.extrasamples, 0)[0]))):
            alpha = Image.fromarray(_shares(values[..., -1]))
            image = Image.merge(image.mode + how, (*image.split(), alpha))
    image.format = "TIFF"
    if (orientation := page.tags.get(0x0112)) is not None:
        image.getexif()[0x0112] = orientation.value
    return image


def _in_bytes(values: np.ndarray, nodata: float | None) -> np.ndarray:
    """(height, width, bands) of any numbers -> uint8, all bands alike."""
    if values.dtype == np.uint8:
        return np.ascontiguousarray(values)
    if values.dtype == np.bool_:
        return values.astype(np.uint8) * np.uint8(255)
    step = max(1, int((values.size / _SAMPLES) ** 0.5))
    low, high = grey_range(
        values[::step, ::step].astype(np.float64),
        nodata,
        is_float=values.dtype.kind == "f",
        is_measured=values.dtype != np.uint16,
    )
    out = np.empty(values.shape, np.uint8)
    for at in range(0, len(values), 64):
        some = (values[at : at + 64].astype(np.float64) - low) * (255 / (high - low))
        out[at : at + 64] = np.nan_to_num(some, nan=0, posinf=255, neginf=0).clip(0, 255).round()
    return out


def _shares(alpha: np.ndarray) -> np.ndarray:
    """(height, width) of any numbers -> uint8: 255 of the whole of their type."""
    whole = 1.0 if alpha.dtype.kind == "f" else float(np.iinfo(alpha.dtype).max)
    return (np.nan_to_num(alpha.astype(np.float32)) / whole * 255).clip(0, 255).astype(np.uint8)
