"""A JPEG without what its pixels don't need, and with the end that it may have lost."""

from __future__ import annotations

import hashlib
import io
import re
from collections.abc import Iterator

from PIL import Image

END = b"\xff\xd9"
_START = b"\xff\xd8"
_SOS, _APP0, _APP1, _APP14 = 0xDA, 0xE0, 0xE1, 0xEE
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_XMP = b"http://ns.adobe.com/xap/1.0/\0"
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xda-\xdd\xe0-\xef\xfe]")
_RISING, _FALLING = bytes(range(0x25, 0xFF)), bytes(range(0xFE, 0x25, -1))  # no marker is in them
_ROWS = 64


def without_metadata(data: bytes, *, trust_lengths: bool = True) -> bytes | None:
    """The same pixels in a file without application segments and comments; None where it is none.

    Of those that say how pixels are meant (JFIF, Adobe) whole ones stay, and so do EXIF that can be
    read and XMP, which may tell how the picture is turned. Where a segment's length leads astray,
    the next one is looked for.

    Args:
        trust_lengths: whether a length is right that ends at a marker. If not, a segment ends where
            another begins inside of it, which a wrong length would swallow: a table, a frame, a
            scan. But not one with a picture of its own, a thumbnail.
    """
    if not data.startswith(_START):
        return None
    parts, at = [_START], 2
    while at + 4 <= len(data):
        if data[at] != 0xFF or data[at + 1] in (0x00, 0xFF):
            if (at := _next_marker(data, at)) < 0:
                return None
            continue
        marker = data[at + 1]
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        end = at + 2 + length
        is_extra = _APP0 <= marker <= 0xEF or marker == 0xFE
        if is_extra and (length < 2 or not _is_marker(data, end)):
            if (at := _next_marker(data, at + 4)) < 0:
                return None
            continue
        if is_extra and not trust_lengths and _START not in data[at + 4 : end]:
            swallowed = _next_marker(data, at + 4)
            if 0 <= swallowed < end:
                at = swallowed
                continue
        if marker == _SOS:
            parts.append(data[at:])
            return b"".join(parts)
        if not is_extra or _is_kept(marker, data[at + 4 : end]):
            parts.append(data[at:end])
        at = end
    return None


def _is_kept(marker: int, body: bytes) -> bool:
    if marker == _APP0:
        return body.startswith(b"JFIF\0") and len(body) >= 14
    if marker == _APP14:
        return body.startswith(b"Adobe") and len(body) >= 12
    if marker == _APP1 and body.startswith(b"Exif\0\0"):
        try:
            Image.Exif().load(body)
        except Exception:  # whatever is wrong with it
            return False
        return True
    return marker == _APP1 and body.startswith(_XMP)


def _is_marker(data: bytes, at: int) -> bool:
    return data[at : at + 1] == b"\xff" and data[at + 1 : at + 2] not in (b"", b"\0")


def _next_marker(data: bytes, start: int) -> int:
    """Where a segment begins that another follows; -1 where none does."""
    for found in _MARKER.finditer(data, start):
        at = found.start()
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        if length >= 2 and (data[at + 1] == _SOS or _is_marker(data, at + 2 + length)):
            return at
    return -1


def rows_whatever_follows(data: bytes) -> int:
    """How many rows, from the top, are the same whatever bytes follow the file's last: only those
    are really in it. All of them, where nothing but an end marker (or less) is missing.

    Three ends are tried, which differ from the first bit on: libjpeg takes an early end for zeros.
    Decodes all of the picture three times; the caller knows its size and allows it.
    """
    cut = data.rstrip(b"\xff")
    ends = (b"", 16 * _RISING, 16 * _FALLING)
    same = 0
    for digests in zip(*(_rows(cut + end + END) for end in ends), strict=True):
        if len({digest for _, digest in digests}) > 1:
            break
        same += digests[0][0]
    return same


def _rows(data: bytes) -> Iterator[tuple[int, bytes]]:
    """How many rows, and their digest, from top to bottom."""
    digests = []
    with Image.open(io.BytesIO(data), formats=("JPEG",)) as image:
        for top in range(0, image.height, _ROWS):
            bottom = min(top + _ROWS, image.height)
            rows = image.crop((0, top, image.width, bottom)).tobytes()
            digests.append((bottom - top, hashlib.sha256(rows).digest()))
    return iter(digests)


def has_all_scans(data: bytes) -> bool:
    """Whether every coefficient of every component is told to its last bit, by the headers of the
    scans: a progressive JPEG that is cut between two of them misses its finest details."""
    told: dict[tuple[int, int], int] = {}
    at, parts = 2, 0
    while at + 4 <= len(data):
        at = data.find(b"\xff", at)
        if at < 0 or at + 4 > len(data):
            break
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0 or 0xD0 <= marker <= 0xD9:
            at += 2
            continue
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body = data[at + 4 : at + 2 + length]
        if marker in _FRAMES and len(body) > 5:
            parts = body[5]
        if marker == _SOS and body and len(body) >= 4 + 2 * body[0]:
            first, last, approximation = body[1 + 2 * body[0] : 4 + 2 * body[0]]
            for number in range(body[0]):
                for which in range(first, min(last, 63) + 1):
                    told[body[1 + 2 * number], which] = approximation & 15
        at += 2 + length
    return parts > 0 and len(told) == 64 * parts and not any(told.values())
