"""A picture with transparency shows what is visible of it; an opaque one is not touched."""

from __future__ import annotations

import io
import struct

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from pictures import encoded, noise
from tll_index.engine.images.backgrounds import background_of
from tll_index.engine.images.decode import Geometry, decode, smaller, thumbnail

SQUARE = Geometry(64, "squash")
OLD = Geometry(64, "squash", conversion=1)


def logo(colour: tuple[int, int, int], kind: int = 0, side: int = 200) -> Image.Image:
    """A shape of one colour on nothing."""
    image = Image.new("RGBA", (side, side), (*colour, 0))
    draw = ImageDraw.Draw(image)
    box = (side // 5, side // 5, side * 4 // 5, side * 4 // 5)
    [
        draw.ellipse,
        draw.rectangle,
        lambda at, fill: draw.regular_polygon((side / 2, side / 2, side / 3), 3, fill=fill),
    ][kind % 3](box, fill=(*colour, 255))
    return image


def set_tag(tiff: bytearray, tag: int, value: int) -> None:
    """Change one short value of the first directory."""
    start = int.from_bytes(tiff[4:8], "little")
    (count,) = struct.unpack_from("<H", tiff, start)
    for at in range(start + 2, start + 2 + 12 * count, 12):
        if struct.unpack_from("<H", tiff, at)[0] == tag:
            struct.pack_into("<H", tiff, at + 8, value)


def pixels(image: Image.Image, geometry: Geometry = SQUARE, format: str = "PNG") -> np.ndarray:
    return decode(encoded(image, format), geometry).pixels.astype(int)


def test_white_logos_differ() -> None:
    found = [pixels(logo((255, 255, 255), kind)) for kind in range(3)]
    for one in range(3):
        assert found[one].min() == 0 and found[one].max() == 255
        assert np.abs(found[one] - found[one - 1]).mean() > 10
        assert (pixels(logo((255, 255, 255), one), OLD) == 255).all()  # all the same, then


@pytest.mark.parametrize(
    "colour",
    [(0, 0, 0), (200, 30, 30), (30, 90, 200), (255, 220, 0), (128, 128, 128), (180, 180, 180)],
)
def test_what_white_shows_keeps_its_white(colour: tuple[int, int, int]) -> None:
    assert background_of(logo(colour)) == 255
    assert (pixels(logo(colour)) == pixels(logo(colour), OLD)).all()


def test_photographs_that_are_cut_out_keep_their_white() -> None:
    image = noise(3, 200, 200).convert("RGBA")
    mask = logo((0, 0, 0)).getchannel("A")
    image.putalpha(mask)
    assert background_of(image) == 255


def test_rounded_corners_keep_their_white() -> None:
    sheet = Image.new("RGBA", (300, 200), "white")
    mask = Image.new("L", sheet.size)
    ImageDraw.Draw(mask).rounded_rectangle((0, 0, 299, 199), 12, fill=255)
    sheet.putalpha(mask)
    assert background_of(sheet) == 255


def test_there_is_no_jump() -> None:
    """A shade lighter is a shade darker behind, from white to black."""
    found = [background_of(logo((grey, grey, grey))) for grey in range(150, 256)]
    assert found[0] == 255 and found[-1] == 0
    steps = -np.diff(found)
    assert steps.min() >= 0 and steps.max() <= 9


def test_shadows_and_gradients() -> None:
    shape = logo((255, 255, 255))
    shadow = Image.new("RGBA", shape.size)
    shadow.putalpha(
        shape.getchannel("A").filter(ImageFilter.GaussianBlur(12)).point(lambda a: a // 2)
    )
    both = Image.alpha_composite(shadow, shape)
    assert pixels(both).std() > 15
    fading = logo((255, 255, 255), 1)
    fading.putalpha(fading.getchannel("A").point(lambda a: a // 3))
    assert pixels(fading).max() > 80  # a third of white, on black


@pytest.mark.parametrize("mode", ["RGBA", "LA", "RGB", "L", "P", "CMYK", "1"])
@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_opaque_pictures_are_the_same_to_the_bit(mode: str, format: str) -> None:
    if (mode, format) == ("CMYK", "PNG"):
        pytest.skip("there is none")
    for light in (False, True):
        image = noise(5, 90, 70) if not light else Image.new("RGB", (90, 70), (250, 250, 250))
        data = encoded(image.convert(mode), format)
        assert (decode(data, SQUARE).pixels == decode(data, OLD).pixels).all()


@pytest.mark.parametrize("quality", [50, 95])
def test_jpegs_are_the_same_to_the_bit(quality: int) -> None:
    data = encoded(noise(5, 300, 200), "JPEG", quality=quality)
    assert (decode(data, SQUARE).pixels == decode(data, OLD).pixels).all()


def test_every_kind_of_transparency() -> None:
    white = logo((255, 255, 255))
    wanted = pixels(white)
    assert np.abs(pixels(white.convert("LA")) - wanted).max() <= 1
    palette = Image.new("P", white.size, 0)
    palette.putpalette([255, 255, 255, 255, 255, 255])
    palette.paste(1, mask=white.getchannel("A"))
    for format in ("PNG", "GIF"):
        data = encoded(palette, format, transparency=0)
        assert np.abs(decode(data, SQUARE).pixels.astype(int) - wanted).mean() < 3
    for mode in ("RGBA", "LA"):  # associated: colours are multiplied with alpha
        data = bytearray(encoded(white.convert(mode), "TIFF"))
        set_tag(data, 338, 1)
        assert np.abs(decode(bytes(data), SQUARE).pixels.astype(int) - wanted).mean() < 3
    for format in ("WEBP", "AVIF"):
        found = decode(
            encoded(white, format, **({"lossless": True} if format == "WEBP" else {})), SQUARE
        )
        assert np.abs(found.pixels.astype(int) - wanted).mean() < 6


@pytest.mark.parametrize("format", ["BMP", "TGA", "ICO"])
def test_an_alpha_of_nothing_is_none(format: str) -> None:
    image = noise(2, 64, 64).convert("RGBA")
    image.putalpha(0)
    options = {"bitmap_format": "bmp", "sizes": [(64, 64)]} if format == "ICO" else {}
    found = decode(encoded(image, format, **options), SQUARE).pixels
    assert (found == decode(encoded(noise(2, 64, 64), "PNG"), SQUARE).pixels).all()


def test_small_pictures_have_the_same_background() -> None:
    data = encoded(logo((255, 255, 255)), "PNG")
    small = np.asarray(Image.open(io.BytesIO(thumbnail(data, 64))), int)
    assert np.abs(small - decode(data, SQUARE).pixels).mean() < 4
    assert np.asarray(smaller(data, 64)).min() == 0
