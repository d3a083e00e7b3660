"""Files made to hurt: small ones that claim or unpack to much, or that loop. Each is always the
same."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator, Sequence
from functools import partial

from .mutations import Hostile
from .picture_files import GUISES, PNG, Maker, Part, apart, png_chunk, png_with, together, valid

_MANY = 10_000


def bombs(spare: Sequence[str] = ()) -> Iterator[Hostile]:
    """All of them, but for some kinds."""
    for kind, makers in ALL.items():
        for name, make in makers.items():
            if kind not in spare:
                yield Hostile(kind, name, make())


# -- pixels ------------------------------------------------------------------


def png_of(width: int, height: int, colour: int = 0, bits: int = 8) -> bytes:
    """A PNG of nothing but zeros, of any size, in few bytes. `colour` and `bits` as in its IHDR."""
    samples = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}[colour]
    row = b"\0" * (1 + (width * samples * bits + 7) // 8)
    packer = zlib.compressobj(1)
    body = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    parts = [Part(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))]
    if colour == 3:
        parts.append(Part(b"PLTE", bytes(48)))
    return together([*parts, Part(b"IDAT", body), Part(b"IEND", b"")], PNG)


def _jpeg_claims(width: int, height: int, name: str = "jpeg") -> bytes:
    parts = apart(valid()[name])
    at = next(at for at, part in enumerate(parts) if part.kind in (b"\xff\xc0", b"\xff\xc2"))
    body = parts[at].body
    parts[at] = Part(parts[at].kind, body[:1] + struct.pack(">HH", height, width) + body[5:])
    return together(parts, b"\xff\xd8")


def _jpeg_of_many_scans(side: int = 8000) -> bytes:
    """A progressive JPEG that claims 64 megapixels and goes over them again and again: each of its
    empty scans is a pass over all."""
    data = _jpeg_claims(side, side, "jpeg-progressive")
    scan = b"\xff\xda" + struct.pack(">H", 8) + bytes([1, 1, 0, 1, 5, 0])
    return data.removesuffix(b"\xff\xd9") + scan * _MANY + b"\xff\xd9"


def _gif_claims() -> bytes:
    return b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + valid()["gif"][13:]


def _bmp_of_short_rows(width: int = 13_000, height: int = 13_000) -> bytes:
    """Run-length encoded, one pixel a row: Pillow fills in the rest pixel by pixel."""
    rows = b"\1\0\0\0" * height + b"\0\1"
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, len(rows), 0, 0, 256, 0)
    start = 14 + len(header) + 1024
    head = b"BM" + struct.pack("<IHHI", start + len(rows), 0, 0, start)
    return head + header + bytes(1024) + rows


def _webp_claims() -> bytes:
    side = (16_383).to_bytes(3, "little")
    parts = [
        Part(part.kind, part.body[:4] + side + side if part.kind == b"VP8X" else part.body)
        for part in apart(valid()["webp-animated"])
    ]
    return together(parts, b"RIFF")


def _avif_claims() -> bytes:
    data = valid()["avif"]
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", 13_000, 13_000) + data[at + 8 :]


def tiff(entries: list[tuple[int, int, int, int]], rest: bytes = b"", following: int = 0) -> bytes:
    """A little-endian TIFF of one directory (tag, type, count, value or offset); `rest` begins
    right behind it, at byte `14 + 12 * len(entries)`."""
    body = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    directory = struct.pack("<H", len(entries)) + body + struct.pack("<I", following)
    return b"II*\0" + struct.pack("<I", 8) + directory + rest


def _grey_tiff(width: int, height: int, pack: int, data: bytes) -> bytes:
    entries = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, pack)]
    entries += [(262, 3, 1, 1), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, len(data))]
    return tiff([*entries, (273, 4, 1, 14 + 12 * 9)], data)


def _tiff_of_zeros() -> bytes:
    return _grey_tiff(13_000, 13_000, 8, zlib.compress(bytes(169_000_000), 1))


# -- frames, directories -----------------------------------------------------


def _gif_of_frames(frames: int = 65_535) -> bytes:
    frame = b",\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    return b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff" + frame * frames + b";"


def _apng_of_frames() -> bytes:
    parts = apart(valid()["png-animated"])
    return together(
        [
            Part(part.kind, b"\xff" * 8 if part.kind == b"acTL" else part.body)
            for part in parts
        ],
        PNG,
    )  # fmt: skip


def _webp_of_frames() -> bytes:
    parts = apart(valid()["webp-animated"])
    frame = next(part for part in parts if part.kind == b"ANMF")
    return together([*parts, *[frame] * 2000], b"RIFF")


def _tiff_that_loops() -> bytes:
    return tiff([(256, 4, 1, 9), (257, 4, 1, 9), (330, 4, 1, 8), (34665, 4, 1, 8)], following=8)


def _tiff_of_directories() -> bytes:
    data = b"II*\0" + struct.pack("<I", 8)
    for number in range(65_535):
        data += struct.pack("<HHHIII", 1, 256, 4, 1, 9, 8 + 18 * (number + 1))
    return data


def _tiff_of_shared_values(tags: int = 40_000, size: int = 1 << 20) -> bytes:
    """Each of its tags has the same megabyte for its value."""
    at = 14 + 12 * tags
    entries = [(256, 4, 1, 9), (257, 4, 1, 9)]
    entries += [(tag, 7, size, at) for tag in range(1000, 1000 + tags - 2)]
    return tiff(entries, bytes(size))


def _tiff_of_strips() -> bytes:
    """Two million strips of two pixels each."""
    rows = 2_000_000
    at = 14 + 12 * 9
    entries = [(256, 4, 1, 2), (257, 4, 1, rows), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1)]
    entries += [(277, 3, 1, 1), (278, 4, 1, 1), (273, 4, rows, at), (279, 4, rows, at)]
    return tiff(entries, struct.pack("<I", 2) * rows)


# -- what comes along --------------------------------------------------------


def _zeros(size: int) -> bytes:
    return zlib.compress(bytes(size), 9)


def _jpeg_with(*parts: Part) -> bytes:
    return together([*parts, *apart(valid()["jpeg"])], b"\xff\xd8")


def _jpeg_profile() -> bytes:
    """The largest ICC profile that a JPEG can hold: 16 MB."""
    return _jpeg_with(
        *(
            Part(b"\xff\xe2", b"ICC_PROFILE\0" + bytes([number, 255]) + bytes(65_519))
            for number in range(1, 256)
        )
    )


def _jpeg_exif(tiff_bytes: bytes) -> bytes:
    return _jpeg_with(Part(b"\xff\xe1", b"Exif\0\0" + tiff_bytes))


def _exif_of_shared_values() -> bytes:
    """In one EXIF segment, 2,600 tags that share 32 KB."""
    return _jpeg_exif(_tiff_of_shared_values(2600, 32_000))


def _gif_of_comments(size: int = 8 << 20) -> bytes:
    head = b"GIF89a\1\0\1\0\x80\0\0\0\0\0\xff\xff\xff"
    comment = b"!\xfe" + (b"\xff" + b"x" * 255) * (size // 256) + b"\0"
    return head + comment * 2 + _gif_of_frames(1)[19:]


def _webp_profile() -> bytes:
    parts = apart(valid()["webp"])
    return together(
        [Part(part.kind, bytes(20 << 20)) if part.kind == b"ICCP" else part for part in parts],
        b"RIFF",
    )


def _png_of_chunks(count: int = 200_000) -> bytes:
    chunk = png_chunk(Part(b"teSt", b""))
    data = valid()["png-RGB"]
    return data[:33] + chunk * count + data[33:]


ALL: dict[str, dict[str, Maker]] = {
    "pixels": {
        "png of 176 megapixels": partial(png_of, 13_300, 13_300),
        "png of 176 megapixels, 16 bits": partial(png_of, 13_300, 13_300, 0, 16),
        "png of 176 megapixels, clear": partial(png_of, 13_300, 13_300, 6),
        "png of 200 megapixels": partial(png_of, 20_000, 10_000),
        "png of 400 megapixels": partial(png_of, 40_000, 10_000),
        "png, one row": partial(png_of, 1_000_000, 1),
        "png, one column": partial(png_of, 1, 1_000_000, 3),
        "jpeg that claims 4,295 megapixels": partial(_jpeg_claims, 65_535, 65_535),
        "jpeg that claims 170 megapixels": partial(_jpeg_claims, 13_000, 13_000),
        "jpeg that claims none": partial(_jpeg_claims, 0, 0),
        "jpeg of 10,000 scans": _jpeg_of_many_scans,
        "gif that claims 4,295 megapixels": _gif_claims,
        "bmp of short rows": _bmp_of_short_rows,
        "webp that claims 268 megapixels": _webp_claims,
        "avif that claims 169 megapixels": _avif_claims,
        "tiff of 169 megapixels of zeros": _tiff_of_zeros,
        "tiff that claims 169 megapixels": partial(_grey_tiff, 13_000, 13_000, 5, b"\x80\x0b\x60"),
    },
    "frames": {
        "gif of 65,535": _gif_of_frames,
        "png that claims 4 billion": _apng_of_frames,
        "webp of 2,000": _webp_of_frames,
        "tiff that loops": _tiff_that_loops,
        "tiff of 65,535 directories": _tiff_of_directories,
        "tiff of 2 million strips": _tiff_of_strips,
    },
    "shared values": {
        "tiff": _tiff_of_shared_values,
        "exif": _exif_of_shared_values,
    },
    "profiles": {
        "png, 256 MB packed": lambda: png_with(Part(b"iCCP", b"x\0\0" + _zeros(256 << 20))),
        "png, 16 MB": lambda: png_with(Part(b"iCCP", b"x\0\0" + _zeros(16 << 20))),
        "jpeg, 16 MB": _jpeg_profile,
        "webp, 20 MB": _webp_profile,
    },
    "exif": {
        "loops": lambda: _jpeg_exif(_tiff_that_loops()),
        "that is no directory": lambda: _jpeg_exif(b"II*\0\xff\xff\xff\xff"),
        "orientation 0": lambda: _jpeg_exif(tiff([(0x0112, 3, 1, 0)])),
        "orientation 65,535": lambda: _jpeg_exif(tiff([(0x0112, 3, 1, 65_535)])),
        "orientation in words": lambda: _jpeg_exif(tiff([(0x0112, 2, 4, 0x78787878)])),
        "orientation over nothing": lambda: _jpeg_exif(tiff([(0x0112, 5, 1, 8)], bytes(8))),
        "four billion orientations": lambda: _jpeg_exif(tiff([(0x0112, 3, 2**32 - 1, 8)])),
    },
    "text": {
        "zTXt, 256 MB packed": lambda: png_with(Part(b"zTXt", b"x\0\0" + _zeros(256 << 20))),
        "iTXt, 256 MB packed": lambda: png_with(
            Part(b"iTXt", b"x\0\1\0\0\0" + _zeros(256 << 20))
        ),
        "200 times 1 MB": lambda: png_with(
            *[Part(b"zTXt", b"x\0\0" + _zeros(1_000_000))] * 200
        ),
        "10,000 tEXt": lambda: png_with(*[Part(b"tEXt", b"x\0y")] * _MANY),
        "200,000 chunks": _png_of_chunks,
        "gif comments of 16 MB": _gif_of_comments,
        "xmp of angle brackets": lambda: _jpeg_with(
            Part(b"\xff\xe1", b"http://ns.adobe.com/xap/1.0/\0" + b"<tiff:Orientation" * 3000)
        ),
    },
    **GUISES,
}  # fmt: skip
"""By kind and name: what makes it. Those of pixels take seconds each."""
