"""What a picture's pixels don't need never costs it, and never changes it."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from pictures import encoded
from tll_index.core.errors import DamagedPictureError, PictureError, TooLargePictureError
from tll_index.engine.images.decode import Geometry, Limits, decode
from tll_index.engine.images.formats.jpeg_segments import has_all_scans, rows_whatever_follows

SQUARE = Geometry(32, "squash")
STRICT, TAKEN = Limits(), Limits(truncated=True)


def photograph(width: int = 150, height: int = 110, seed: int = 0) -> Image.Image:
    """Soft shapes with grain: no two blocks are alike."""
    generator = np.random.default_rng(seed)
    soft = Image.fromarray(generator.integers(0, 256, (7, 9, 3), dtype=np.uint8))
    values = np.asarray(soft.resize((width, height), Image.Resampling.BICUBIC), float)
    values += generator.normal(0, 9, values.shape)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))


def pixels(data: bytes, limits: Limits = STRICT) -> np.ndarray:
    return decode(data, SQUARE, limits).pixels


def chunk(kind: bytes, body: bytes, check: int | None = None) -> bytes:
    check = zlib.crc32(kind + body) if check is None else check
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)


def segment(marker: int, body: bytes, length: int | None = None) -> bytes:
    return struct.pack(">BBH", 255, marker, len(body) + 2 if length is None else length) + body


PNG = encoded(photograph(), "PNG")
JPEG = encoded(photograph(), "JPEG", quality=90)
WEBP = encoded(
    photograph(), "WEBP", lossless=True, exif=b"Exif\0\0II*\0\x08\0\0\0\0\0", icc_profile=b"x"
)
TIFF = encoded(photograph(), "TIFF", compression="tiff_lzw")

TEXT = zlib.compress(b"x" * (3 << 20), 9)
PNG_CHUNKS = {
    "zTXt over the limit": chunk(b"zTXt", b"Comment\0\0" + TEXT),
    "iTXt over the limit": chunk(b"iTXt", b"Comment\0\1\0\0\0" + TEXT),
    "iCCP over the limit": chunk(b"iCCP", b"ICC\0\0" + TEXT),
    "iCCP that is no profile": chunk(b"iCCP", b"ICC\0\0nonsense"),
    "iCCP packed in an unknown way": chunk(b"iCCP", b"ICC\0\7" + TEXT),
    "zTXt packed in an unknown way": chunk(b"zTXt", b"a\0\7bc"),
    "short gAMA": chunk(b"gAMA", b"\0"),
    "long gAMA": chunk(b"gAMA", b"\0\0\0\0\0\0\0\0"),
    "short pHYs": chunk(b"pHYs", b"\0\0"),
    "short cHRM": chunk(b"cHRM", b"\0\0\0\1\0"),
    "empty sRGB": chunk(b"sRGB", b""),
    "broken eXIf": chunk(b"eXIf", b"MM\0\x2a\xff\xff\xff\xff"),
    "acTL of no frames": chunk(b"acTL", bytes(8)),
    "short acTL": chunk(b"acTL", b"\0"),
    "short fcTL": chunk(b"fcTL", b"\0\0"),
    "fcTL out of order": chunk(b"fcTL", struct.pack(">IIIIIHHBB", 7, 9, 9, 500, 500, 1, 1, 0, 0)),
    "wrong checksum of gAMA": chunk(b"gAMA", b"\0\1\0\0", 7),
    "wrong checksum of tEXt": chunk(b"tEXt", b"a\0b", 7),
    "wrong checksum of sBIT": chunk(b"sBIT", b"\x08\x08\x08", 7),
    "unknown chunk": chunk(b"zzZz", b"?" * 100, 1),
}
ANCILLARY = [
    *("gAMA", "cHRM", "pHYs", "sRGB", "iCCP", "tEXt", "zTXt", "iTXt", "tIME", "hIST", "sPLT"),
    *("bKGD", "eXIf", "acTL", "fcTL", "sBIT", "prVt"),
]
JPEG_SEGMENTS = {
    "short Adobe": segment(0xEE, b"Adobe\0"),
    "empty Adobe": segment(0xEE, b"Adobe"),
    "short JFIF": segment(0xE0, b"JFIF\0"),
    "very short JFIF": segment(0xE0, b"JFIF"),
    "short EXIF": segment(0xE1, b"Exif\0\0MM"),
    "EXIF of nonsense": segment(0xE1, b"Exif\0\0" + b"\xff" * 40),
    "short MPF": segment(0xE2, b"MPF\0"),
    "MPF of nonsense": segment(0xE2, b"MPF\0II*\0\x08\0\0\0\xff\xff" + b"\xff" * 30),
    "short ICC": segment(0xE2, b"ICC_PROFILE\0"),
    "ICC of too many parts": segment(0xE2, b"ICC_PROFILE\0\x01\x09"),
    "Photoshop of nonsense": segment(0xED, b"Photoshop 3.0\x008BIM\x03"),
    "length of nothing": segment(0xE5, b"", 0),
    "length below its own": segment(0xE5, b"", 1),
    "length into the next": segment(0xE5, b"abc", 30),
    "length beyond the end": segment(0xE5, b"abc", 65535),
    "comment without end": segment(0xFE, b"abc", 60000),
}


@pytest.mark.parametrize("kind", PNG_CHUNKS)
def test_png_chunks_cost_nothing(kind: str) -> None:
    assert (pixels(PNG[:33] + PNG_CHUNKS[kind] + PNG[33:]) == pixels(PNG)).all()
    assert (pixels(PNG[:-12] + PNG_CHUNKS[kind] + PNG[-12:]) == pixels(PNG)).all()


@pytest.mark.parametrize("kind", JPEG_SEGMENTS)
def test_jpeg_segments_cost_nothing(kind: str) -> None:
    assert (pixels(JPEG[:2] + JPEG_SEGMENTS[kind] + JPEG[2:]) == pixels(JPEG)).all()
    after = 4 + int.from_bytes(JPEG[4:6], "big")  # behind JFIF
    assert (pixels(JPEG[:after] + JPEG_SEGMENTS[kind] + JPEG[after:]) == pixels(JPEG)).all()


def test_how_it_is_turned_stays_known() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    png, jpeg = (encoded(photograph(), kind, exif=exif) for kind in ("PNG", "JPEG"))
    for whole, more in (
        (png, PNG_CHUNKS["short gAMA"]),
        (jpeg, JPEG_SEGMENTS["length beyond the end"]),
    ):
        at = 33 if whole is png else 2
        found = decode(whole[:at] + more + whole[at:], SQUARE)
        assert (found.width, found.height) == (110, 150)
        assert (found.pixels == pixels(whole)).all()


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(max_size=60),
    kind=st.sampled_from(ANCILLARY),
    right=st.booleans(),
)
def test_any_png_chunk(body: bytes, kind: str, right: bool) -> None:
    more = chunk(kind.encode(), body, None if right else 5)
    if not (right and kind == "eXIf"):  # which may say that it is turned
        assert (pixels(PNG[:33] + more + PNG[33:]) == pixels(PNG)).all()


@settings(max_examples=60, deadline=None)
@given(
    body=st.binary(max_size=60),
    start=st.sampled_from(
        [b"", b"JFIF\0", b"Adobe", b"MPF\0", b"ICC_PROFILE\0", b"Photoshop 3.0\0"]
    ),
    marker=st.sampled_from([0xE0, 0xE2, 0xE3, 0xED, 0xFE]),
    length=st.one_of(st.none(), st.integers(0, 65535)),
)
def test_any_jpeg_segment(body: bytes, start: bytes, marker: int, length: int | None) -> None:
    body = (start + body).replace(b"\xff", b"?")  # or a marker may be in it
    found = pixels(JPEG[:2] + segment(marker, body, length) + JPEG[2:])
    if length in (None, len(body) + 2):
        assert (found == pixels(JPEG)).all()


@pytest.mark.parametrize("marker", [0xE0, 0xE2, 0xFE])
def test_a_jpeg_segment_that_seems_to_hold_the_tables(marker: int) -> None:
    """Its length is wrong, and ends at a marker all the same."""
    body = b"JFIF\0\0"
    lengths = [at + len(body) + 2 for at in range(len(JPEG) - 2) if JPEG[2 + at] == 0xFF]
    lengths = [length for length in lengths if length < 800]
    assert len(lengths) > 5
    for length in lengths:
        found = pixels(JPEG[:2] + segment(marker, body, length) + JPEG[2:])
        assert (found == pixels(JPEG)).all(), length


def webp_with(kind: bytes, body: bytes) -> bytes:
    at = WEBP.index(kind)
    old = int.from_bytes(WEBP[at + 4 : at + 8], "little")
    end = at + 8 + old + (old & 1)
    inner = (
        WEBP[8:at]
        + kind
        + struct.pack("<I", len(body))
        + body
        + b"\0" * (len(body) & 1)
        + WEBP[end:]
    )
    return b"RIFF" + struct.pack("<I", len(inner)) + inner


@pytest.mark.parametrize("kind", [b"EXIF", b"ICCP"])
@pytest.mark.parametrize("body", [b"", b"\xff" * 9, b"MM\0\x2a\xff\xff\xff\xff"])
def test_webp_chunks_cost_nothing(kind: bytes, body: bytes) -> None:
    assert (pixels(webp_with(kind, body)) == pixels(WEBP)).all()


def test_webp_whose_metadata_is_cut_off() -> None:
    for cut in (1, 3, 9):
        assert (pixels(WEBP[:-cut]) == pixels(WEBP)).all()


@pytest.mark.parametrize(
    ("tag", "type_", "count", "value"),
    [(65000, 2, 1 << 30, 8), (65001, 99, 1, 0), (34665, 4, 1, 1 << 30), (700, 1, 1 << 31, 1 << 31),
     (34675, 7, 1 << 29, 99), (33723, 4, 7, 1 << 31), (65002, 12, 0, 0)],
)  # fmt: skip
def test_tiff_tags_cost_nothing(tag: int, type_: int, count: int, value: int) -> None:
    start = int.from_bytes(TIFF[4:8], "little")
    (entries,) = struct.unpack_from("<H", TIFF, start)
    body = TIFF[start + 2 : start + 2 + 12 * entries]
    rows = sorted(
        [body[at : at + 12] for at in range(0, len(body), 12)]
        + [struct.pack("<HHII", tag, type_, count, value)],
        key=lambda row: row[:2][::-1],
    )
    at = len(TIFF) + len(TIFF) % 2
    more = struct.pack("<H", len(rows)) + b"".join(rows) + bytes(4)
    data = TIFF[:4] + struct.pack("<I", at) + TIFF[8:].ljust(at - 8, b"\0") + more
    assert (pixels(data) == pixels(TIFF)).all()


def test_ends_that_are_missing() -> None:
    gif = encoded(photograph().quantize(64), "GIF")
    assert (pixels(gif[:-1]) == pixels(gif)).all()
    assert (pixels(gif[:-2]) == pixels(gif)).all()
    for cut in (1, 4, 8, 12, 14, 16):  # IEND; the checksum of the pixels, and of zlib's
        assert (pixels(PNG[:-cut]) == pixels(PNG)).all()


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"optimize": True}, {"subsampling": 0}]
)
@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
def test_jpeg_without_its_end_marker(options: dict[str, object], mode: str) -> None:
    for seed in range(4):
        whole = encoded(photograph(seed=seed).convert(mode), "JPEG", quality=90, **options)
        for cut in (1, 2):
            assert (pixels(whole[:-cut]) == pixels(whole)).all()


def test_jpeg_whose_rows_are_missing_is_refused_and_says_how_many() -> None:
    whole = encoded(photograph(200, 160), "JPEG", quality=90, subsampling=0)
    with pytest.raises(
        DamagedPictureError, match=r"is cut off: \d+ of 160 rows are missing; --trun"
    ):
        decode(whole[: len(whole) // 2], SQUARE)
    taken = pixels(whole[: len(whole) // 2], TAKEN)
    assert (taken[:11] == pixels(whole)[:11]).all() and (taken[20:] != pixels(whole)[20:]).any()
    with pytest.raises(DamagedPictureError, match=r"160 of 160 rows are missing$"):
        decode(whole[: whole.index(b"\xff\xda") + 14], SQUARE, TAKEN)


@settings(max_examples=40, deadline=None)
@given(cut=st.integers(3, 4000), seed=st.integers(0, 3), progressive=st.booleans())
def test_no_cut_jpeg_is_taken_for_whole(cut: int, seed: int, progressive: bool) -> None:
    """What is accepted is the same picture: each byte that is missing is looked for."""
    whole = encoded(photograph(seed=seed), "JPEG", quality=90, progressive=progressive)
    try:
        found = pixels(whole[:-cut])
    except PictureError as error:
        assert "cut off" in str(error)
    else:
        assert (found == pixels(whole)).all()


def test_progressive_jpeg_without_its_last_scans() -> None:
    whole = encoded(photograph(), "JPEG", quality=90, progressive=True)
    scans = [at for at in range(len(whole)) if whole[at : at + 2] == b"\xff\xda"]
    tables = whole.rindex(b"\xff\xc4", 0, scans[-1])
    cut = whole[:tables]
    assert has_all_scans(whole) and not has_all_scans(cut)
    assert rows_whatever_follows(cut) == 110  # all are there, less sharp
    with pytest.raises(DamagedPictureError, match="finest details are missing; --truncated"):
        decode(cut, SQUARE)
    assert np.abs(pixels(cut, TAKEN).astype(int) - pixels(whole)).mean() < 5


@pytest.mark.parametrize("format", ["PNG", "BMP", "PPM"])
def test_truncated_is_taken_where_told(format: str) -> None:
    whole = encoded(photograph(), format)
    with pytest.raises(PictureError):
        decode(whole[: len(whole) // 2], SQUARE)
    found, wanted = pixels(whole[: len(whole) // 2], TAKEN), pixels(whole)
    rows = slice(18, 32) if format == "BMP" else slice(0, 14)  # which begins below
    assert (found[rows] == wanted[rows]).all() and (found != wanted).any()
    assert (pixels(whole, TAKEN) == wanted).all()


def test_more_attempts_open_no_door() -> None:
    """A bomb is one without its metadata, too."""
    large = encoded(Image.new("L", (900, 900)), "PNG")
    broken = large[:33] + PNG_CHUNKS["short gAMA"] + large[33:]
    for data in (broken, broken[:-5]):
        with pytest.raises(TooLargePictureError):
            decode(data, SQUARE, Limits(max_pixels=900 * 900 - 1, truncated=True))
    jpeg = encoded(photograph(900, 900), "JPEG")
    with pytest.raises(TooLargePictureError):
        decode(jpeg[:-2], SQUARE, Limits(max_pixels=900 * 900 - 1))
