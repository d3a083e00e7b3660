"""Parts of pictures: what is parsed, which pixels that is, and what a network then sees."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pictures import encoded, quadrants
from tll_index.core.errors import OutsidePictureError, UsageError
from tll_index.engine.images.crops import Crop
from tll_index.engine.images.decode import Geometry, decode, from_image

SQUARE = Geometry(size=8, fit="squash")


@pytest.mark.parametrize("text", ["1,2,3,4", " 1, 2 ,3,4 ", "1.0,2,3,4"])
def test_pixels(text: str) -> None:
    assert Crop.parse(text) == Crop(1, 2, 3, 4)


def test_percent() -> None:
    crop = Crop.parse("25%,0%,50%,10.5%")
    assert crop == Crop(25, 0, 50, 10.5, in_percent=True)
    assert crop.box(200, 1000) == (50, 0, 150, 105)
    assert str(crop) == "25%,0%,50%,10.5%"


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "1%,2,3,4", "0,0,0,5", "0,0,5,-1", "nan,0,1,1"]
)
def test_nonsense(text: str) -> None:
    with pytest.raises(UsageError, match="crop"):
        Crop.parse(text)


@given(
    x=st.floats(-50, 150),
    y=st.floats(-50, 150),
    width=st.floats(0.01, 200),
    height=st.floats(0.01, 200),
    in_percent=st.booleans(),
    size=st.tuples(st.integers(1, 120), st.integers(1, 120)),
)
def test_a_box_has_pixels_and_lies_in_the_picture(
    x: float, y: float, width: float, height: float, in_percent: bool, size: tuple[int, int]
) -> None:
    crop = Crop(x, y, width, height, in_percent)
    try:
        left, top, right, bottom = crop.box(*size)
    except OutsidePictureError:
        scale = np.array(size) / 100 if in_percent else np.ones(2)
        first, last = np.array([x, y]) * scale, np.array([x + width, y + height]) * scale
        assert (first >= np.array(size) - 0.5).any() or (last < 1.5).any()
        return
    assert 0 <= left < right <= size[0] and 0 <= top < bottom <= size[1]


@pytest.mark.parametrize(
    ("crop", "colour"),
    [
        ("0,0,40,40", (255, 0, 0)),
        ("50%,0%,50%,50%", (0, 255, 0)),
        ("0,40,40,40", (0, 0, 255)),
        ("60,60,500,500", (255, 255, 255)),  # what reaches out is left off
    ],
)
def test_a_crop_is_all_that_is_seen(crop: str, colour: tuple[int, int, int]) -> None:
    picture = decode(encoded(quadrants(), "PNG"), SQUARE, crop=Crop.parse(crop))
    assert (picture.pixels == colour).all()
    assert picture.format == "PNG"


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_crop_is_of_the_upright_picture(orientation: int) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what a camera held so would have stored
    stored = quadrants()
    if orientation > 1:
        stored = stored.transpose(Image.Transpose(undo[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, "PNG", exif=exif)
    part = decode(data, SQUARE, crop=Crop(0, 40, 60, 40))  # blue, and then white
    wanted = from_image(quadrants().crop((0, 40, 60, 80)), SQUARE)
    assert (part.pixels == wanted.pixels).all()
    assert (part.width, part.height) == (60, 40)


def test_a_crop_outside_says_how_large_the_picture_is() -> None:
    with pytest.raises(OutsidePictureError, match="80 x 80 pixels: 80,0,5,5 is outside"):
        decode(encoded(quadrants(), "PNG"), SQUARE, crop=Crop(80, 0, 5, 5))
