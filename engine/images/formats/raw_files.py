"""Cameras' RAW files, by the picture that is inside; the extra `raw` (rawpy, LibRaw)."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable

from PIL import Image

from ....core.errors import DamagedPictureError, MissingCodecError, TooLargePictureError
from .signatures import RAW, kind_of
from .tiff_tags import directories

_LEAST_SIDE = 224
"""A preview with a shorter side is a stamp: then the sensor's values are developed instead."""

_TURNED = {3: 3, 5: 8, 6: 6}  # LibRaw's `flip` -> EXIF's orientation


def is_raw(data: bytes) -> bool:
    """Whether it holds what a sensor saw. A DNG, NEF, ARW, PEF or SRW is a TIFF; its first picture
    is often a stamp."""
    kind = kind_of(data)
    if kind == "TIFF":
        return any(one.is_of_a_sensor for one in directories(data))
    return kind in RAW


def preview(
    data: bytes,
    too_large: Callable[[tuple[int, int]], TooLargePictureError | None],
) -> bytes | Image.Image:
    """The picture inside: the bytes of a JPEG, or pixels; and which way up it is, in its EXIF.

    Args:
        too_large: what to raise of a size; None where it may be decoded.

    Raises:
        MissingCodecError: rawpy is not installed.
        DamagedPictureError: it can't be read.
        TooLargePictureError
    """
    try:
        import rawpy
    except ImportError:
        raise MissingCodecError("RAW needs an extra: pip install 'tll-index[raw]'") from None
    with _typed(rawpy), rawpy.imread(io.BytesIO(data)) as raw:
        orientation = _TURNED.get(raw.sizes.flip, 1)
        found = _thumbnail(rawpy, raw)
        if found is not None and min(found[1]) >= _LEAST_SIDE:
            return _told(found[0], orientation)
        size = raw.sizes.raw_width, raw.sizes.raw_height
        if (error := too_large(size)) is not None:
            raise error
        try:
            pixels = raw.postprocess(half_size=True, use_camera_wb=True, output_bps=8)
        except rawpy.LibRawError:
            if found is None:
                raise
            return _told(found[0], orientation)
    image = Image.fromarray(pixels)  # which LibRaw has turned
    image.format = "RAW"
    return image


def _thumbnail(rawpy, raw) -> tuple[bytes | Image.Image, tuple[int, int]] | None:  # type: ignore[no-untyped-def]
    """The preview and its size; None where there is none."""
    with contextlib.suppress(rawpy.LibRawError, OSError, ValueError, SyntaxError):
        found = raw.extract_thumb()
        if found.format == rawpy.ThumbFormat.JPEG:
            data = bytes(found.data)
            with Image.open(io.BytesIO(data), formats=("JPEG", "MPO")) as image:
                return data, image.size
        if found.format == rawpy.ThumbFormat.BITMAP:
            bitmap = Image.fromarray(found.data)
            return bitmap, bitmap.size
    return None


def _told(found: bytes | Image.Image, orientation: int) -> bytes | Image.Image:
    """The same, saying itself which way up it is."""
    if isinstance(found, Image.Image):
        found.format = "RAW"
        found.getexif()[0x0112] = orientation
        return found
    with Image.open(io.BytesIO(found), formats=("JPEG", "MPO")) as image:
        if 0x0112 in image.getexif() or orientation == 1:
            return found
    exif = Image.Exif()
    exif[0x0112] = orientation
    body = exif.tobytes()
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    return found[:2] + segment + found[2:]


@contextlib.contextmanager
def _typed(rawpy):  # type: ignore[no-untyped-def]
    try:
        yield
    except rawpy.LibRawError as error:
        text = error.args[0] if error.args else error
        text = text.decode(errors="replace") if isinstance(text, bytes) else str(text)
        raise DamagedPictureError(f"is a RAW file that LibRaw can't read ({text})") from None
