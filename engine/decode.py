"""File or bytes -> RGB pixels at a backbone's input size, within limits, with typed failures.

Pictures are untrusted: sizes are checked before pixels are decoded, only the listed formats are
tried, and whatever a decoder raises becomes one of the `PictureError`s.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from PIL import (  # noqa: F401  (importing a plugin registers its format; Pillow would load all)
    AvifImagePlugin,
    BmpImagePlugin,
    GifImagePlugin,
    Image,
    JpegImagePlugin,
    PngImagePlugin,
    TiffImagePlugin,
    UnidentifiedImageError,
    WebPImagePlugin,
)

from ..config import Settings
from ..contracts import Pixels
from ..errors import (
    DamagedPictureError,
    EmptyPictureError,
    MissingCodecError,
    MissingPictureError,
    NotAPictureError,
    PictureError,
    TooLargePictureError,
    UnreadablePictureError,
)

SUFFIXES = frozenset(
    b".jpg .jpeg .jpe .jfif .mpo .png .apng .webp .gif .bmp .dib .tif .tiff"
    b" .avif .avifs .heic .heif .hif".split()
)
"""Lower-case endings of the files that a build looks at; what they hold is decided by content."""

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "DIB", "TIFF", "AVIF")
"""Pillow's names of the formats that are tried; HEIF joins them with the extra `heic`."""

_HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"mif1", b"msf1")

_TURNS = {  # EXIF orientation -> the operation that undoes it (EXIF 2.32, tag 0x0112)
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

_SPARE = 2.0
"""A large JPEG is decoded smaller, to sides that are at least so many times what is looked at. At 2
vectors keep a cosine of 0.999 with those of the whole picture, in the mean over large pictures."""

_RESAMPLING = {"bicubic": Image.Resampling.BICUBIC, "bilinear": Image.Resampling.BILINEAR}


@dataclass(frozen=True)
class Limits:
    """What is refused before it is decoded."""

    max_pixels: int = 178_000_000
    max_bytes: int = 512 << 20

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        """The settings' limits."""
        return cls(settings.max_megapixels * 1_000_000, settings.max_megabytes << 20)


@dataclass(frozen=True)
class Geometry:
    """How a picture of any shape becomes a square of `size` pixels."""

    size: int
    fit: Literal["squash", "crop"] = "crop"
    """squash: the whole picture, its sides stretched to fit; crop: the centre square."""
    crop: float = 1.0
    """Of the centre square, the share of its side that is kept (timm's `crop_pct`)."""
    interpolation: Literal["bicubic", "bilinear"] = "bicubic"
    """Of the pixels in between; either averages over an area where the picture is made smaller."""

    def box(self, width: int, height: int) -> tuple[float, float, float, float]:
        """The part of the picture that is looked at: left, top, right, bottom, in its pixels."""
        if self.fit == "squash":
            return 0.0, 0.0, float(width), float(height)
        side = min(width, height) * self.crop
        left, top = (width - side) / 2, (height - side) / 2
        return left, top, left + side, top + side


@dataclass(frozen=True)
class Picture:
    """One decoded picture."""

    pixels: Pixels
    """(size, size, 3) uint8, RGB."""
    width: int
    height: int
    """Of the whole picture, upright (after EXIF orientation), in pixels."""
    format: str


def read_bytes(path: str | bytes | Path, limits: Limits = Limits()) -> bytes:
    """The bytes of the picture file at `path`.

    Raises:
        MissingPictureError, UnreadablePictureError, EmptyPictureError, TooLargePictureError
    """
    try:
        # Non-blocking, so that opening a named pipe returns instead of waiting for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise UnreadablePictureError("is a folder, not a picture", path)
            if not stat.S_ISREG(status.st_mode):
                raise UnreadablePictureError("is not a regular file", path)
            if status.st_size > limits.max_bytes:
                raise TooLargePictureError(_too_many_bytes(status.st_size, limits), path)
            data = file.read(limits.max_bytes + 1)
    except FileNotFoundError:
        raise MissingPictureError("no such file", path) from None
    except IsADirectoryError:
        raise UnreadablePictureError("is a folder, not a picture", path) from None
    except PermissionError:
        raise UnreadablePictureError("permission denied", path) from None
    except (OSError, ValueError) as error:  # ValueError: an embedded null character
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadablePictureError(f"can't be read: {reason}", path) from None
    if not data:
        raise EmptyPictureError("is empty (0 bytes)", path)
    if len(data) > limits.max_bytes:  # it grew since fstat
        raise TooLargePictureError(_too_many_bytes(len(data), limits), path)
    return data


def decode(data: bytes, geometry: Geometry, limits: Limits = Limits()) -> Picture:
    """Decode the first frame of `data`, upright, in RGB, transparency over white.

    Raises:
        EmptyPictureError, NotAPictureError, DamagedPictureError, TooLargePictureError,
        MissingCodecError
    """
    with _opened(data, limits) as image:
        left, top, right, bottom = geometry.box(*image.size)
        shares = image.width / (right - left), image.height / (bottom - top)
        size = _shrunk(image, *(geometry.size * share for share in shares))
        image.load()
        return _fitted(image, geometry, size)


def thumbnail(data: bytes, side: int, limits: Limits = Limits()) -> bytes:
    """A JPEG of the picture, upright, its longer side at most `side` pixels.

    Raises:
        As `decode`.
    """
    with _opened(data, limits) as image:
        ratio = side / max(image.size)
        _shrunk(image, image.width * ratio, image.height * ratio)
        image.load()
        orientation = _orientation(image)
        if image.mode.startswith(("I", "F")):  # which Pillow can't make smaller as they are
            image = _to_rgb(image)
        image.thumbnail((side, side), Image.Resampling.BICUBIC, reducing_gap=2.0)
        out = io.BytesIO()
        _turned(_to_rgb(image), orientation).save(out, "JPEG", quality=85)
        return out.getvalue()


def from_image(image: Image.Image, geometry: Geometry) -> Picture:
    """A Pillow image, as `decode` would return it.

    Raises:
        DamagedPictureError: its pixels can't be read.
    """
    with _typed_failures(b"", Limits()):
        image.load()
        return _fitted(image, geometry)


def greyed(pixels: Pixels) -> Pixels:
    """(height, width, 3) -> the same shape: luma (ITU-R 601) in all three channels."""
    return np.asarray(Image.fromarray(pixels).convert("L").convert("RGB"))


def _shrunk(image: Image.Image, width: float, height: float) -> tuple[int, int] | None:
    """Have a JPEG that is not loaded yet decoded at a half, a quarter or an eighth of its size,
    where that leaves `_SPARE` times `width` x `height`; its whole size then, otherwise None.
    libjpeg does so by leaving out the finest details, at a fraction of the cost."""
    whole = image.size
    image.draft(None, (math.ceil(_SPARE * width), math.ceil(_SPARE * height)))  # JPEG's alone
    return None if image.size == whole else whole


def _fitted(
    image: Image.Image, geometry: Geometry, whole: tuple[int, int] | None = None
) -> Picture:
    """`whole` is the picture's size where `image` holds it at a half, a quarter or an eighth."""
    width, height = whole or image.size
    # Sides that are no multiple of 8 are rounded up, to pixels that are partly of the picture.
    scale = 1 if whole is None else 2 ** round(math.log2(max(whole) / max(image.size)))
    orientation = _orientation(image)  # after loading: Pillow turns TIFF by itself
    left, top, right, bottom = (edge / scale for edge in geometry.box(width, height))
    square = _to_rgb(image).resize(
        (geometry.size, geometry.size),
        _RESAMPLING[geometry.interpolation],
        box=(left, top, right, bottom),
    )
    # The square is turned, not the picture: the same result for a fraction of the work.
    upright = _turned(square, orientation)
    if orientation in (5, 6, 7, 8):
        width, height = height, width
    return Picture(np.asarray(upright, np.uint8), width, height, image.format or "")


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        return Image.fromarray(_to_8_bit(np.asarray(image))).convert("RGB")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA", "RGBa", "La"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, image).convert("RGB")
    return image if image.mode == "RGB" else image.convert("RGB")


def _to_8_bit(samples: np.ndarray) -> np.ndarray:
    """16-bit, 32-bit or float grey to uint8, by the range that the values show: cameras and
    scanners put 8 and 12 bits into 16."""
    values = np.nan_to_num(samples.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = min(values.min(), 0.0), values.max()
    for full in (1.0 if samples.dtype.kind == "f" else 255.0, 255.0, 4095.0, 65535.0):
        if low == 0.0 and high <= full:
            return (values * (255.0 / full)).round().astype(np.uint8)
    spread = (high - low) or 1.0
    return ((values - low) * (255.0 / spread)).round().astype(np.uint8)


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(0x0112, 1))
    except Exception:  # EXIF that can't be parsed says nothing about orientation
        return 1


def _turned(image: Image.Image, orientation: int) -> Image.Image:
    turn = _TURNS.get(orientation)
    return image if turn is None else image.transpose(turn)


@lru_cache(maxsize=1)
def _formats() -> tuple[str, ...]:
    try:
        import pillow_heif
    except ImportError:
        return FORMATS
    pillow_heif.register_heif_opener()
    return (*FORMATS, "HEIF")


def codecs() -> str:
    """Which decoders there are, as one string: it changes when a retry may turn out otherwise."""
    import PIL

    return f"pillow {PIL.__version__} {'+heif' if 'HEIF' in _formats() else ''}".rstrip()


@contextlib.contextmanager
def _opened(data: bytes, limits: Limits) -> Iterator[Image.Image]:
    """The first frame of `data`, not loaded yet."""
    if not data:
        raise EmptyPictureError("is empty (0 bytes)")
    # Pillow refuses twice its own limit whatever ours is; ours may have been raised on purpose.
    Image.MAX_IMAGE_PIXELS = max(Image.MAX_IMAGE_PIXELS or 0, limits.max_pixels // 2 + 1)
    # HEIF's decoder takes a while to load: only for what begins like such a file.
    formats = _formats() if data[4:8] == b"ftyp" else FORMATS
    with (
        _typed_failures(data, limits),
        Image.open(io.BytesIO(data), formats=formats) as image,
    ):
        # Headers first: `size` is known before any pixel is.
        if image.width * image.height > limits.max_pixels:
            raise TooLargePictureError(_too_many_pixels(image.size, limits))
        yield image


@contextlib.contextmanager
def _typed_failures(data: bytes, limits: Limits) -> Iterator[None]:
    try:
        yield
    except PictureError:
        raise
    except UnidentifiedImageError:
        if data[4:8] == b"ftyp" and data[8:12] in _HEIF_BRANDS and "HEIF" not in _formats():
            raise MissingCodecError("HEIC needs an extra: pip install 'tll-index[heic]'") from None
        raise NotAPictureError("is not a picture of a format known here") from None
    except Image.DecompressionBombError:
        raise TooLargePictureError(
            f"has more than the limit of {_megapixels(limits)} (--max-megapixels)"
        ) from None
    except MemoryError:
        raise TooLargePictureError("needs more memory than there is") from None
    except Exception as error:  # decoders raise anything: OSError, SyntaxError, struct.error, …
        raise DamagedPictureError(f"is damaged or cut off ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:120] if lines else type(error).__name__


def _too_many_pixels(size: tuple[int, int], limits: Limits) -> str:
    width, height = size
    return (
        f"has {width} x {height} pixels, more than the limit of "
        f"{_megapixels(limits)} (--max-megapixels)"
    )


def _megapixels(limits: Limits) -> str:
    return f"{limits.max_pixels / 1e6:.0f} megapixels"


def _too_many_bytes(size: int, limits: Limits) -> str:
    return f"has {size >> 20} MiB, more than the limit of {limits.max_bytes >> 20} MiB"
