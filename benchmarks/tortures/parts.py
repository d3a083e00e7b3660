"""Picture files taken apart and put together again, lengths and checksums right: so that what is
changed in between gets past a parser's first look."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass

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
