"""Kinds of files: read by what they hold, or refused for the true reason."""

from __future__ import annotations

import io
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from pictures import encoded, noise, png_claiming
from tiffs import dng, tiff_of, webp_inside
from tll_index.core.errors import (
    DecoderFailedError,
    NotAPictureError,
    PictureError,
    TooLargePictureError,
)
from tll_index.engine.images.decode import Geometry, Limits, codecs, decode
from tll_index.engine.images.formats.gif_blocks import without_comments
from tll_index.engine.images.formats.signatures import jxl_size, kind_of
from tll_index.engine.images.opening import SUFFIXES
from tll_index.indexer.decoding.decoder_process import Decoder

SQUARE = Geometry(32, "squash")
IMAGE = noise(4, 90, 60)
WANTED = decode(encoded(IMAGE, "PNG"), SQUARE).pixels.astype(int)


def difference(data: bytes, wanted: np.ndarray = WANTED) -> float:
    return float(np.abs(decode(data, SQUARE).pixels - wanted).mean())


@pytest.mark.parametrize(
    ("format", "options", "most"),
    [
        ("PPM", {}, 0),
        ("TGA", {}, 0),
        ("TGA", {"compression": "tga_rle"}, 0),
        ("PCX", {}, 0),
        ("SGI", {}, 0),
        ("QOI", {}, 0),
        ("DDS", {}, 0),
        ("JPEG2000", {"irreversible": False}, 0),
        ("JPEG2000", {"no_jp2": True}, 1),
        ("ICO", {"sizes": [(90, 60)]}, 0),
        ("ICO", {"sizes": [(90, 60)], "bitmap_format": "bmp"}, 0),
    ],
)
def test_other_formats(format: str, options: dict[str, object], most: float) -> None:
    data = encoded(IMAGE, format, **options)
    assert difference(data) <= most
    with pytest.raises(TooLargePictureError, match="90 x 60"):
        decode(data, SQUARE, Limits(max_pixels=90 * 60 - 1))


@pytest.mark.parametrize("mode", ["1", "L", "I;16"])
def test_portable_greys(mode: str) -> None:
    grey = IMAGE.convert("L")
    deep = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    data = encoded(deep if mode == "I;16" else grey.convert(mode), "PPM")
    wanted = decode(encoded(grey.convert("1") if mode == "1" else grey, "PNG"), SQUARE).pixels
    assert difference(data, wanted.astype(int)) <= 1


def test_an_icon_is_of_the_size_that_its_picture_has() -> None:
    """Its directory says 16 x 16; inside is a bomb."""
    bomb = png_claiming(20_000, 10_000)
    entry = struct.pack("<BBBBHHII", 16, 16, 0, 0, 1, 32, len(bomb), 22)
    with pytest.raises(TooLargePictureError, match="20000 x 10000"):
        decode(b"\0\0\1\0\1\0" + entry + bomb, SQUARE)
    small, large = encoded(noise(1, 16, 16), "ICO"), encoded(noise(2, 256, 256), "ICO")
    for data, side in ((small, 16), (large, 256)):
        assert (decode(data, SQUARE).width, decode(data, SQUARE).format) == (side, "ICO")


def test_jpeg_xl() -> None:
    pytest.importorskip("pillow_jxl", reason="JPEG XL is an extra")
    for size in ((90, 60), (64, 64), (400, 300), (1920, 1080), (8, 2000)):
        for options in ({"lossless": True}, {"use_container": True}):
            data = encoded(noise(4, *size), "JXL", **options)
            assert jxl_size(data) == size
    data = encoded(IMAGE, "JXL", lossless=True)
    assert difference(data) == 0
    with pytest.raises(TooLargePictureError):
        decode(data, SQUARE, Limits(max_pixels=90 * 60 - 1))
    for share in range(1, 20):
        try:
            decode(data[: len(data) * share // 20], SQUARE)
        except PictureError as error:
            assert str(error)


def test_raw_files_by_the_picture_inside() -> None:
    pytest.importorskip("rawpy", reason="RAW is an extra")
    scene, preview = noise(7, 640, 480), noise(8, 600, 450)
    wanted = decode(encoded(preview, "PNG"), SQUARE).pixels.astype(int)
    data = dng(scene, preview)
    assert kind_of(data) == "TIFF"
    found = decode(data, SQUARE)
    assert (found.width, found.height, found.format) == (600, 450, "RAW")
    assert np.abs(found.pixels - wanted).mean() < 4
    turned = decode(dng(scene, preview, turned=6), SQUARE)
    assert (turned.width, turned.height) == (450, 600)
    upright = decode(encoded(preview.transpose(Image.Transpose.ROTATE_270), "PNG"), SQUARE)
    assert np.abs(turned.pixels.astype(int) - upright.pixels).mean() < 4


def test_raw_files_without_one_are_developed() -> None:
    pytest.importorskip("rawpy", reason="RAW is an extra")
    scene = noise(7, 640, 480)
    for data in (dng(scene), dng(scene, noise(8, 120, 90))):  # a stamp shows too little
        found = decode(data, SQUARE)
        assert (found.width, found.height) == (320, 240)
        wanted = decode(encoded(scene, "PNG"), SQUARE).pixels
        assert np.corrcoef(found.pixels.ravel(), wanted.ravel())[0, 1] > 0.8
    with pytest.raises(TooLargePictureError, match="640 x 480"):
        decode(dng(scene), SQUARE, Limits(max_pixels=640 * 480 - 1))
    with pytest.raises(TooLargePictureError, match="600 x 450"):
        decode(dng(scene, noise(8, 600, 450)), SQUARE, Limits(max_pixels=600 * 450 - 1))
    for cut in (30, 500, 5000):
        with pytest.raises(PictureError):
            decode(dng(scene)[:cut], SQUARE)


def with_strips(data: bytes, offsets: list[int], counts: list[int]) -> bytes:
    """A TIFF of one page whose pixels lie in these strips."""
    out = bytearray(data)
    start = int.from_bytes(out[4:8], "little")
    for at in range(start + 2, len(out) - 11, 12):
        tag = int.from_bytes(out[at : at + 2], "little")
        if tag in (273, 279):
            struct.pack_into("<II", out, at + 4, 3, len(out))
            out += struct.pack("<3I", *(offsets if tag == 273 else counts))
    return bytes(out)


def test_tiffs_that_pillow_can_not_read() -> None:
    pytest.importorskip("tifffile", reason="these are an extra")
    rgb = np.asarray(IMAGE)
    assert difference(webp_inside(IMAGE)) == 0
    for values in (
        rgb.astype(np.float32) / 255,
        rgb.astype(np.float64) / 255,
        rgb.astype(np.float16) / 255,
        np.dstack([rgb, rgb[..., :2]]),
        np.dstack([rgb, rgb, rgb]).astype(np.uint16) * 257,
    ):
        assert difference(tiff_of(values)) <= 1, values.dtype
    planes = np.moveaxis(rgb.astype(np.uint16) * 257, 2, 0)  # of which Pillow makes noise
    strip = 2 * 90 * 60
    data = tiff_of(np.ascontiguousarray(planes).reshape(60, 90, 3), t284=[2])
    start = data.index(planes.astype("<u2").tobytes())
    offsets, counts = [start + strip * plane for plane in range(3)], [strip] * 3
    assert difference(with_strips(data, offsets, counts)) <= 1
    grey = np.asarray(IMAGE.convert("L"))
    wanted = decode(encoded(IMAGE.convert("L"), "PNG"), SQUARE).pixels.astype(int)
    for values in (grey.astype(np.float64) / 255, grey.astype(np.uint64)):
        assert difference(tiff_of(values), wanted) <= 1, values.dtype
    for whole in (webp_inside(IMAGE), tiff_of(rgb.astype(np.float32))):
        with pytest.raises(PictureError):  # its strip comes first
            decode(whole[:8] + whole[300:], SQUARE)
    with pytest.raises(TooLargePictureError):
        decode(webp_inside(IMAGE), SQUARE, Limits(max_pixels=90 * 60 - 1))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb", "separated"])
@pytest.mark.parametrize("extra", ["assocalpha", "unassalpha", "unspecified"])
def test_extra_bands_of_tiffs(photometric: str, extra: str, dtype: type) -> None:
    """Grey or colour and a band more, of any numbers: alpha, multiplied with or not, or neither."""
    tifffile = pytest.importorskip("tifffile", reason="these are an extra")
    mode = {"minisblack": "L", "rgb": "RGB", "separated": "CMYK"}[photometric]
    image = IMAGE.convert("L") if mode == "L" else IMAGE
    wanted = decode(encoded(image, "PNG"), SQUARE).pixels.astype(int)
    colours = np.atleast_3d(np.asarray(image.convert(mode), np.float64))
    half = np.full((*colours.shape[:2], 1), 128.0)
    if extra == "assocalpha" and mode != "CMYK":
        colours = colours * 128 / 255
    if extra != "unspecified" and mode != "CMYK":  # of ink, no program's alpha is read
        wanted = wanted * 128 // 255 + 127  # on white
    top = 1 if dtype is np.float32 else np.iinfo(dtype).max
    values = np.concatenate([colours, half], 2) / 255 * top
    data = io.BytesIO()
    tifffile.imwrite(data, values.astype(dtype), photometric=photometric, extrasamples=[extra])
    assert np.abs(decode(data.getvalue(), SQUARE).pixels - wanted).mean() < 3


def test_many_comments_of_a_gif_are_passed_over() -> None:
    data = encoded(IMAGE, "GIF", comment=b"a few words")
    assert without_comments(data) == data
    start = data.index(b"!\xfe")
    many = data[:start] + b"!\xfe" + (b"\xff" + b"x" * 255) * (1 << 16) + b"\0" + data[start:]
    found = without_comments(many)
    assert (
        len(found) < len(data)
        and (decode(found, SQUARE).pixels == decode(data, SQUARE).pixels).all()
    )
    assert (decode(many, SQUARE).pixels == decode(data, SQUARE).pixels).all()
    for cut in (5, 13, start + 1, start + 2, start + 300, len(many) - 9):
        assert many.startswith(without_comments(many[:cut])[:start])  # whatever is missing


def bmp(
    bits: int,
    compression: int,
    masks: list[int],
    body: bytes,
    palette: bytes = b"",
    header: int = 40,
) -> bytes:
    width, height = 90, -60
    info = struct.pack(
        "<IiiHHIIiiII", header, width, height, 1, bits, compression, len(body), 0, 0, 0, 0
    )
    fields = struct.pack(f"<{len(masks)}I", *masks)
    if header > 40:
        fields = fields.ljust(header - 40, b"\0")
    start = 14 + len(info) + len(fields) + len(palette)
    return (
        struct.pack("<2sIHHI", b"BM", start + len(body), 0, 0, start)
        + info
        + fields
        + palette
        + body
    )


def test_bitmaps_of_any_fields() -> None:
    rgb = np.asarray(IMAGE).astype(np.uint32)

    def packed(masks: list[int], dtype: str) -> bytes:
        values = np.zeros(rgb.shape[:2], np.uint32)
        for channel, mask in enumerate(masks[:3]):
            low = (mask & -mask).bit_length() - 1
            values |= (rgb[..., channel] * (mask >> low) // 255) << low
        if len(masks) > 3:
            values |= np.uint32(masks[3])
        rows = values.astype(dtype).tobytes()
        stride = len(rows) // 60
        return b"".join(
            rows[at : at + stride].ljust((stride + 3) // 4 * 4, b"\0")
            for at in range(0, len(rows), stride)
        )

    for masks, dtype, most in (
        ([0xF00, 0xF0, 0xF], "<u2", 9),  # 4-4-4
        ([0xF00, 0xF0, 0xF, 0xF000], "<u2", 9),  # 4-4-4-4
        ([0xFF, 0xFF00, 0xFF0000], "<u4", 1),
        ([0x3FF00000, 0xFFC00, 0x3FF], "<u4", 1),  # 10 bits each
        ([0xF800, 0x7E0, 0x1F], "<u2", 5),
        ([0x7F, 0x3F80, 0x1FC000], "<u4", 3),
    ):
        header = 56 if len(masks) == 4 else 40
        assert (
            difference(
                bmp(8 * np.dtype(dtype).itemsize, 3, masks, packed(masks, dtype), header=header)
            )
            <= most
        )
    levels = (np.asarray(IMAGE.convert("L")) // 64).astype(np.uint8)
    quads = np.pad(levels, ((0, 0), (0, 6))).reshape(60, 24, 4)
    body = (
        (quads[..., 0] << 6 | quads[..., 1] << 4 | quads[..., 2] << 2 | quads[..., 3])
        .astype(np.uint8)
        .tobytes()
    )
    palette = b"".join(bytes([grey] * 3 + [0]) for grey in (32, 96, 160, 224))
    wanted = decode(encoded(Image.fromarray(levels * 64 + 32), "PNG"), SQUARE).pixels.astype(int)
    assert difference(bmp(2, 0, [], body, palette), wanted) == 0
    with pytest.raises(PictureError):
        decode(bmp(2, 0, [], body[:-200], palette), SQUARE)


def test_reasons_are_the_truth() -> None:
    avif = bytearray(encoded(Image.new("RGB", (64, 64)), "AVIF"))
    at = avif.index(b"ispe")
    avif[at + 8 : at + 16] = struct.pack(">II", 17000, 17000)
    with pytest.raises(TooLargePictureError, match="17000 x 17000 pixels"):
        decode(bytes(avif), SQUARE)
    for data, said in (
        (b"%PDF-1.7\n" + bytes(50), r"\(PDF\)"),
        (b"<?xml version='1.0'?><svg xmlns='http://www.w3.org/2000/svg'/>", r"\(SVG\)"),
        (b"%!PS-Adobe-3.0", r"\(PostScript\)"),
        (b"\0\0\0\x18ftypisom" + bytes(60), r"\(video\)"),
        (b"II\x2a\0" + bytes(60), "damaged, or a kind of TIFF that is not read here"),
        (b"RIFF\x20\0\0\0WEBP" + bytes(60), "WebP"),
    ):
        with pytest.raises(NotAPictureError, match=said):
            decode(data, SQUARE)


@pytest.mark.parametrize(
    ("missing", "make", "said"),
    [
        ("rawpy", "dng(noise(1, 300, 300))", "RAW needs an extra: pip install 'tll-index[raw]'"),
        ("pillow_jxl", "b'\\xff\\x0a' + bytes(40)", "JPEG XL needs an extra: pip install"),
        ("tifffile", "webp_inside(noise(1))", "WebP inside, which needs an extra: pip install"),
        ("tifffile", "tiff_of(np.zeros((9, 9, 3), 'f4'))", "of 3 x 32-bit float samples, which"),
    ],
)
def test_without_an_extra_it_says_what_to_install(missing: str, make: str, said: str) -> None:
    code = (
        f"import sys; sys.modules[{missing!r}] = None; sys.path.insert(0, 'tests/support')\n"
        "import numpy as np; from pictures import noise; from tiffs import *\n"
        "from tll_index.engine.images.decode import Geometry, decode\n"
        f"decode({make}, Geometry(16))"
    )
    root = __file__.rsplit("/tests/", 1)[0]
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert "MissingCodecError: " in ended.stderr and said in ended.stderr


def test_a_picture_is_known_by_what_it_holds() -> None:
    """Whatever its name; endings only say which files a build opens."""
    assert {b".ppm", b".tga", b".ico", b".jp2", b".jxl", b".dng", b".cr3"} <= SUFFIXES
    assert b".svg" not in SUFFIXES and b".pdf" not in SUFFIXES
    for format in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "AVIF", "PPM", "TGA"):
        assert kind_of(encoded(IMAGE, format)) not in (None, "text")
    assert "rules 2" in codecs()


def test_mutations_of_other_kinds_are_refused_in_one_line() -> None:
    """In a decoder process, as a build reads them: none of them ends it."""
    scene = noise(1, 300, 260)
    values = np.asarray(IMAGE)
    files = [encoded(IMAGE, format) for format in ("PPM", "TGA", "PCX", "SGI", "DDS", "JPEG2000")]
    files += [encoded(IMAGE, "ICO"), dng(scene, noise(2, 260, 240)), dng(scene)]
    files += [tiff_of(values.astype(np.float32) / 255), webp_inside(IMAGE)]
    generator = np.random.default_rng(5)
    decoder, decoded = Decoder(SQUARE, Limits(truncated=True), 30), 0
    try:
        for number in range(220):
            data = bytearray(files[number % len(files)])
            for _ in range(generator.integers(1, 5)):
                at = generator.integers(0, min(len(data), generator.choice((60, 400, len(data)))))
                data[at] = generator.integers(0, 256)
            try:
                decoded += decoder.decode(bytes(data)).pixels.shape == (32, 32, 3)
            except DecoderFailedError:
                raise
            except PictureError as error:
                assert str(error).isprintable()
        assert 30 < decoded < 220
    finally:
        decoder.stop()
