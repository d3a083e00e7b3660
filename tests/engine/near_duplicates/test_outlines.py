"""Outlines: the same picture in another size, quality or frame, and no other."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageEnhance
from sklearn.datasets import load_sample_image

from pictures import encoded
from tll_index.engine.images.decode import decode
from tll_index.engine.near_duplicates.outlines import (
    OUTLINE_GEOMETRY,
    SIDE,
    likeness,
    likeness_of_parts,
    outline,
)

SAME = 0.92


@pytest.fixture(scope="module", params=["china.jpg", "flower.jpg"])
def photo(request: pytest.FixtureRequest) -> Image.Image:
    return Image.fromarray(load_sample_image(request.param))


def drawn(image: Image.Image, format: str = "PNG", **options: object) -> np.ndarray:
    """(1, SIDE, SIDE): its outline, after a way through a file."""
    return outline(decode(encoded(image, format, **options), OUTLINE_GEOMETRY).pixels)[None]


def alike(one: Image.Image, other: Image.Image, **options: object) -> float:
    return float(likeness(drawn(one), drawn(other, **options))[0])


def alike_in_part(one: Image.Image, other: Image.Image) -> float:
    stretch = np.array([other.width / other.height / (one.width / one.height)])
    return float(likeness_of_parts(drawn(one), drawn(other), stretch)[0])


def part(image: Image.Image, left: float, top: float, right: float, bottom: float) -> Image.Image:
    """What is left after cutting these shares off its sides."""
    width, height = image.size
    edges = left * width, top * height, (1 - right) * width, (1 - bottom) * height
    return image.crop(tuple(map(round, edges)))


@pytest.mark.parametrize("quality", [75, 50, 30, 10])
def test_compression_changes_little(photo: Image.Image, quality: int) -> None:
    assert alike(photo, photo, format="JPEG", quality=quality) > 0.97


@pytest.mark.parametrize("factor", [0.1, 0.25, 0.5, 2])
def test_size_changes_little(photo: Image.Image, factor: float) -> None:
    small = photo.resize((round(photo.width * factor), round(photo.height * factor)))
    assert alike(photo, small) > 0.95


@pytest.mark.slow_after_first
def test_light_contrast_and_colour_change_little(photo: Image.Image) -> None:
    for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
        assert alike(photo, kind(photo).enhance(0.7)) > 0.95


@pytest.mark.parametrize(
    "cut", [(0.03,) * 4, (0.1,) * 4, (0, 0.15, 0, 0), (0.2, 0, 0, 0), (0.12, 0.02, 0, 0.1)]
)
@pytest.mark.slow_after_first
def test_a_part_is_found_in_its_whole(photo: Image.Image, cut: tuple[float, ...]) -> None:
    some = part(photo, *cut)
    assert alike_in_part(photo, some) > SAME
    assert alike_in_part(some, photo) > SAME
    assert alike(photo, some) < alike_in_part(photo, some)


@pytest.mark.slow_after_first
def test_other_pictures_are_not_alike(photo: Image.Image) -> None:
    halves = photo.crop((0, 0, 320, 427)), photo.crop((320, 0, 640, 427))
    turned = photo.transpose(Image.Transpose.ROTATE_180)
    for one, other in (halves, (photo, turned), (photo, photo.transpose(0))):
        assert alike(one, other) < 0.5
        assert alike_in_part(one, other) < SAME


def test_bars_do_not_make_pictures_alike(photo: Image.Image) -> None:
    other = photo.transpose(Image.Transpose.ROTATE_180)
    framed = [Image.new("RGB", (640, 640)) for _ in range(2)]
    for frame, inside in zip(framed, (photo, other), strict=True):
        frame.paste(inside, (0, 106))
    assert alike(*framed) < SAME


def test_nothing_to_see_is_like_nothing() -> None:
    for grey in (0, 128, 255):
        blank = Image.new("RGB", (60, 40), (grey,) * 3)
        assert abs(alike(blank, blank)) < 1e-3 > alike_in_part(blank, blank)


def test_what_another_shape_rules_out(photo: Image.Image) -> None:
    """A part that keeps a tenth of the height isn't looked for, nor one wider than its whole."""
    assert alike_in_part(photo, part(photo, 0, 0.9, 0, 0)) == 0


@pytest.mark.slow_after_first
def test_any_number_at_once(photo: Image.Image) -> None:
    one = drawn(photo)
    many = np.repeat(one, 700, axis=0)
    assert np.allclose(likeness(many, many), 1, atol=1e-5)
    assert np.allclose(likeness_of_parts(many, many, np.ones(700)), 1, atol=1e-3)
    none = np.empty((0, SIDE, SIDE), np.uint8)
    assert likeness(none, none).shape == likeness_of_parts(none, none, np.ones(0)).shape == (0,)
