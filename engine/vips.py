"""TIFF files that Pillow can't read, through libvips; the extra `more` (pyvips)."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from .greys import grey_range

_SAMPLES = 1 << 20


@lru_cache(maxsize=1)
def library() -> Any:
    """pyvips, quiet and within bounds; None where it is not installed."""
    # Read when it is loaded: threads of its own would take the other decoders' cores.
    os.environ.setdefault("VIPS_CONCURRENCY", "1")
    try:
        import pyvips
    except Exception:  # ImportError; OSError where the package is there and the library is not
        return None
    pyvips.cache_set_max(0)
    pyvips.block_untrusted_set(True)  # libvips' own list of loaders that nobody has fuzzed
    return pyvips


def failures() -> type[Exception]:
    """What is raised where a file can't be read."""
    return library().Error


def opened(data: bytes) -> Any:
    """A TIFF, its header read and no pixel; None without the extra.

    Raises:
        pyvips.Error: libvips can't read it either.
    """
    pyvips = library()
    if pyvips is None:
        return None
    return pyvips.Image.tiffload_buffer(data, access="sequential", fail_on="error")


def decoded(opened: Any) -> Image.Image:
    """Its pixels, upright: grey or RGB of 8 bits, or with an alpha.

    Raises:
        pyvips.Error: they can't be read.
    """
    image = opened.autorot() if opened.get_typeof("orientation") else opened
    if image.interpretation in ("cmyk", "lab", "labs"):
        image = image.colourspace("srgb")
    has_alpha = image.hasalpha()
    if image.bands > 4 or (image.bands == 2 and not has_alpha):
        image = image.extract_band(0, n=3 if image.bands > 4 else 1)
    pixels = np.asarray(image.numpy())
    if pixels.dtype.kind == "c":
        pixels = np.abs(pixels)
    if pixels.dtype != np.uint8:
        pixels = _in_bytes(pixels)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[..., 0]
    found = Image.fromarray(pixels)
    found.format = "TIFF"
    return found


def _in_bytes(pixels: np.ndarray) -> np.ndarray:
    is_float = pixels.dtype.kind == "f"
    step = max(1, int(np.sqrt(pixels.size / _SAMPLES)))
    sample = pixels[::step, ::step].astype(np.float64)
    is_measured = pixels.dtype != np.uint16
    low, high = grey_range(sample, is_float=is_float, is_measured=is_measured)
    out = np.empty(pixels.shape, np.uint8)
    for at in range(0, len(pixels), 64):
        values = (pixels[at : at + 64].astype(np.float64) - low) * (255 / (high - low))
        out[at : at + 64] = np.nan_to_num(values, posinf=255).clip(0, 255).round()
    return out
