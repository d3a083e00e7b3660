"""File or bytes -> RGB pixels at a backbone's input size.

What is opened, and what is refused, is for `opening.py` to say.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from PIL import Image, JpegImagePlugin

from ...core.contracts import Pixels
from .borders import content_box
from .color_modes import CONVERSION, to_rgb
from .crops import Crop
from .opening import (
    PILLOW_FORMATS,
    SUFFIXES,
    Limits,
    codecs,
    read_picture,
    typed_failures,
    without_threads,
)
from .resizing import RESAMPLING, resized

__all__ = (
    "PILLOW_FORMATS",
    "SUFFIXES",
    "FaceChip",
    "Geometry",
    "Limits",
    "Picture",
    "codecs",
    "decode",
    "from_image",
    "greyed",
    "jpeg",
    "smaller",
    "thumbnail",
    "without_threads",
)

_TURNS = {  # EXIF orientation -> the operation that undoes it (EXIF 2.32, tag 0x0112)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

PixelBox = tuple[float, float, float, float]
"""A part of a picture, in its pixels: left, top, right, bottom."""

_SPARE = 2.0
"""A large JPEG is decoded smaller, to sides that are at least so many times what is looked at. At 2
vectors keep a cosine of 0.999 with those of the whole picture, in the mean over large pictures."""

_USUAL = Limits()


@dataclass(frozen=True)
class Geometry:
    """A rule for how a picture of any shape becomes a square of `size` pixels."""

    size: int
    fit: Literal["squash", "crop"] = "crop"
    """squash: the whole picture, its sides stretched to fit; crop: the centre square."""
    crop: float = 1.0
    """Of the centre square, the share of its side that is kept (timm's `crop_pct`)."""
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    """Of the pixels in between; either averages over an area where the picture is made smaller."""
    conversion: int = CONVERSION
    """By which rules transparency and deep grey become RGB (see `modes`)."""
    fast: bool = False
    """Whether `resizing` may resize with what is faster than Pillow."""
    trim: bool = False
    """Whether a picture is only what is inside its borders (see `borders`)."""
    faces: int = 0
    """Pixels of the longer side of a picture in which a face is looked for; 0 looks for none."""

    def box(self, width: int, height: int) -> PixelBox:
        """The part of the picture that is looked at, borders aside."""
        if self.fit == "squash":
            return 0.0, 0.0, float(width), float(height)
        side = min(width, height) * self.crop
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side


@dataclass(frozen=True, eq=False)
class FaceChip:
    """The face that counts in a picture: the most prominent one."""

    pixels: Pixels
    """(side, side, 3) uint8 RGB: upright, as `engine.faces.alignment.chip` cuts it."""
    score: float
    """How sure the detector is, 0 to 1."""
    box: tuple[float, float, float, float]
    """Where it is: left, top, right, bottom, as parts of the sides of what was looked at (see
    `Picture.box`); may reach beyond it."""


@dataclass(frozen=True)
class Picture:
    """One decoded picture."""

    pixels: Pixels
    """(size, size, 3) uint8, RGB."""
    width: int
    height: int
    """Of the whole picture, upright (after EXIF orientation), in pixels."""
    format: str
    box: PixelBox | None = None
    """The part of the upright picture that `pixels` show; None is all of it."""
    face: FaceChip | None = None
    """None where no face was found, or none was looked for."""


def decode(
    data: bytes,
    geometry: Geometry,
    limits: Limits = _USUAL,
    sized: Callable[[int, int], None] | None = None,
    crop: Crop | None = None,
) -> Picture:
    """Decode the first frame of `data`, upright, in RGB, transparency over a background that tells
    what is visible (see `backgrounds`).

    Args:
        sized: is told the width and height, before there are pixels.
        crop: the part of the upright picture to look at, as if it were all. Its borders count:
            someone chose them.

    Raises:
        EmptyPictureError, NotAPictureError, DamagedPictureError, TooLargePictureError,
        MissingCodecError, OutsidePictureError
    """

    def use(image: Image.Image) -> Picture:
        if crop is not None:
            image.load()
            return _part(image, geometry, crop)
        left, top, right, bottom = geometry.box(*image.size)
        shares = image.width / (right - left), image.height / (bottom - top)
        size = _shrunk(image, *(geometry.size * share for share in shares))
        image.load()
        return _fitted(image, geometry, size)

    return read_picture(data, limits, sized, use)


def thumbnail(
    data: bytes,
    side: int,
    limits: Limits = _USUAL,
    sized: Callable[[int, int], None] | None = None,
) -> bytes:
    """A JPEG of the picture, upright, its longer side at most `side` pixels.

    Args:
        sized: as in `decode`.

    Raises:
        As `decode`.
    """
    return jpeg(smaller(data, side, limits, sized=sized))


def jpeg(image: Image.Image) -> bytes:
    """The bytes of a JPEG file of an RGB image."""
    out = io.BytesIO()
    image.save(out, "JPEG", quality=85)
    return out.getvalue()


def smaller(
    data: bytes,
    side: int,
    limits: Limits = _USUAL,
    crop: Crop | None = None,
    sized: Callable[[int, int], None] | None = None,
) -> Image.Image:
    """The picture, or the part of it that `crop` says, as people may see it: upright, in RGB, its
    longer side at most `side` pixels.

    Args:
        sized: as in `decode`.

    Raises:
        As `decode`.
    """

    def use(image: Image.Image) -> Image.Image:
        if crop is not None:
            image.load()
            upright = _cut(image, crop)
            upright.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
            return upright
        ratio = side / max(image.size)
        _shrunk(image, image.width * ratio, image.height * ratio)
        image.load()
        orientation = _orientation(image)
        if image.mode.startswith(("I", "F")):  # which Pillow can't make smaller as they are
            image = to_rgb(image)
        image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
        return _turned(to_rgb(image), orientation)

    return read_picture(data, limits, sized, use)


def from_image(image: Image.Image, geometry: Geometry, crop: Crop | None = None) -> Picture:
    """A Pillow image, as `decode` would return it.

    Raises:
        DamagedPictureError: its pixels can't be read.
        OutsidePictureError: `crop` is outside of it.
    """
    with typed_failures(b"", Limits()):
        image.load()
        return _fitted(image, geometry) if crop is None else _part(image, geometry, crop)


def greyed(pixels: Pixels) -> Pixels:
    """(height, width, 3) -> the same shape: luma (ITU-R 601) in all three channels."""
    return np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))


def _shrunk(image: Image.Image, width: float, height: float) -> tuple[int, int] | None:
    """Have a JPEG that is not loaded yet decoded at a half, a quarter or an eighth of its size,
    where that leaves `_SPARE` times `width` x `height`; its whole size then, otherwise None.
    libjpeg does so by leaving out the finest details, at a fraction of the cost."""
    whole = image.size
    # HEIF's plugin would take a thumbnail inside the file, which may show anything.
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        image.draft(None, (math.ceil(_SPARE * width), math.ceil(_SPARE * height)))
    return None if image.size == whole else whole


def _fitted(
    image: Image.Image, geometry: Geometry, whole: tuple[int, int] | None = None
) -> Picture:
    """`whole` is the picture's size where `image` holds it at a half, a quarter or an eighth."""
    width, height = whole or image.size
    # Sides that are no multiple of 8 are rounded up, to pixels that are partly of the picture.
    scale = 1 if whole is None else 2 ** round(math.log2(max(whole) / max(image.size)))
    orientation = _orientation(image)  # after loading: Pillow turns TIFF by itself
    rgb = to_rgb(image, geometry.conversion)
    inside = content_box(rgb) if geometry.trim else (0, 0, *rgb.size)
    if inside != (0, 0, *rgb.size):
        rgb = rgb.crop(inside)  # resizing would mix in what is beside a box
    x, y = inside[0] * scale, inside[1] * scale
    box = geometry.box(min(inside[2] * scale, width) - x, min(inside[3] * scale, height) - y)
    left, top, right, bottom = (edge / scale for edge in box)
    if geometry.fast and (left, top, right, bottom) == (0, 0, *rgb.size):
        square = resized(rgb, geometry.size, geometry.interpolation)
    else:
        square = np.asarray(
            rgb.resize(
                (geometry.size, geometry.size),
                RESAMPLING[geometry.interpolation],
                box=(left, top, right, bottom),
            ),
            np.uint8,
        )
    face = _face(_turned(rgb, orientation), geometry.faces) if geometry.faces else None
    # The square is turned, not the picture: the same result for a fraction of the work.
    if orientation != 1:
        square = np.asarray(_turned(Image.fromarray(square), orientation), np.uint8)
    seen = _turned_box((box[0] + x, box[1] + y, box[2] + x, box[3] + y), width, height, orientation)
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return Picture(square, width, height, image.format or "", seen, face)


def _face(image: Image.Image, side: int) -> FaceChip | None:
    """The face that counts in an upright RGB image."""
    from ..faces.alignment import chip
    from ..faces.detector import face_detector

    if not (found := face_detector().find(image, side)):
        return None
    face = found[0]
    left, top, right, bottom = (
        (edge + 0.5) / size for edge, size in zip(face.box, 2 * image.size, strict=True)
    )
    return FaceChip(chip(image, face.points), face.score, (left, top, right, bottom))


def _part(image: Image.Image, geometry: Geometry, crop: Crop) -> Picture:
    """What `crop` leaves of a loaded image."""
    cut = _cut(image, crop, geometry.conversion)
    return replace(_fitted(cut, replace(geometry, trim=False)), format=image.format or "")


def _cut(image: Image.Image, crop: Crop, conversion: int = CONVERSION) -> Image.Image:
    """The same, upright, in RGB."""
    upright = _turned(to_rgb(image, conversion), _orientation(image))
    part = upright.crop(crop.box(*upright.size))
    part.info = {}  # or it would be turned once more
    return part


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # EXIF that can't be parsed says nothing about orientation
        return 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


def _turned_box(box: PixelBox, width: int, height: int, orientation: int) -> PixelBox:
    """Where `_turned` moves a part of a picture of that size."""
    left, top, right, bottom = box
    if orientation in (2, 3, 7, 8):
        left, right = width - right, width - left
    if orientation in (3, 4, 6, 7):
        top, bottom = height - bottom, height - top
    return (top, left, bottom, right) if orientation in (5, 6, 7, 8) else (left, top, right, bottom)
