"""Picture files to be mutated: valid ones of every format that is read, taken apart and put
together again with lengths and checksums right, so that a change gets past a parser's first look;
and files that are two things at once, or none of ours whatever their name says. Each is always the
same."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from PIL import ExifTags, Image

PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Part:
    """A chunk, segment or box."""

    kind: bytes
    body: bytes
    lies: int | None = None
    """The length that the file says it has, where that is not the true one."""

    @property
    def length(self) -> int:
        """What the file says."""
        return len(self.body) if self.lies is None else self.lies


def apart(data: bytes) -> list[Part]:
    """The parts of a PNG, JPEG, RIFF (WebP) or box (AVIF, HEIF) file; none of another."""
    if data.startswith(PNG):
        return _chunks(data)
    if data.startswith(b"\xff\xd8"):
        return _segments(data)
    if data.startswith(b"RIFF"):
        return _riff(data)
    if data[4:8] == b"ftyp":
        return _boxes(data)
    return []


def together(parts: list[Part], like: bytes) -> bytes:
    """A file of the format of `like`."""
    if like.startswith(PNG):
        return PNG + b"".join(map(png_chunk, parts))
    if like.startswith(b"\xff\xd8"):
        return b"\xff\xd8" + b"".join(map(_segment, parts))
    if like.startswith(b"RIFF"):
        body = b"WEBP" + b"".join(
            part.kind
            + struct.pack("<I", part.length & 0xFFFFFFFF)
            + part.body
            # A RIFF chunk begins at an even place.
            + b"\0" * (len(part.body) & 1)
            for part in parts
        )
        return b"RIFF" + struct.pack("<I", len(body) & 0xFFFFFFFF) + body
    return b"".join(
        struct.pack(">I", (part.length + 8) & 0xFFFFFFFF) + part.kind + part.body for part in parts
    )


def png_chunk(part: Part) -> bytes:
    """With a checksum that is right."""
    check = zlib.crc32(part.kind + part.body)
    length = struct.pack(">I", part.length & 0xFFFFFFFF)
    return length + part.kind + part.body + struct.pack(">I", check)


def _segment(part: Part) -> bytes:
    if len(part.kind) == 1:  # the picture's data and what follows, as they are
        return part.body
    return part.kind + struct.pack(">H", (part.length + 2) & 0xFFFF) + part.body


def _chunks(data: bytes) -> list[Part]:
    parts, at = [], len(PNG)
    while at + 12 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        parts.append(Part(data[at + 4 : at + 8], data[at + 8 : at + 8 + length]))
        at += 12 + length
    return parts


def _segments(data: bytes) -> list[Part]:
    parts, at = [], 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0, 0xD9, 0xFF):
        (length,) = struct.unpack_from(">H", data, at + 2)
        parts.append(Part(data[at : at + 2], data[at + 4 : at + 2 + length]))
        at += 2 + length
        if parts[-1].kind == b"\xff\xda":
            break
    return [*parts, Part(b".", data[at:])]


def _riff(data: bytes) -> list[Part]:
    parts, at = [], 12
    while at + 8 <= len(data):
        (length,) = struct.unpack_from("<I", data, at + 4)
        parts.append(Part(data[at : at + 4], data[at + 8 : at + 8 + length]))
        at += 8 + length + (length & 1)
    return parts


def _boxes(data: bytes) -> list[Part]:
    parts, at = [], 0
    while at + 8 <= len(data):
        (length,) = struct.unpack_from(">I", data, at)
        length = length or len(data) - at
        parts.append(Part(data[at + 4 : at + 8], data[at + 8 : at + length]))
        at += max(8, length)
    return parts


_SIZE = (72, 56)


def drawn(seed: int, width: int = _SIZE[0], height: int = _SIZE[1]) -> Image.Image:
    """Coloured blocks and some grain, from a seed."""
    generator = np.random.default_rng(seed)
    blocks = Image.fromarray(generator.integers(0, 256, (5, 6, 3), dtype=np.uint8))
    soft = np.asarray(blocks.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    grain = generator.integers(-9, 10, soft.shape, dtype=np.int16)
    return Image.fromarray((soft + grain).clip(0, 255).astype(np.uint8))


@cache
def valid() -> dict[str, bytes]:
    """Picture files by name, which begins with the format."""
    return dict(_pictures())


def png_with(*parts: Part) -> bytes:
    """A valid PNG and, behind its header, these chunks."""
    first, *rest = apart(valid()["png-RGB"])
    return together([first, *parts, *rest], PNG)


def _saved(image: Image.Image, format: str, **options: object) -> bytes:
    out = io.BytesIO()
    # Copies: plugins leave things behind in the images that they save.
    image.copy().save(out, format, **options)
    return out.getvalue()


def _frames(image: Image.Image, format: str, **options: object) -> bytes:
    more = [drawn(seed) for seed in (5, 6)]
    return _saved(image, format, save_all=True, append_images=more, **options)


def _exif() -> Image.Exif:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    exif[ExifTags.Base.Make] = "nobody's"
    exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.UserComment] = b"ASCII\0\0\0hello"
    exif.get_ifd(ExifTags.IFD.GPSInfo)[1] = "N"
    return exif


def _profile() -> bytes:
    """The beginning of an ICC profile, and nothing that makes sense."""
    return (612).to_bytes(4, "big") + b"none\2\x10\0\0mntrRGB XYZ " + bytes(range(256)) * 2


def _pictures() -> Iterator[tuple[str, bytes]]:
    rgb, grey = drawn(1), drawn(2).convert("L")
    clear = drawn(3).convert("RGBA")
    clear.putalpha(grey)
    palette, deep = drawn(4).quantize(32), np.asarray(grey).astype(np.uint16) * 257
    exif = {"exif": _exif(), "icc_profile": _profile()}

    yield "jpeg", _saved(rgb, "JPEG")
    yield "jpeg-progressive", _saved(rgb, "JPEG", progressive=True, subsampling=0)
    yield "jpeg-grey", _saved(grey, "JPEG", restart_marker_blocks=2)
    yield "jpeg-cmyk", _saved(rgb.convert("CMYK"), "JPEG")
    yield "jpeg-exif", _saved(rgb, "JPEG", comment=b"hello", **exif)
    yield "jpeg-mpo", _frames(rgb, "MPO")
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA"):
        image = clear.convert(mode) if mode != "P" else palette
        yield f"png-{mode}", _saved(image, "PNG")
    yield "png-16", _saved(Image.fromarray(deep), "PNG")
    yield "png-clear", _saved(palette, "PNG", transparency=bytes(range(32)), **exif)
    yield "png-animated", _frames(rgb, "PNG")
    yield "webp", _saved(rgb, "WEBP", **exif)
    yield "webp-lossless", _saved(clear, "WEBP", lossless=True)
    yield "webp-animated", _frames(rgb, "WEBP")
    yield "gif", _saved(palette, "GIF", comment=b"hello", transparency=3)
    yield "gif-animated", _frames(rgb, "GIF")
    for mode in ("1", "L", "P", "RGB", "RGBA"):
        image = clear.convert(mode) if mode != "P" else palette
        yield f"bmp-{mode}", _saved(image, "BMP")
    yield "bmp-dib", _saved(rgb, "DIB")
    for pack in ("raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg", "lzma", "zstd"):
        yield f"tiff-{pack}", _saved(rgb, "TIFF", compression=pack)
    yield "tiff-group4", _saved(rgb.convert("1"), "TIFF", compression="group4")
    yield "tiff-big", _saved(rgb, "TIFF", big_tiff=True)
    yield "tiff-16", _saved(Image.fromarray(deep), "TIFF", compression="tiff_lzw")
    yield "tiff-float", _saved(Image.fromarray(deep.astype(np.float32)), "TIFF")
    yield "tiff-exif", _saved(clear, "TIFF", **exif)
    yield "tiff-frames", _frames(rgb, "TIFF", compression="tiff_lzw")
    yield "avif", _saved(rgb, "AVIF", speed=10, **exif)
    yield "avif-clear", _saved(clear, "AVIF", speed=10)
    yield "avif-animated", _frames(rgb, "AVIF", speed=10)
    try:
        import pillow_heif
    except ImportError:  # HEIC is an extra
        return
    pillow_heif.register_heif_opener()
    yield "heif", _saved(rgb, "HEIF", exif=_exif())
    yield "heif-frames", _frames(rgb, "HEIF")


Maker = Callable[[], bytes]


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr(zipfile.ZipInfo("a.txt"), "hello")
    return out.getvalue()


def _gif_script() -> bytes:
    data = valid()["gif"]
    return data[:6] + b"/*" + data[8:] + b"*/=1;alert(1)//"


def _in_format(format: str, mode: str = "RGB") -> bytes:
    out = io.BytesIO()
    drawn(9).convert(mode).save(out, format)
    return out.getvalue()


def _postscript() -> bytes:
    return b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(/etc/passwd) (r) file\nshowpage\n"


_TEXTS = {
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="file:///etc/passwd"/></svg>',
    "svg with entities": b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaa">]><svg>&a;</svg>',
    "pdf": b"%PDF-1.7\n1 0 obj<</Type/Catalog/OpenAction<</S/JavaScript>>>>endobj\n%%EOF",
    "html": b"<!DOCTYPE html><script>alert(1)</script>",
    "text": b"hello world\n" * 9,
    "script": b"#!/bin/sh\necho hello\n",
    "program": b"\x7fELF\2\1\1" + bytes(200),
    "photoshop": b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(9),
    "windows metafile": b"\xd7\xcd\xc6\x9a" + bytes(60),
    "kodak": b"\0" * 2048 + b"PCD_" + bytes(900),
    "mpeg": b"\0\0\1\xb3\xff\xff\xff" + bytes(99),
    "matroska": b"\x1aE\xdf\xa3" + bytes(99),
    "video in boxes": b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(99),
    "zeros": bytes(4096),
    "one byte": b"\xff",
    "nothing": b"",
    "only a beginning": b"\xff\xd8\xff",
    "portable": b"P6 60000 60000 255\n" + bytes(99),
}
_OTHERS = ("EPS", "PDF", "ICO", "ICNS", "TGA", "PCX", "PPM", "SGI", "SPIDER", "QOI", "DDS")

GUISES: dict[str, dict[str, Maker]] = {
    "two things at once": {
        "jpeg and zip": lambda: valid()["jpeg"] + _zip(),
        "png and html": lambda: valid()["png-RGB"] + _TEXTS["html"],
        "png with a script": lambda: png_with(Part(b"tEXt", b"x\0<script>alert(1)</script>")),
        "gif and script": _gif_script,
        "pdf and jpeg": lambda: _TEXTS["pdf"] + valid()["jpeg"],
        "zip and png": lambda: _zip() + valid()["png-RGB"],
        "jpeg and png": lambda: valid()["jpeg"] + valid()["png-RGB"],
        "jpeg named RIFF": lambda: b"RIFF" + valid()["jpeg"],
        "webp in a png": lambda: png_with(Part(b"eXIf", valid()["webp"])),
    },
    "not ours": {
        **{name: partial(bytes, text) for name, text in _TEXTS.items()},
        **{format.lower(): partial(_in_format, format) for format in _OTHERS if format != "SPIDER"},
        "spider": partial(_in_format, "SPIDER", "F"),
        "postscript": _postscript,
        "zip": _zip,
    },
}
"""By kind and name: what makes it."""
