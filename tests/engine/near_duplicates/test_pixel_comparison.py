"""A close look: light, size, compression, marks and tints are the same; other colours are not."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageEnhance, ImageFont, ImageOps
from sklearn.datasets import load_sample_image

from pictures import encoded
from tll_index.engine.images.decode import decode
from tll_index.engine.near_duplicates.boxes import WHOLE, Box
from tll_index.engine.near_duplicates.framing import content_box
from tll_index.engine.near_duplicates.orientation import ORIENTATIONS, UPRIGHT, Orientation
from tll_index.engine.near_duplicates.pixel_comparison import COMPARISON_GEOMETRY, Sight, agreement
from tll_index.engine.near_duplicates.registration import registered

Change = Callable[[Image.Image], Image.Image]


@pytest.fixture(scope="module", params=["china.jpg", "flower.jpg"])
def photo(request: pytest.FixtureRequest) -> Image.Image:
    return Image.fromarray(load_sample_image(request.param)).resize((400, 267))


def seen(image: Image.Image, box: Box = WHOLE, turned: bool = False, **options: object) -> Sight:
    picture = decode(encoded(image, **({"format": "PNG"} | options)), COMPARISON_GEOMETRY)
    return Sight(picture.pixels, picture.width, picture.height, box, turned)


def lettered(image: Image.Image, text: str, ink: tuple[int, ...], top: float = 0.4) -> Image.Image:
    layer = Image.new("RGBA", image.size)
    size = ImageFont.load_default(image.width / 8)
    at = image.width / 2, top * image.height
    ImageDraw.Draw(layer).text(at, text, ink, size, anchor="ma")
    return Image.alpha_composite(image.convert("RGBA"), layer).convert("RGB")


def toned(image: Image.Image) -> Image.Image:
    return ImageOps.colorize(image.convert("L"), (40, 20, 0), (255, 240, 200))


def warmer(image: Image.Image) -> Image.Image:
    channels = zip(image.split(), (1.15, 1, 0.8), strict=True)
    return Image.merge(
        "RGB", [one.point(lambda v, by=by: min(255, int(v * by))) for one, by in channels]
    )


CHANGES: dict[str, Change] = {
    "smaller": lambda image: image.resize((133, 89)),
    "larger": lambda image: image.resize((1000, 667)),
    "brighter": lambda image: image.point(lambda v: min(255, int(1.15 * v + 8))),
    "darker": lambda image: ImageEnhance.Brightness(image).enhance(0.6),
    "paler": lambda image: ImageEnhance.Color(image).enhance(0.4),
    "grey": lambda image: image.convert("L").convert("RGB"),
    "toned": toned,
    "warmer": warmer,
    "marked in white": lambda image: lettered(image, "SAMPLE", (255, 255, 255, 128)),
    "marked in black": lambda image: lettered(image, "(c) somebody", (0, 0, 0, 150), 0.8),
    "signed": lambda image: lettered(image, "(c) me", (255, 255, 255, 255), 0.85),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.slow_after_first
def test_a_changed_photograph_is_the_same(photo: Image.Image, change: str) -> None:
    for one, other in ((photo, CHANGES[change](photo)), (CHANGES[change](photo), photo)):
        assert agreement(seen(one), seen(other)) > 0.95


@pytest.mark.parametrize("quality", [75, 30, 15])
def test_compression_is_the_same(photo: Image.Image, quality: int) -> None:
    assert agreement(seen(photo), seen(photo, format="JPEG", quality=quality)) > 0.95


def test_two_captions_are_not_one_caption(photo: Image.Image) -> None:
    """Each is the photograph with something laid over, and neither is laid over the other."""
    one, other = (lettered(photo, text, (255,) * 4) for text in ("WHEN YOU", "NEVER DO"))
    assert agreement(seen(one), seen(other)) == 0


def test_two_marks_half_seen_through_are_not_one(photo: Image.Image) -> None:
    one, other = (lettered(photo, text, (255, 255, 255, 160)) for text in ("FIRST", "OTHER"))
    assert agreement(seen(one), seen(other)) == 0


@pytest.mark.parametrize("top", [0.1, 0.45, 0.8])
def test_what_is_added_to_a_drawing_is_no_mark(top: float) -> None:
    drawing = Image.new("RGB", (400, 300), "white")
    draw = ImageDraw.Draw(drawing)
    for at in range(12):
        draw.ellipse((20 + 28 * at, 40 + 15 * at, 60 + 28 * at, 90 + 13 * at), None, "black", 3)
    more = drawing.copy()
    box = 180, 300 * top, 215, 300 * top + 35
    ImageDraw.Draw(more).ellipse(box, None, "black", 3)
    assert agreement(seen(drawing), seen(more)) == 0
    assert agreement(seen(drawing), seen(drawing, format="JPEG", quality=60)) > 0.95


def disc(colour: str, ground: str = "white") -> Image.Image:
    image = Image.new("RGB", (240, 240), ground)
    ImageDraw.Draw(image).ellipse((40, 40, 200, 200), colour)
    return image


def test_flat_colours_must_agree() -> None:
    for other in ("blue", "green", "orange", "purple", "black", "gray"):
        assert agreement(seen(disc("red")), seen(disc(other))) == 0, other
    assert agreement(seen(disc("blue")), seen(disc("black"))) == 0
    assert agreement(seen(disc("gray")), seen(disc("black"))) == 0
    pale = ImageEnhance.Brightness(disc("red")).enhance(0.9)
    assert agreement(seen(disc("red")), seen(pale)) > 0.95
    assert agreement(seen(disc("red")), seen(disc("red").convert("L").convert("RGB"))) > 0.95


def test_a_thing_in_another_colour_is_another(photo: Image.Image) -> None:
    """A part of a photograph that is dyed, with all its details."""
    mask = Image.new("L", photo.size)
    ImageDraw.Draw(mask).ellipse((100, 40, 320, 240), 255)
    dyed = [
        Image.composite(ImageOps.colorize(photo.convert("L"), "black", dye), photo, mask)
        for dye in ("#ff2010", "#1030ff")
    ]
    assert agreement(seen(dyed[0]), seen(dyed[1])) == 0


def test_flat_graphics_are_not_turned(photo: Image.Image) -> None:
    assert agreement(seen(disc("red")), seen(disc("red"), turned=True)) == 0
    assert agreement(seen(photo), seen(photo, turned=True)) > 0.95


def test_parts_are_brought_into_register(photo: Image.Image) -> None:
    part = photo.crop((40, 27, 360, 240))
    true = Box(0.1, 27 / 267, 0.9, 240 / 267)
    first, second = (np.asarray(image.resize((384, 384)).convert("L")) for image in (part, photo))
    about = Box(0.11, 0.09, 0.89, 0.91)
    there = registered(first, second, WHOLE, about, side=64)
    there = registered(first, second, WHOLE, there, side=128)
    assert np.allclose(there, true, atol=0.002)
    assert agreement(seen(part), seen(photo, about)) > 0.98


@pytest.mark.parametrize("colour", ["white", "black", "#c04020"])
def test_frames_are_found(photo: Image.Image, colour: str) -> None:
    for border in (16, (0, 40), (30, 0), (5, 20, 40, 0)):
        framed = ImageOps.expand(photo, border, colour)
        pixels = decode(encoded(framed, "JPEG", quality=80), COMPARISON_GEOMETRY).pixels
        left, top, right, bottom = content_box(pixels)
        sides = (border,) * 4 if isinstance(border, int) else (*border, *border)[:4]
        width, height = framed.size
        true = sides[0] / width, sides[1] / height, 1 - sides[2] / width, 1 - sides[3] / height
        assert np.allclose((left, top, right, bottom), true, atol=0.02)


def test_what_has_no_frame_is_whole(photo: Image.Image) -> None:
    assert content_box(np.asarray(photo)) == WHOLE
    for colour in ("white", "black", "red"):
        assert content_box(np.full((50, 60, 3), 255 * (colour == "white"), np.uint8)) == WHOLE


@pytest.mark.parametrize("orientation", ORIENTATIONS, ids=str)
def test_orientations_and_their_inverses(orientation: Orientation) -> None:
    pixels = np.arange(6).reshape(2, 3)
    lying = orientation.of(pixels)
    assert (lying.shape == (3, 2)) == orientation.swaps_sides
    assert (orientation.inverse.of(lying) == pixels).all()
    marked = np.zeros((10, 20))
    marked[1:4, 2:9] = 1
    left, top, right, bottom = orientation.of_box(Box(0.1, 0.1, 0.45, 0.4))
    turned = orientation.of(marked)
    height, width = turned.shape
    rows, columns = np.nonzero(turned)
    assert np.allclose((left * width, right * width), (columns.min(), columns.max() + 1))
    assert np.allclose((top * height, bottom * height), (rows.min(), rows.max() + 1))


def test_turned_is_clockwise() -> None:
    image = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3))
    quarter = np.asarray(image.transpose(Image.Transpose.ROTATE_270))
    assert (Orientation(False, 90).of(np.asarray(image)) == quarter).all()
    mirror = np.asarray(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT))
    assert (Orientation(True, 0).of(np.asarray(image)) == mirror).all()
    assert (UPRIGHT.of(np.asarray(image)) == np.asarray(image)).all()
