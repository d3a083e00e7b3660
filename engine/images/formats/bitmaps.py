"""BMP files of the kinds that Pillow refuses: any bit fields, 2 bits a pixel, large palettes."""

from __future__ import annotations

import struct

import numpy as np
from PIL import Image

from ....core.errors import DamagedPictureError

_STRIP = 1 << 18
"""Pixels that are unpacked at once."""


def size_of(data: bytes) -> tuple[int, int] | None:
    """Width and height of a BMP with a header that is known here; None otherwise."""
    if data[:2] != b"BM" or len(data) < 54 or not 40 <= _int(data, 14) <= 124:
        return None
    width, height = struct.unpack_from("<ii", data, 18)
    return (width, abs(height)) if width > 0 and height else None


def opened(data: bytes) -> Image.Image | None:
    """The picture, RGB or RGBA; None where it is of no kind that is read here. Its size is to be
    checked before.

    Raises:
        DamagedPictureError: it is cut off.
    """
    if (size := size_of(data)) is None:
        return None
    width, height = size
    header, bits, compression = _int(data, 14), _int(data, 28, 2), _int(data, 30)
    if compression in (3, 6) and bits in (16, 24, 32):
        count = 4 if header >= 56 or compression == 6 else 3
        masks = list(struct.unpack_from(f"<{count}I", data, 54))
    elif compression == 0 and bits in (16, 32):
        masks = [0x7C00, 0x3E0, 0x1F] if bits == 16 else [0xFF0000, 0xFF00, 0xFF]
    elif compression == 0 and bits in (1, 2, 4, 8):
        masks = []
    else:
        return None
    stride = (width * bits + 31) // 32 * 4
    start = _int(data, 10)
    if len(data) < start + stride * (height - 1) + (width * bits + 7) // 8:
        raise DamagedPictureError("is damaged or cut off (rows are missing)")
    if masks:
        palette = None
    else:
        at = 14 + header
        colours = min(1 << bits, _int(data, 46) or 1 << bits, max(0, (start - at) // 4))
        table = np.frombuffer(data, np.uint8, 4 * colours, at).reshape(-1, 4)[:, 2::-1]
        palette = np.zeros((1 << bits, 3), np.uint8)
        palette[:colours] = table
    mode = "RGBA" if len(masks) == 4 and masks[3] else "RGB"
    image = Image.new(mode, size)
    rows = max(1, _STRIP // width)
    is_upright = struct.unpack_from("<i", data, 22)[0] < 0
    for top in range(0, height, rows):
        count = min(rows, height - top)
        packed = np.frombuffer(
            data[start + stride * top : start + stride * (top + count)].ljust(
                stride * count, b"\0"
            ),
            np.uint8,
        ).reshape(count, stride)
        if palette is not None:
            strip = palette[_indices(packed, bits, width)]
        else:
            strip = _channels(packed, bits, width, masks if mode == "RGBA" else masks[:3])
        if is_upright:
            image.paste(Image.fromarray(strip), (0, top))
        else:
            image.paste(Image.fromarray(strip[::-1]), (0, height - top - count))
    image.format = "BMP"
    return image


def _indices(packed: np.ndarray, bits: int, width: int) -> np.ndarray:
    """(rows, stride) uint8 -> (rows, width) uint8."""
    shifts = np.arange(8 - bits, -1, -bits, dtype=np.uint8)
    return (packed[:, :, None] >> shifts & ((1 << bits) - 1)).reshape(len(packed), -1)[:, :width]


def _channels(packed: np.ndarray, bits: int, width: int, masks: list[int]) -> np.ndarray:
    """(rows, stride) uint8 -> (rows, width, channels) uint8: each mask's bits, stretched to 255."""
    parts = packed[:, : width * bits // 8].reshape(len(packed), width, bits // 8).astype(np.uint32)
    values = sum(parts[..., at] << np.uint32(8 * at) for at in range(bits // 8))
    out = np.zeros((len(packed), width, len(masks)), np.uint8)
    for channel, mask in enumerate(masks):
        if mask:
            low = (mask & -mask).bit_length() - 1
            found = (values & np.uint32(mask)) >> np.uint32(low)
            out[..., channel] = (found * (255.0 / (mask >> low))).round()
    return out


def _int(data: bytes, at: int, size: int = 4) -> int:
    return int.from_bytes(data[at : at + size], "little")
