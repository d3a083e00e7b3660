"""What a file is, by what its first bytes say: for choosing who reads it, and for reasons.

Names of files are never asked: a picture with another ending is read, and what is none is not
believed for its ending.
"""

from __future__ import annotations

import re

_BRANDS = {  # of ISO media files: the four bytes after "ftyp"
    b"avif": "AVIF",
    b"avis": "AVIF",
    **dict.fromkeys(
        (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"mif1", b"msf1"), "HEIC"
    ),
    b"crx ": "Canon CR3",
    b"jxl ": "JPEG XL",
    b"jp2 ": "JPEG 2000",
}

_BEGINNINGS = (
    (b"\xff\xd8\xff", "JPEG"),
    (b"\x89PNG\r\n\x1a\n", "PNG"),
    (b"GIF8", "GIF"),
    (b"BM", "BMP"),
    (b"FUJIFILMCCD-RAW", "Fujifilm RAF"),
    (b"FOVb", "Sigma X3F"),
    (b"\0MRM", "Minolta MRW"),
    (b"II\x2a\0\x10\0\0\0CR", "Canon CR2"),
    (b"IIRO", "Olympus ORF"),
    (b"IIRS", "Olympus ORF"),
    (b"MMOR", "Olympus ORF"),
    (b"IIU\0", "Panasonic RW2"),
    (b"II\xbc", "JPEG XR"),
    (b"II\x2a\0", "TIFF"),
    (b"MM\0\x2a", "TIFF"),
    (b"II\x2b\0", "TIFF"),
    (b"MM\0\x2b", "TIFF"),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "JPEG XL"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"8BPS", "Photoshop"),
    (b"qoif", "QOI"),
    (b"DDS ", "DDS"),
    (b"\x01\xda", "SGI"),
    (b"%PDF", "PDF"),
    (b"%!PS", "PostScript"),
    (b"\xc5\xd0\xd3\xc6", "PostScript"),
    (b"v/1\x01", "OpenEXR"),
    (b"#?RADIANCE", "Radiance HDR"),
    (b"SIMPLE  =", "FITS"),
    (b"gimp xcf", "GIMP"),
    (b"icns", "Apple icons"),
    (b"AT&TFORM", "DjVu"),
    (b"\xd7\xcd\xc6\x9a", "Windows metafile"),
    (b"PK\x03\x04", "ZIP archive"),
    (b"\x1f\x8b", "gzip file"),
    (b"\x1aE\xdf\xa3", "Matroska video"),
)

RAW = frozenset(
    (
        "Canon CR2",
        "Canon CR3",
        "Fujifilm RAF",
        "Sigma X3F",
        "Minolta MRW",
        "Olympus ORF",
        "Panasonic RW2",
    )
)
"""Kinds that hold what a sensor saw, and a picture of it inside."""

PLUGINS = {
    "JPEG 2000": ("JPEG2000",),
    "JPEG XL": ("JXL",),
    "HEIC": ("HEIF",),
    "AVIF": ("HEIF",),
    "Portable anymap": ("PPM",),
    "Photoshop": ("PSD",),
    "QOI": ("QOI",),
    "DDS": ("DDS",),
    "ICO": ("ICO",),
    "CUR": ("CUR",),
    "SGI": ("SGI",),
    "PCX": ("PCX",),
    "TGA": ("TGA",),
}
"""Which of Pillow's plugins are tried besides the usual ones, for what begins so."""


def kind_of(data: bytes) -> str | None:
    """What the file claims to be, in a word or two; None where nothing is recognised."""
    if data[4:8] == b"ftyp":
        return _BRANDS.get(data[8:12], "video")
    if data[:4] == b"RIFF":
        return "WebP" if data[8:12] == b"WEBP" else "video"
    if data[:4] in (b"\0\0\1\0", b"\0\0\2\0") and data[4:6] != b"\0\0":  # so does no TGA begin
        return "ICO" if data[2] == 1 else "CUR"
    for beginning, kind in _BEGINNINGS:
        if data.startswith(beginning):
            return kind
    if re.match(rb"P[1-7Ff][\s#]", data) or data.startswith(b"Pyrgba"):
        return "Portable anymap"
    if re.match(rb"\x0a[\0\2\3\4\5][\0\1][\1\2\4\x08]", data):
        return "PCX"
    start = data[:1024].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<svg", b"<?xml", b"<!doctype", b"<html")):
        return "SVG" if b"<svg" in start else "text"
    return "TGA" if _is_tga(data) else None


def _is_tga(data: bytes) -> bool:
    """Whether it is a Truevision TGA, which begins with no mark: either its footer says so, or its
    header makes sense in every field and its pixels fill the file."""
    if len(data) < 18 + 8:
        return False
    length, has_palette, kind = data[0], data[1], data[2]
    first, count, entry = data[3] | data[4] << 8, data[5] | data[6] << 8, data[7]
    width, height = data[12] | data[13] << 8, data[14] | data[15] << 8
    depth, flags = data[16], data[17]
    depths = {1: (8,), 2: (16, 24, 32), 3: (8, 16), 9: (8,), 10: (16, 24, 32), 11: (8, 16)}
    if depth not in depths.get(kind, ()) or not width or not height or flags & 0xC0:
        return False
    if has_palette != (kind in (1, 9)) or (entry not in (15, 16, 24, 32) if has_palette else entry):
        return False
    if not has_palette and (first or count):
        return False
    if data[-18:] == b"TRUEVISION-XFILE.\0":
        return True
    body = len(data) - 18 - length - (count * (entry + 7) // 8)
    pixels = width * height
    return body >= pixels * depth // 8 if kind < 8 else pixels // 128 < body


def claimed_pixels(data: bytes) -> tuple[int, int] | None:
    """Width and height that the header of an AVIF or HEIC file tells; None where it does not."""
    sizes = []
    at = data.find(b"ispe", 0, 1 << 16)
    while at >= 0 and len(data) >= at + 16:
        width, height = (int.from_bytes(data[at + i : at + i + 4], "big") for i in (8, 12))
        sizes.append((width, height))
        at = data.find(b"ispe", at + 4, 1 << 16)
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def jxl_size(data: bytes) -> tuple[int, int] | None:
    """Width and height in the header of a JPEG XL, which its plugin decodes before it tells them
    (ISO/IEC 18181-1, SizeHeader); None where there is none."""
    if data.startswith(b"\0\0\0\x0cJXL "):
        at = min((i for i in (data.find(b"jxlc"), data.find(b"jxlp")) if i >= 0), default=-1)
        if at < 0:
            return None
        at += 4 if data[at : at + 4] == b"jxlc" else 8
    else:
        at = 0
    if data[at : at + 2] != b"\xff\x0a":
        return None
    bits, used = int.from_bytes(data[at + 2 : at + 14].ljust(12, b"\0"), "little"), 0

    def take(count: int) -> int:
        nonlocal used
        value = bits >> used & ((1 << count) - 1)
        used += count
        return value

    def side(small: bool) -> int:
        if small:
            return 8 * (take(5) + 1)
        return take((9, 13, 18, 30)[take(2)]) + 1

    small = bool(take(1))
    height = side(small)
    if ratio := take(3):
        over, under = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))[ratio - 1]
        return height * over // under, height
    return side(small), height
