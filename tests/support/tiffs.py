"""TIFF files of kinds that Pillow doesn't write, and a DNG, byte by byte."""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image

_CODES = {"B": 1, "s": 2, "H": 3, "I": 4, "R": 5, "r": 10}
_UNITS = {"B": "B", "s": "s", "H": "H", "I": "I", "R": "I", "r": "i"}


def tiff(*pages: tuple[dict[int, tuple[str, list[int] | bytes]], bytes], subs: int = 0) -> bytes:
    """A little-endian TIFF of pages: tags (type, values), and one strip. The last `subs` pages are
    sub-directories of the first."""
    out = bytearray(b"II\x2a\0\0\0\0\0")
    starts = []
    for tags, strip in reversed(pages):
        tags = {**tags, 273: ("I", [len(out)]), 279: ("I", [len(strip)])}
        out += strip + b"\0" * (len(strip) % 2)
        if len(starts) == len(pages) - 1 and subs:
            tags[330] = ("I", starts[::-1])
        entries = b""
        for tag, (kind, values) in sorted(tags.items()):
            body = (
                values
                if isinstance(values, bytes)
                else struct.pack(f"<{len(values)}{_UNITS[kind]}", *values)
            )
            count = len(values) // (2 if kind in "Rr" else 1)
            if len(body) > 4:
                at = struct.pack("<I", len(out))
                out += body + b"\0" * (len(body) % 2)
                body = at
            entries += struct.pack("<HHI", tag, _CODES[kind], count) + body.ljust(4, b"\0")
        starts.append(len(out))
        out += struct.pack("<H", len(tags)) + entries + bytes(4)
    struct.pack_into("<I", out, 4, starts[-1])
    return bytes(out)


def tiff_of(values: np.ndarray, **tags: list[int]) -> bytes:
    """One page of (height, width) or (height, width, bands) of any numbers; tags as `t258=[8]`."""
    height, width, bands = (*values.shape, 1)[:3]
    format = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    found: dict[int, tuple[str, list[int] | bytes]] = {
        256: ("I", [width]),
        257: ("I", [height]),
        258: ("H", [8 * values.dtype.itemsize] * bands),
        259: ("H", [1]),
        262: ("H", [2 if bands >= 3 else 1]),
        277: ("H", [bands]),
        278: ("I", [height]),
        339: ("H", [format] * bands),
    }
    if bands > 3:
        found[338] = "H", [0] * (bands - 3)
    found |= {int(name[1:]): ("H", numbers) for name, numbers in tags.items()}
    return tiff((found, values.astype(values.dtype.newbyteorder("<")).tobytes()))


def webp_inside(image: Image.Image) -> bytes:
    """A TIFF whose one strip is a WebP."""
    out = io.BytesIO()
    image.save(out, "WEBP", lossless=True)
    tags = {256: ("I", [image.width]), 257: ("I", [image.height]), 258: ("H", [8] * 3)}
    more = {259: ("H", [50001]), 262: ("H", [2]), 277: ("H", [3]), 278: ("I", [image.height])}
    return tiff(({**tags, **more}, out.getvalue()))


def dng(image: Image.Image, preview: Image.Image | None = None, turned: int = 1) -> bytes:
    """What a sensor with a filter array would see of `image`, 12 bits deep; a stamp and a preview
    besides."""
    seen = np.asarray(image.convert("RGB")).astype(np.uint16) * 16
    array = seen[..., 1].copy()
    array[0::2, 0::2], array[1::2, 1::2] = seen[0::2, 0::2, 0], seen[1::2, 1::2, 2]
    camera: dict[int, tuple[str, list[int] | bytes]] = {
        271: ("s", b"Test\0"),
        272: ("s", b"Camera\0"),
        274: ("H", [turned]),
        50706: ("B", [1, 4, 0, 0]),
        50707: ("B", [1, 1, 0, 0]),
        50708: ("s", b"Test Camera\0"),
        50721: ("r", [1, 1, 0, 1, 0, 1, 0, 1, 1, 1, 0, 1, 0, 1, 0, 1, 1, 1]),
        50728: ("R", [1, 1] * 3),
        50778: ("H", [21]),
    }
    sensor: dict[int, tuple[str, list[int] | bytes]] = {
        254: ("I", [0]),
        256: ("I", [image.width]),
        257: ("I", [image.height]),
        258: ("H", [16]),
        259: ("H", [1]),
        262: ("H", [32803]),
        277: ("H", [1]),
        278: ("I", [image.height]),
        33421: ("H", [2, 2]),
        33422: ("B", [0, 1, 1, 2]),
        50714: ("H", [0]),
        50717: ("I", [4095]),
    }
    page = sensor, array.astype("<u2").tobytes()
    if preview is None:
        return tiff(({**camera, **sensor}, page[1]))
    out = io.BytesIO()
    preview.save(out, "JPEG", quality=95)
    stamp = image.convert("RGB").resize((64, 48))

    def rgb(
        size: tuple[int, int], compression: int, photometric: int
    ) -> dict[int, tuple[str, list[int] | bytes]]:
        return {
            254: ("I", [1]),
            256: ("I", [size[0]]),
            257: ("I", [size[1]]),
            258: ("H", [8] * 3),
            259: ("H", [compression]),
            262: ("H", [photometric]),
            277: ("H", [3]),
            278: ("I", [size[1]]),
        }

    first = {**camera, **rgb(stamp.size, 1, 2)}, stamp.tobytes()
    shown = rgb(preview.size, 7, 6), out.getvalue()
    return tiff(first, page, shown, subs=2)
