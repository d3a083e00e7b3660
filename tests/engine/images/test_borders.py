"""Bars at a picture's edges are left out where that is sure, and nothing else is."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter, ImageOps

from pictures import encoded, noise
from tll_index.engine.images.borders import box_of, content_box
from tll_index.engine.images.crops import Crop
from tll_index.engine.images.decode import Geometry, Limits, decode, from_image
from tll_index.indexer.decoding.decoder_process import Decoder

TRIMMED = Geometry(48, fit="squash", trim=True)
COLOURS = st.tuples(*[st.integers(0, 255)] * 3)


def texture(width: int, height: int, seed: int = 0) -> Image.Image:
    """Something that differs from any colour, everywhere."""
    values = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)


def with_bars(
    content: Image.Image, left: int, top: int, right: int, bottom: int, colour: Any = "black"
) -> Image.Image:
    size = content.width + left + right, content.height + top + bottom
    whole = Image.new("RGB", size, colour)
    whole.paste(content, (left, top))
    return whole


def box_with(content: Image.Image, left: int, top: int) -> tuple[int, int, int, int]:
    return left, top, left + content.width, top + content.height


@settings(max_examples=80, deadline=None)
@given(
    width=st.integers(40, 200),
    height=st.integers(40, 200),
    bars=st.sampled_from([(1, 0), (0, 1), (1, 1)]),
    thickness=st.integers(3, 40),
    colour=COLOURS,
    seed=st.integers(0, 99),
)
def test_bars_of_any_colour_on_opposite_sides(
    width: int,
    height: int,
    bars: tuple[int, int],
    thickness: int,
    colour: tuple[int, int, int],
    seed: int,
) -> None:
    content = texture(width, height, seed)
    assert box_of(np.asarray(content)) == (0, 0, width, height)
    across, down = (bar * thickness for bar in bars)
    whole = with_bars(content, across, down, across, down, colour)
    assert content_box(whole) == box_with(content, across, down)


@pytest.mark.parametrize("side", range(4))
@pytest.mark.parametrize("colour", ["black", "white", "#d02020"])
def test_one_bar(side: int, colour: str) -> None:
    thickness = [0, 0, 0, 0]
    thickness[side] = 21
    content = texture(120, 90)
    assert content_box(with_bars(content, *thickness, colour)) == box_with(content, *thickness[:2])


def test_frames_in_frames() -> None:
    content = texture(100, 110)
    white = with_bars(content, 8, 6, 8, 6, "white")
    letterboxed = with_bars(white, 0, 40, 0, 35)
    assert content_box(letterboxed) == box_with(content, 8, 46)


def test_a_frame_that_is_thicker_below() -> None:
    content = noise(3, 120, 90)
    assert content_box(with_bars(content, 10, 10, 10, 50)) == box_with(content, 10, 10)


@pytest.mark.parametrize("quality", [95, 75, 60])
@pytest.mark.parametrize("colour", ["black", "white", "#406080"])
def test_compression_is_put_up_with(quality: int, colour: str) -> None:
    content = texture(180, 130).filter(ImageFilter.GaussianBlur(1))
    data = encoded(with_bars(content, 0, 37, 0, 37, colour), "JPEG", quality=quality)
    left, top, right, bottom = decode(data, TRIMMED).box or (0, 0, 0, 0)
    assert (left, right) == (0, 180)
    assert abs(top - 37) <= 2 and abs(bottom - 167) <= 2


@settings(max_examples=30, deadline=None)
@given(
    width=st.integers(257, 1400),
    height=st.integers(257, 1400),
    share=st.floats(0.05, 0.3),
    is_upright=st.booleans(),
    colour=COLOURS,
)
def test_large_pictures_to_the_pixel(
    width: int, height: int, share: float, is_upright: bool, colour: tuple[int, int, int]
) -> None:
    content = texture(97, 103).resize((width, height), Image.Resampling.NEAREST)
    thickness = round(share * (width if is_upright else height))
    across, down = (thickness, 0) if is_upright else (0, thickness)
    whole = with_bars(content, across, down, across, down, colour)
    assert content_box(whole) == box_with(content, across, down)


@settings(max_examples=150, deadline=None)
@given(
    sides=st.tuples(*[st.sampled_from([0, 0, 1, 2, 7, 30])] * 8),
    colours=st.tuples(COLOURS, COLOURS),
    seed=st.integers(0, 99),
    is_blocks=st.booleans(),
)
def test_what_was_trimmed_is_not_trimmed_again(
    sides: tuple[int, ...],
    colours: tuple[tuple[int, int, int], tuple[int, int, int]],
    seed: int,
    is_blocks: bool,
) -> None:
    content = noise(seed, 100, 90) if is_blocks else texture(100, 90, seed)
    inner = with_bars(content, *sides[:4], colours[0])
    whole = with_bars(inner, *sides[4:], colours[1])
    once = whole.crop(content_box(whole))
    assert content_box(once) == (0, 0, *once.size)


def drawing(colour: str = "white") -> Image.Image:
    image = Image.new("RGB", (200, 240), colour)
    ImageDraw.Draw(image).ellipse((40, 60, 160, 180), "red", "navy", 5)
    return image


def goods() -> Image.Image:
    """A fridge: nearly a rectangle, on white."""
    image = Image.new("RGB", (200, 240), "white")
    ImageDraw.Draw(image).rounded_rectangle((60, 10, 140, 228), 22, "#9aa4ae")
    return image


def bands(*colours: str, upright: bool = False) -> Image.Image:
    image = Image.new("RGB", (240, 160))
    side = 240 if upright else 160
    for at, colour in enumerate(colours):
        start, end = (side * one // len(colours) for one in (at, at + 1))
        image.paste(colour, (start, 0, end, 160) if upright else (0, start, 240, end))
    return image


def gradient(low: int, high: int) -> Image.Image:
    values = np.linspace(low, high, 200).astype(np.uint8)
    return Image.fromarray(np.broadcast_to(values[:, None, None], (200, 240, 3)).copy())


def landscape() -> Image.Image:
    """A plain sky above hills."""
    image = Image.new("RGB", (240, 180), "#8fb8de")
    hills = [(x, 100 + round(14 * np.sin(x / 19))) for x in range(241)]
    ImageDraw.Draw(image).polygon([*hills, (240, 180), (0, 180)], "#3c5a2a")
    return image


def night() -> Image.Image:
    """A moon, a few stars, and the noise of a camera."""
    random = np.random.default_rng(4)
    values = random.integers(0, 9, (200, 240, 3)).astype(np.uint8)
    values[random.integers(0, 200, 30), random.integers(0, 240, 30)] = 200
    image = Image.fromarray(values)
    ImageDraw.Draw(image).ellipse((100, 60, 150, 110), "#e8e4d0")
    return image


def vignette() -> Image.Image:
    """Dark edges that get lighter step by step."""
    y, x = np.mgrid[-1:1:200j, -1:1:240j]
    light = np.clip(1.3 - np.maximum(np.abs(x), np.abs(y)), 0.3, 1) - 0.3
    values = light[..., None] * np.asarray(noise(2, 240, 200), np.float32)
    return Image.fromarray(values.astype(np.uint8))


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(Image.new("RGB", (90, 70), "black"), id="black"),
        pytest.param(Image.new("RGB", (90, 70), "white"), id="white"),
        pytest.param(drawing(), id="drawing"),
        pytest.param(drawing("black"), id="drawing on black"),
        pytest.param(goods(), id="goods"),
        pytest.param(bands("white", "red"), id="Poland"),
        pytest.param(bands("red", "white", "red"), id="Austria"),
        pytest.param(bands("black", "red", "gold"), id="Germany"),
        pytest.param(bands("blue", "white", "red", upright=True), id="France"),
        pytest.param(gradient(0, 255), id="gradient"),
        pytest.param(gradient(0, 60), id="dark gradient"),
        pytest.param(landscape(), id="sky"),
        pytest.param(night(), id="night"),
        pytest.param(vignette(), id="vignette"),
        pytest.param(Image.new("RGB", (1, 1)), id="a pixel"),
        pytest.param(Image.new("RGB", (1, 900), "white"), id="a line"),
    ],
)
@pytest.mark.parametrize("scale", [1, 4])
def test_what_is_no_border(image: Image.Image, scale: int) -> None:
    larger = image.resize((scale * image.width, scale * image.height), Image.Resampling.BICUBIC)
    assert content_box(larger) == (0, 0, *larger.size)


def test_squares_in_squares_are_no_frames() -> None:
    image = Image.new("RGB", (240, 240))
    for inset in range(0, 120, 10):
        colour = "white" if inset // 10 % 2 else "black"
        image.paste(colour, (inset, inset, 240 - inset, 240 - inset))
    assert content_box(image) == (0, 0, 240, 240)


def test_a_drawing_keeps_its_white_where_bars_go() -> None:
    image = drawing()
    assert content_box(with_bars(image, 0, 30, 0, 30)) == box_with(image, 0, 30)


def test_only_a_geometry_that_says_so_trims() -> None:
    whole = with_bars(texture(60, 40), 0, 10, 0, 10)
    plain = decode(encoded(whole, "PNG"), Geometry(48, fit="squash"))
    assert plain.box == (0, 0, 60, 60)
    assert (plain.pixels[:7] == 0).all()


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize("fast", [False, True])
def test_a_picture_is_its_content(orientation: int, fit: str, fast: bool) -> None:
    """As if someone had cut the borders off, whichever way it is turned; but for its size."""
    geometry = Geometry(32, fit, 0.9, fast=fast, trim=True)  # type: ignore[arg-type]
    content = noise(7, 90, 70)
    exif = Image.Exif()
    exif[0x0112] = orientation
    whole, cut = (
        encoded(image, "PNG", exif=exif) for image in (with_bars(content, 12, 5, 14, 0), content)
    )
    found, wanted = decode(whole, geometry), decode(cut, geometry)
    assert (found.pixels == wanted.pixels).all()
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(whole)))
    assert upright is not None and (found.width, found.height) == upright.size
    assert found.box is not None and wanted.box is not None
    left, top, right, bottom = found.box
    assert (right - left, bottom - top) == pytest.approx(
        (wanted.box[2] - wanted.box[0], wanted.box[3] - wanted.box[1])
    )
    part = upright.resize((32, 32), Image.Resampling.NEAREST, box=found.box)
    reference = ImageOps.exif_transpose(Image.open(io.BytesIO(cut)))
    assert reference is not None
    same = reference.resize((32, 32), Image.Resampling.NEAREST, box=wanted.box)
    assert (np.asarray(part) == np.asarray(same)).all()


def test_large_jpegs_are_trimmed_at_a_part_of_their_size() -> None:
    content = noise(5, 1203, 905).filter(ImageFilter.GaussianBlur(20))
    data = encoded(with_bars(content, 0, 211, 0, 211), "JPEG", quality=92)
    found, whole = decode(data, TRIMMED), from_image(Image.open(io.BytesIO(data)), TRIMMED)
    assert found.box == pytest.approx(whole.box, abs=16)
    assert found.box is not None and found.box[0] == 0 and found.box[2] == 1203
    assert np.abs(found.pixels.astype(int) - whole.pixels).mean() < 3


def test_a_part_that_someone_chose_stays_as_it_is() -> None:
    whole = with_bars(texture(60, 60), 0, 20, 0, 20)
    part = Crop(0, 10, 60, 80)
    chosen, cut = decode(encoded(whole, "PNG"), TRIMMED, crop=part), whole.crop((0, 10, 60, 90))
    assert chosen.box == (0, 0, 60, 80)
    assert (chosen.pixels == from_image(cut, Geometry(48, fit="squash")).pixels).all()


def test_in_a_decoder_process() -> None:
    data = encoded(with_bars(texture(60, 60), 9, 20, 9, 20), "PNG")
    decoder = Decoder(TRIMMED, Limits(), 30)
    try:
        found = decoder.decode(data)
    finally:
        decoder.stop()
    here = decode(data, TRIMMED)
    assert (found.pixels == here.pixels).all()
    assert (found.box, found.width, found.height) == ((9, 20, 69, 80), 78, 100)
