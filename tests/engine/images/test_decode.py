"""Any picture in, RGB out; anything else in, one of our errors out."""

from __future__ import annotations

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from pictures import encoded, noise, png_claiming, quadrants
from tll_index.core.errors import (
    DamagedPictureError,
    EmptyPictureError,
    MissingPictureError,
    NotAPictureError,
    PictureError,
    TooLargePictureError,
    UnreadablePictureError,
)
from tll_index.engine.images.color_modes import to_rgb
from tll_index.engine.images.decode import Geometry, Limits, decode, from_image, thumbnail
from tll_index.engine.images.file_bytes import read_bytes
from tll_index.indexer.decoding.decoder_process import Decoder

SQUASH = Geometry(size=16, fit="squash")


def mean_colour(data: bytes) -> np.ndarray:
    return decode(data, SQUASH).pixels.reshape(-1, 3).mean(axis=0)


@pytest.mark.parametrize(
    ("format", "options", "tolerance"),
    [
        ("JPEG", {"quality": 95}, 3),
        ("JPEG", {"quality": 95, "progressive": True}, 3),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("GIF", {}, 4),
        ("BMP", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
        ("AVIF", {"quality": 95}, 4),
        ("HEIF", {"quality": 95}, 4),
    ],
)
def test_every_format(format: str, options: dict[str, object], tolerance: int) -> None:
    if format == "HEIF":
        pytest.importorskip("pillow_heif", reason="HEIC is an extra").register_heif_opener()
    image = Image.new("RGB", (40, 24), (200, 80, 30))
    picture = decode(encoded(image, format, **options), SQUASH)
    assert picture.pixels.shape == (16, 16, 3) and picture.pixels.dtype == np.uint8
    assert (picture.width, picture.height) == (40, 24)
    assert np.abs(picture.pixels.astype(int) - (200, 80, 30)).max() <= tolerance


@pytest.mark.parametrize("format", ["JPEG", "TIFF", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_is_undone(format: str, orientation: int) -> None:
    stored = quadrants().resize((80, 40))
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}
    data = encoded(stored, format, exif=exif, **options.get(format, {}))
    picture = decode(data, SQUASH)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert (picture.width, picture.height) == upright.size
    assert upright.size == ((40, 80) if orientation >= 5 else (80, 40))
    wanted = from_image(upright, SQUASH).pixels.astype(int)
    assert np.abs(picture.pixels - wanted).max() <= 4  # rows first or columns first: roundings
    assert orientation == 1 or (picture.pixels != from_image(stored, SQUASH).pixels).any()


def test_modes() -> None:
    grey = Image.new("L", (8, 8), 100)
    assert np.allclose(mean_colour(encoded(grey, "PNG")), 100)
    cmyk = Image.new("CMYK", (8, 8), (0, 255, 255, 0))
    assert np.allclose(mean_colour(encoded(cmyk, "TIFF")), (255, 0, 0), atol=2)
    assert np.allclose(mean_colour(encoded(cmyk, "JPEG")), (255, 0, 0), atol=4)
    deep = Image.fromarray(np.full((8, 8), 200 << 8, np.uint16))
    assert np.allclose(mean_colour(encoded(deep, "PNG")), 200, atol=1)
    assert np.allclose(mean_colour(encoded(deep, "TIFF")), 200, atol=1)
    for bits in (8, 12):  # in 16, as scanners and cameras write them
        few = Image.fromarray(np.array([[0, 2**bits - 1]] * 4, np.uint16))
        assert np.allclose(mean_colour(encoded(few, "PNG")), 127, atol=2)
    integers = Image.fromarray(np.full((8, 8), 65535 // 2, np.int32))
    assert np.allclose(mean_colour(encoded(integers, "TIFF")), 127, atol=1)
    floats = Image.fromarray(np.full((8, 8), 0.5, np.float32))
    assert np.allclose(mean_colour(encoded(floats, "TIFF")), 128, atol=1)
    not_finite = Image.fromarray(np.array([[np.nan, np.inf], [-np.inf, 1.0]], np.float32))
    assert mean_colour(encoded(not_finite, "TIFF")).max() <= 255
    bits = Image.new("1", (8, 8), 1)
    assert np.allclose(mean_colour(encoded(bits, "PNG")), 255)
    palette = Image.new("RGB", (8, 8), (10, 200, 30)).quantize(4)
    assert np.allclose(mean_colour(encoded(palette, "PNG")), (10, 200, 30), atol=4)


def test_transparency_is_white() -> None:
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    half = Image.new("RGBA", (8, 8), (0, 0, 0, 128))
    assert np.allclose(mean_colour(encoded(clear, "PNG")), 255)
    assert np.allclose(mean_colour(encoded(clear, "WEBP", lossless=True)), 255)
    assert np.allclose(mean_colour(encoded(half, "PNG")), 127, atol=1)
    assert np.allclose(mean_colour(encoded(Image.new("LA", (8, 8), (0, 0)), "PNG")), 255)
    indexed = Image.new("P", (8, 8), 0)
    indexed.putpalette([0, 0, 0, 9, 9, 9])
    assert np.allclose(mean_colour(encoded(indexed, "GIF", transparency=0)), 255)
    assert np.allclose(mean_colour(encoded(indexed, "PNG", transparency=0)), 255)


@pytest.mark.parametrize("format", ["GIF", "WEBP", "PNG", "TIFF"])
def test_animated_shows_its_first_frame(format: str) -> None:
    frames = [Image.new("RGB", (20, 20), colour) for colour in ("red", "lime", "blue")]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], **options)
    assert np.allclose(mean_colour(data), (255, 0, 0), atol=2)


@pytest.mark.parametrize("fit", ["squash", "crop"])
@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (1, 20_000), (3, 2)])
def test_thin_pictures(fit: str, size: tuple[int, int]) -> None:
    image = Image.new("RGB", size, (9, 99, 199))
    picture = decode(encoded(image, "PNG"), Geometry(224, fit, 0.875))  # type: ignore[arg-type]
    assert (picture.pixels == (9, 99, 199)).all()


def test_crop_looks_at_the_centre() -> None:
    wide = Image.new("RGB", (300, 100), "black")
    wide.paste((255, 255, 255), (100, 0, 200, 100))
    cropped = decode(encoded(wide, "PNG"), Geometry(50, "crop", 0.9))
    assert (cropped.pixels == 255).all()
    assert decode(encoded(wide, "PNG"), Geometry(50, "squash")).pixels.mean() < 100


def test_interpolation_is_the_geometrys() -> None:
    """As Pillow and so torchvision resize; in the decoder processes too, which get it as JSON."""
    image = noise(1, 300, 200)
    data = encoded(image, "PNG")
    squares = {}
    for name, method in (
        ("bicubic", Image.Resampling.BICUBIC),
        ("bilinear", Image.Resampling.BILINEAR),
    ):
        geometry = Geometry(64, crop=0.8, interpolation=name)  # type: ignore[arg-type]
        squares[name] = decode(data, geometry).pixels
        by_hand = image.resize((64, 64), method, box=(70, 20, 230, 180))
        assert (squares[name] == np.asarray(by_hand)).all()
        assert (from_image(image, geometry).pixels == squares[name]).all()
        decoder = Decoder(geometry, Limits(), 30)
        try:
            assert (decoder.decode(data).pixels == squares[name]).all()
        finally:
            decoder.stop()
    assert (squares["bicubic"] != squares["bilinear"]).mean() > 0.2
    assert Geometry(64).interpolation == "bicubic"


@settings(max_examples=60, deadline=None)
@given(
    width=st.integers(1, 70),
    height=st.integers(1, 70),
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "I", "F", "YCbCr"]),
    fit=st.sampled_from(["squash", "crop"]),
    seed=st.integers(0, 9),
)
def test_any_shape_and_mode_fits(width: int, height: int, mode: str, fit: str, seed: int) -> None:
    image = noise(seed, width, height)
    image = image.convert("L").convert("I;16") if mode == "I;16" else image.convert(mode)
    picture = from_image(image, Geometry(32, fit))  # type: ignore[arg-type]
    assert picture.pixels.shape == (32, 32, 3) and picture.pixels.dtype == np.uint8
    assert (picture.width, picture.height) == (width, height)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF", "TIFF", "AVIF", "BMP"])
@settings(max_examples=25, deadline=None)
@given(share=st.floats(0.0, 0.98), seed=st.integers(0, 3))
def test_cut_off_is_typed(format: str, share: float, seed: int) -> None:
    whole = encoded(noise(seed, 90, 70), format)
    try:
        decode(whole[: int(len(whole) * share)], SQUASH)
    except PictureError as error:
        assert str(error)  # GIF and TIFF may still be whole without their last bytes


def test_truncated_jpeg_and_png_are_damaged() -> None:
    for format in ("JPEG", "PNG"):
        whole = encoded(noise(1, 200, 200).rotate(7), format)
        with pytest.raises(DamagedPictureError, match="cut off"):
            decode(whole[: len(whole) // 2], SQUASH)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300))
def test_random_bytes_are_typed(data: bytes) -> None:
    with pytest.raises(PictureError):
        decode(data, SQUASH)


def test_not_a_picture() -> None:
    for data in (b"hello world", b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"%PDF-1.7\n"):
        with pytest.raises(NotAPictureError):
            decode(data, SQUASH)
    with pytest.raises(EmptyPictureError):
        decode(b"", SQUASH)


def test_heic_without_the_extra_says_what_to_install() -> None:
    code = (
        "import sys; sys.modules['pillow_heif'] = None\n"
        "from tll_index.engine.images.decode import Geometry, decode\n"
        "decode(b'\\0\\0\\0\\x18ftypheic' + bytes(64), Geometry(16))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "MissingCodecError: HEIC needs an extra: pip install 'tll-index[heic]'" in ended.stderr


def photograph(width: int, height: int, seed: int = 0) -> Image.Image:
    """Shapes of every size and some grain, as a camera sees them."""
    generator = np.random.default_rng(seed)
    values = np.zeros((height, width, 3))
    for side in (2, 5, 13, 34, 89):
        noise = Image.fromarray(generator.integers(0, 256, (side, side, 3), dtype=np.uint8))
        values += np.asarray(noise.resize((width, height), Image.Resampling.BICUBIC)) / 5
    values += generator.normal(0, 4, (height, width, 1))
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


@settings(max_examples=25, deadline=None)
@given(
    width=st.integers(300, 900),
    height=st.integers(300, 900),
    mode=st.sampled_from(["RGB", "L", "CMYK"]),
    progressive=st.booleans(),
    orientation=st.integers(1, 8),
    fit=st.sampled_from(["squash", "crop"]),
    crop=st.sampled_from([1.0, 0.875, 0.5]),
    size=st.sampled_from([32, 48, 96]),
)
def test_large_jpegs_look_the_same(
    width: int,
    height: int,
    mode: str,
    progressive: bool,
    orientation: int,
    fit: str,
    crop: float,
    size: int,
) -> None:
    """They are decoded at a part of their size: as the whole one made smaller, to a rounding."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = photograph(width, height).convert(mode)
    data = encoded(image, "JPEG", quality=90, progressive=progressive, exif=exif)
    geometry = Geometry(size, fit, crop)  # type: ignore[arg-type]
    found = decode(data, geometry)
    wanted = from_image(Image.open(io.BytesIO(data)), geometry)  # which decodes all of it
    assert (found.width, found.height, found.format) == (wanted.width, wanted.height, "JPEG")
    difference = np.abs(found.pixels.astype(int) - wanted.pixels)
    assert difference.mean() < 1.5 and np.quantile(difference, 0.99) <= 8


def test_small_jpegs_are_decoded_whole() -> None:
    for side, is_whole in ((127, True), (128, False), (300, False)):
        data = encoded(photograph(side, side), "JPEG", quality=90)
        found = decode(data, Geometry(32)).pixels
        wanted = from_image(Image.open(io.BytesIO(data)), Geometry(32)).pixels
        assert (found == wanted).all() == is_whole


def test_large_jpegs_stay_within_the_limits() -> None:
    """Those are of the whole picture; and one that is cut off is found to be."""
    data = encoded(photograph(900, 700), "JPEG")
    with pytest.raises(TooLargePictureError, match="900 x 700"):
        decode(data, SQUASH, Limits(max_pixels=900 * 700 - 1))
    with pytest.raises(TooLargePictureError, match="900 x 700"):
        thumbnail(data, 50, Limits(max_pixels=900 * 700 - 1))
    for broken in (data[: len(data) // 2], data[:2000]):
        with pytest.raises(DamagedPictureError):
            decode(broken, SQUASH)
    assert Image.open(io.BytesIO(thumbnail(data, 90))).size == (90, 70)


def test_a_thumbnail_inside_is_not_what_is_looked_at() -> None:
    """It may show anything; and it has any size, not a half, a quarter or an eighth."""
    pillow_heif = pytest.importorskip("pillow_heif", reason="HEIC is an extra")
    file = pillow_heif.from_pillow(photograph(600, 450))
    out = io.BytesIO()
    file.save(out, quality=90, thumbnails=[150])
    data = out.getvalue()
    pillow_heif.register_heif_opener()
    assert Image.open(io.BytesIO(data)).info["thumbnails"] == [150]
    found = decode(data, SQUASH)
    whole = Image.open(io.BytesIO(data))
    whole.load()
    assert (found.pixels == from_image(whole, SQUASH).pixels).all()
    assert (found.width, found.height) == (600, 450)
    assert Image.open(io.BytesIO(thumbnail(data, 30))).size == (30, 23)


def test_large_pictures_are_converted_strip_by_strip(monkeypatch: pytest.MonkeyPatch) -> None:
    """To the same pixels as all at once, in any mode and shape."""
    generator = np.random.default_rng(0)
    for width, height in ((90, 77), (3000, 3), (1, 50)):
        samples = generator.random((height, width)) * 5000
        pictures = [Image.fromarray(samples.astype(kind)) for kind in ("u2", ">u2", "i4", "f4")]
        pictures.append(Image.fromarray((samples - 2000).astype("i4")))
        colours = Image.fromarray(generator.integers(0, 256, (height, width, 4), dtype=np.uint8))
        pictures += [colours.convert(mode) for mode in ("RGBA", "LA", "RGBa")]
        palette = colours.convert("RGB").quantize(16)
        palette.info["transparency"] = 3
        for picture in (*pictures, palette):
            monkeypatch.setattr("tll_index.engine.images.color_modes._STRIP", 1 << 20)
            whole = np.asarray(to_rgb(picture))
            monkeypatch.setattr("tll_index.engine.images.color_modes._STRIP", 1000)
            assert (np.asarray(to_rgb(picture)) == whole).all(), picture.mode
            assert whole.shape == (height, width, 3)


def test_bomb_is_refused_before_its_pixels() -> None:
    bomb = png_claiming(20_000, 10_000)
    assert len(bomb) < 1 << 20
    with pytest.raises(TooLargePictureError, match="limit of 178 megapixels"):
        decode(bomb, SQUASH)
    with pytest.raises(TooLargePictureError):
        decode(png_claiming(40_000, 10_000), SQUASH)  # beyond Pillow's own limit as well


@pytest.mark.slow
def test_limits_can_be_raised_and_lowered() -> None:
    picture = encoded(noise(1, 100, 100), "PNG")
    with pytest.raises(TooLargePictureError):
        decode(picture, SQUASH, Limits(max_pixels=9_999))
    assert decode(picture, SQUASH, Limits(max_pixels=10_000)).width == 100
    large = png_claiming(19_000, 10_000)
    assert decode(large, SQUASH, Limits(max_pixels=190_000_000)).width == 19_000


def test_lying_png_text_chunk() -> None:
    """A text chunk that unpacks to more than Pillow allows is left out, not unpacked."""
    body = b"Comment\0\0" + zlib.compress(b"x" * (80 << 20), 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body
    chunk += struct.pack(">I", zlib.crc32(b"zTXt" + body))
    plain = encoded(noise(2), "PNG")
    found = decode(plain[:33] + chunk + plain[33:], SQUASH)
    assert (found.pixels == decode(plain, SQUASH).pixels).all()


def test_reading_files(tmp_path: Path) -> None:
    with pytest.raises(MissingPictureError, match="no such file"):
        read_bytes(tmp_path / "absent.jpg")
    with pytest.raises(UnreadablePictureError, match="folder"):
        read_bytes(tmp_path)
    (tmp_path / "empty.jpg").touch()
    with pytest.raises(EmptyPictureError, match=r"empty\.jpg: is empty"):
        read_bytes(tmp_path / "empty.jpg")
    (tmp_path / "long.jpg").write_bytes(b"12345")
    with pytest.raises(TooLargePictureError):
        read_bytes(tmp_path / "long.jpg", Limits(max_bytes=4))
    assert read_bytes(tmp_path / "long.jpg", Limits(max_bytes=5)) == b"12345"
    with pytest.raises(UnreadablePictureError):
        read_bytes("null\0character.jpg")
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(UnreadablePictureError, match="is a pipe"):
        read_bytes(tmp_path / "pipe.jpg")


def test_thumbnail_is_small_upright_and_over_white() -> None:
    tall = Image.new("RGBA", (400, 800), (0, 0, 0, 0))
    small = Image.open(io.BytesIO(thumbnail(encoded(tall, "PNG"), 100)))
    assert small.format == "JPEG" and small.size == (50, 100)
    assert np.asarray(small).min() > 250
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(Image.new("RGB", (80, 40)), "JPEG", exif=exif)
    assert Image.open(io.BytesIO(thumbnail(turned, 20))).size == (10, 20)


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
def test_thumbnail_of_deep_grey(dtype: type) -> None:
    deep = Image.fromarray(np.full((90, 60), 1, dtype) * 200)
    assert Image.open(io.BytesIO(thumbnail(encoded(deep, "TIFF"), 30))).size == (20, 30)


def test_an_image_that_is_not_loaded_yet(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "turned.tiff"
    quadrants().resize((80, 40)).save(path, exif=exif)
    lazy, read = from_image(Image.open(path), SQUASH), decode(path.read_bytes(), SQUASH)
    assert (lazy.width, lazy.height) == (read.width, read.height) == (40, 80)
    assert (lazy.pixels == read.pixels).all()
    whole = encoded(noise(1, 300, 300).rotate(7), "PNG")
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamagedPictureError):
        from_image(Image.open(tmp_path / "cut.png"), SQUASH)
