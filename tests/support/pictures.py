"""Pictures that tests make: small, distinct, in any format."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image


def noise(seed: int, width: int = 40, height: int = 30) -> Image.Image:
    """A picture like no other: coloured blocks from a seed."""
    generator = np.random.default_rng(seed)
    blocks = generator.integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(blocks).resize((width, height), Image.Resampling.NEAREST)


def fill_folder(folder: Path, count: int, first: int = 0) -> list[Path]:
    """`count` different PNG files in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for seed in range(first, first + count):
        path = folder / f"picture{seed:04}.png"
        noise(seed).save(path)
        paths.append(path)
    return paths


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    """The bytes of a picture file."""
    out = io.BytesIO()
    image.save(out, format, **options)
    return out.getvalue()


def quadrants() -> Image.Image:
    """Red, green / blue, white: tells every turn and mirroring from every other."""
    image = Image.new("RGB", (80, 80), "white")
    image.paste((255, 0, 0), (0, 0, 40, 40))
    image.paste((0, 255, 0), (40, 0, 80, 40))
    image.paste((0, 0, 255), (0, 40, 40, 80))
    return image


def png_claiming(width: int, height: int) -> bytes:
    """A valid PNG of one colour with that many pixels, in few bytes: a decompression bomb."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    packer = zlib.compressobj(9)
    rows = b"\0" * (width + 1)
    body = b"".join(packer.compress(rows) for _ in range(height)) + packer.flush()
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    )
