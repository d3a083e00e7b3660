"""ICO and CUR files: which of the pictures inside is looked at, before any is decoded."""

from __future__ import annotations

import struct
from typing import NamedTuple

from .png_chunks import SIGNATURE


class Icon(NamedTuple):
    """The largest picture of an icon."""

    width: int
    height: int
    png: bytes | None
    """The file, where it is one; otherwise its pixels are laid out as in a BMP."""
    alone: bytes
    """An icon file of just this one: a directory may claim other sizes than the pictures have."""


def largest(data: bytes) -> Icon | None:
    """By the pictures' own headers; None where there is none that makes sense."""
    found: Icon | None = None
    best = (0, 0)
    for number in range(min(struct.unpack_from("<H", data, 4)[0], 256)):
        entry = data[6 + 16 * number : 22 + 16 * number]
        if len(entry) < 16:
            break
        bits, length, at = struct.unpack_from("<HII", entry, 6)
        body = data[at : at + length]
        if body.startswith(SIGNATURE) and len(body) >= 33:
            width, height = struct.unpack_from(">II", body, 16)
            depth = 32
        elif len(body) >= 40:
            width, height, _, depth = struct.unpack_from("<iiHH", body, 4)
            height //= 2
        else:
            continue
        if width > 0 and height > 0 and (width * height, depth or bits) > best:
            best = width * height, depth or bits
            png = body if body.startswith(SIGNATURE) else None
            sides = bytes(side if side < 256 else 0 for side in (width, height))
            alone = data[:4] + b"\1\0" + sides + entry[2:12] + struct.pack("<I", 22) + body
            found = Icon(width, height, png, alone)
    return found
