"""Deep grey looks as the same picture does in 8 bits; what is no value says nothing."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from PIL import Image, TiffImagePlugin

from pictures import encoded
from tll_index.engine.images.decode import Geometry, decode

SQUARE = Geometry(64, "squash")


def grey(seed: int = 0) -> np.ndarray:
    """(120, 100) uint8: soft shapes from black to white."""
    generator = np.random.default_rng(seed)
    soft = Image.fromarray(generator.integers(0, 256, (7, 6), dtype=np.uint8))
    values = np.asarray(soft.resize((100, 120), Image.Resampling.BICUBIC)).astype(int)
    values[:4, :4], values[-4:, -4:] = 0, 255
    return values.astype(np.uint8)


def pixels(values: np.ndarray, tags: dict[int, object] | None = None) -> np.ndarray:
    info = TiffImagePlugin.ImageFileDirectory_v2()
    for tag, value in (tags or {}).items():
        info.tagtype[tag] = 2
        info[tag] = value
    return decode(encoded(Image.fromarray(values), "TIFF", tiffinfo=info), SQUARE).pixels.astype(
        int
    )


def is_like(found: np.ndarray, wanted: np.ndarray, most: float = 2.0) -> bool:
    return bool(np.abs(found - wanted).mean() < most)


@pytest.mark.parametrize("seed", range(3))
def test_any_depth_is_the_same_picture(seed: int) -> None:
    eight = grey(seed)
    wanted = pixels(eight)
    assert is_like(pixels(eight.astype(np.uint16) * 257), wanted)
    assert is_like(
        pixels((eight.astype(np.float64) * 4095 / 255).round().astype(np.uint16)), wanted
    )
    assert is_like(pixels(eight.astype(np.uint16)), wanted)
    assert is_like(pixels(eight.astype(np.float32) / 255), wanted)
    assert is_like(pixels(eight.astype(np.float32)), wanted)
    assert is_like(pixels(eight.astype(np.int32) * 257), wanted)


@pytest.mark.parametrize("nodata", [-9999.0, -99999.0, float("nan"), float("inf"), -3.4e38, 3.4e38])
@pytest.mark.parametrize("rows", [1, 40])
def test_what_is_no_value_says_nothing(nodata: float, rows: int) -> None:
    values = grey().astype(np.float32) / 255
    wanted = pixels(values)
    values[:rows, 10:60] = nodata
    found = pixels(values)
    below = slice(rows * 64 // 120 + 2, None)
    assert is_like(found[below], wanted[below])


def test_the_tag_of_no_data() -> None:
    """0 beside heights, as GDAL says it in text; and 65535 beside twelve bits, unsaid."""
    heights = 1000 + grey().astype(np.float32) * 2
    wanted = pixels(heights)
    assert wanted.max() - wanted.min() > 240
    patched = heights.copy()
    patched[:30] = 0
    assert is_like(pixels(patched, {42113: "0"})[18:], wanted[18:], 6)
    twelve = (grey().astype(np.float64) * 4095 / 255).astype(np.uint16)
    wanted = pixels(twelve)
    twelve[:30, :50] = 65535
    assert is_like(pixels(twelve)[18:], wanted[18:])


def test_a_hot_pixel_says_nothing() -> None:
    twelve = (grey().astype(np.float64) * 4000 / 255).astype(np.uint16)
    wanted = pixels(twelve)
    twelve[50, 50] = 65000
    assert is_like(pixels(twelve), wanted)


def test_signed_values_are_stretched() -> None:
    signed = grey().astype(np.int32) * 16 - 1024
    assert is_like(pixels(signed), pixels(grey()), 4)


def test_white_may_be_zero() -> None:
    """PhotometricInterpretation 0, at 8 and at 16 bits."""
    for dtype, factor in ((np.uint8, 1), (np.uint16, 257)):
        data = bytearray(
            encoded(Image.fromarray((255 - grey()).astype(dtype) * dtype(factor)), "TIFF")
        )
        start = int.from_bytes(data[4:8], "little")
        (count,) = struct.unpack_from("<H", data, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            if struct.unpack_from("<H", data, at)[0] == 262:
                struct.pack_into("<H", data, at + 8, 0)
        assert is_like(decode(bytes(data), SQUARE).pixels.astype(int), pixels(grey()))


def test_only_one_value() -> None:
    for values in (np.full((9, 9), np.nan, np.float32), np.zeros((9, 9), np.float32)):
        assert pixels(values).max() == 0
    assert pixels(np.full((9, 9), -9999, np.float32)).max() == 0


def test_shares_may_overshoot_and_light_has_no_limit() -> None:
    """What resampling adds does not turn a picture black; nor do highlights."""
    shares = grey().astype(np.float32) / 255
    wanted = pixels(shares)
    assert is_like(pixels((shares * 1.06 - 0.01).astype(np.float32)), wanted, 12)
    assert is_like(pixels(shares * 4), wanted)
