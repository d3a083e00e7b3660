"""A WebP without what its pixels don't need: profile, XMP, EXIF that can't be read."""

from __future__ import annotations

import struct

from PIL import Image

_ICC, _ALPHA, _EXIF, _XMP, _ANIMATED = 0x20, 0x10, 0x08, 0x04, 0x02


def without_metadata(data: bytes) -> bytes | None:
    """The same pixels in a file of the chunks that make them; None where it is no WebP."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    parts, at, flags = [], 12, 0
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 8 + length]
        at += 8 + length + (length & 1)
        if kind == b"VP8X" and len(body) >= 10:
            flags = body[0] & ~(_ICC | _EXIF | _XMP)
            parts.append((kind, body))
        elif kind in (b"VP8 ", b"VP8L", b"ALPH", b"ANIM", b"ANMF"):
            parts.append((kind, body))
        elif kind == b"EXIF" and _is_readable(body):
            flags |= _EXIF
            parts.append((kind, body))
    if parts and parts[0][0] == b"VP8X":
        parts[0] = b"VP8X", bytes([flags]) + parts[0][1][1:]
    else:
        parts = [part for part in parts if part[0] != b"EXIF"]
    body = b"WEBP" + b"".join(
        kind + struct.pack("<I", len(one)) + one + b"\0" * (len(one) & 1) for kind, one in parts
    )
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _is_readable(exif: bytes) -> bool:
    try:
        Image.Exif().load(exif)
    except Exception:  # whatever is wrong with it
        return False
    return True
