"""The faster way to make a square gives Pillow's pixels, and Pillow where it is missing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_sample_image

from pictures import encoded
from tll_index.engine.images import resizing
from tll_index.engine.images.decode import Geometry, decode, from_image
from tll_index.engine.images.resizing import RESAMPLING, resized

SIZES = [(640, 427), (300, 200), (100, 80), (2000, 60), (1280, 854), (299, 299)]
"""Larger, smaller, longish and just right."""


def picture(width: int, height: int) -> Image.Image:
    whole = Image.fromarray(load_sample_image("china.jpg"))
    return whole.resize((width, height), Image.Resampling.LANCZOS)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    yield
    resizing._fast_resize.cache_clear()


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_pillows(size: tuple[int, int]) -> None:
    image = picture(*size)
    wanted = np.asarray(image.resize((299, 299), RESAMPLING["bicubic"])).astype(int)
    found = resized(image, 299, "bicubic")
    assert found.shape == (299, 299, 3) and found.dtype == np.uint8
    difference = np.abs(found.astype(int) - wanted)
    assert difference.mean() < 0.05 and difference.max() <= 8
    wanted = np.asarray(image.resize((299, 299), RESAMPLING["bilinear"]))
    assert (resized(image, 299, "bilinear") == wanted).all()


def test_without_it_pillow_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    resizing._fast_resize.cache_clear()
    monkeypatch.setattr(resizing, "is_installed", lambda name: False)
    image = picture(640, 427)
    wanted = np.asarray(image.resize((299, 299), RESAMPLING["bicubic"]))
    assert (resized(image, 299, "bicubic") == wanted).all()


def test_few_pixels_are_pillows_own() -> None:
    image = picture(3, 2)
    wanted = np.asarray(image.resize((299, 299), RESAMPLING["bicubic"]))
    assert (resized(image, 299, "bicubic") == wanted).all()


def test_a_turned_picture_is_turned_after_it_was_resized() -> None:
    """As ever, and rows that are not told to be fast keep Pillow to the bit."""
    slow = Geometry(size=64, fit="squash")
    fast = replace(slow, fast=True)
    image = picture(300, 200)
    exif = Image.Exif()
    exif[0x0112] = 6
    data = encoded(image, "PNG", exif=exif)
    turned, upright = decode(data, fast), from_image(image, fast)
    assert (turned.width, turned.height) == (200, 300)
    assert (turned.pixels == np.rot90(upright.pixels, -1)).all()
    wanted = np.asarray(image.resize((64, 64), RESAMPLING["bicubic"]))
    assert (from_image(image, slow).pixels == wanted).all()
