"""A PNG without what its pixels don't need: its chunks of text, profiles, times, animation."""

from __future__ import annotations

import struct
import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"eXIf", b"iTXt")
_XMP = b"XML:com.adobe.xmp\0\0"  # says how a picture is turned, and isn't packed
_MOST_TEXT = 1 << 20
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}


def without_metadata(data: bytes) -> bytes | None:
    """The same pixels in a file of the chunks that make them, and an end; None where it is no PNG.

    A chunk of pixels that the file's end cuts keeps what is there. Whether that is enough is for
    the decoder to tell. Chunks that pixels need must have a good checksum, the others are left out
    without one.
    """
    if not data.startswith(SIGNATURE):
        return None
    parts: list[bytes | memoryview] = [SIGNATURE]
    at, view = len(SIGNATURE), memoryview(data)
    while at + 8 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        body = view[at + 8 : at + 8 + length]
        check = view[at + 8 + length : at + 12 + length]
        at += 12 + length
        if kind == b"IEND":
            break
        if kind not in _KEPT:
            continue
        if len(check) < 4:  # the end of the file
            parts += _chunk(kind, body) if kind == b"IDAT" else ()
        elif kind in (b"tRNS", b"eXIf", b"iTXt"):
            if int.from_bytes(check, "big") == zlib.crc32(body, zlib.crc32(kind)) and (
                kind != b"iTXt" or (bytes(body[: len(_XMP)]) == _XMP and length < _MOST_TEXT)
            ):
                parts += _chunk(kind, body)
        else:
            parts += (data[at - 12 - length : at - 4 - length], body, check)
    return b"".join((*parts, *_chunk(b"IEND", b"")))


def filled_up(data: bytes) -> bytes | None:
    """The same with the rows that are missing at its end: each looks as the last that is there.

    Returns:
        None where no row is there, or rows come interlaced.
    """
    whole = without_metadata(data)
    if whole is None or whole[12:16] != b"IHDR" or len(whole) < 33:
        return None
    width, height, bits, colour = struct.unpack_from(">IIBB", whole, 16)
    if whole[28] or colour not in _CHANNELS:
        return None
    row = 1 + (width * bits * _CHANNELS[colour] + 7) // 8
    unpacker, packer = zlib.decompressobj(), zlib.compressobj(1)
    before, packed, got, at = [SIGNATURE], [], 0, len(SIGNATURE)
    while at + 8 <= len(whole):
        length, kind = struct.unpack_from(">I4s", whole, at)
        body = whole[at + 8 : at + 8 + length]
        if kind not in (b"IDAT", b"IEND"):
            before.append(whole[at : at + 12 + length])
        at += 12 + length
        while kind == b"IDAT" and body and got < row * height:
            try:
                rows = unpacker.decompress(body, 1 << 20)
            except zlib.error:
                break
            body = unpacker.unconsumed_tail
            got += len(rows)
            packed.append(packer.compress(rows))
    if got < row:
        return None
    if missing := row * height - got:
        packed.append(packer.compress(bytes(min(missing, -got % row))))
        repeated = b"\2" + bytes(row - 1)  # filter "up" of no difference
        packed += (packer.compress(repeated) for _ in range(missing // row))
    body = b"".join((*packed, packer.flush()))
    return b"".join((*before, *_chunk(b"IDAT", body), *_chunk(b"IEND", b"")))


def _chunk(kind: bytes, body: bytes | memoryview) -> tuple[bytes, bytes | memoryview, bytes]:
    check = zlib.crc32(body, zlib.crc32(kind))
    return struct.pack(">I4s", len(body), kind), body, struct.pack(">I", check)
