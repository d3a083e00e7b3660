"""How a file is read that can't be read strictly: what to open instead, one attempt after another.

Each attempt gives the bytes of a file, or pixels; None where it has nothing to say of this kind of
file. They take time and memory in proportion to the file and the picture, and there are five.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TypeAlias

from PIL import Image, UnidentifiedImageError

from ...core.errors import (
    DamagedPictureError,
    MissingCodecError,
    PictureError,
    TooLargePictureError,
)
from .formats import (
    bitmaps,
    gif_blocks,
    jpeg_segments,
    measured_tiff,
    png_chunks,
    raw_files,
    riff_chunks,
    tiff_tags,
)
from .formats.icons import largest
from .formats.signatures import kind_of

Require: TypeAlias = Callable[[tuple[int, int]], None]
"""Told the size of a picture before its pixels are decoded; raises `TooLargePictureError`."""

HINT = "--truncated takes what is there"

FILLED_UP = ("PNG", "BMP", "Portable anymap")
"""Kinds besides JPEG that `--truncated` takes."""


class Certain(Exception):  # noqa: N818
    """An error with the true reason why a file can't be used; no other attempt will do."""

    def __init__(self, error: PictureError) -> None:
        super().__init__(error.message)
        self.error = error


def strictly(data: bytes, require: Require, truncated: bool) -> bytes | Image.Image:
    """The file itself; of a RAW file or an icon, the picture inside.

    Raises:
        Certain: it needs an extra.
    """
    kind = kind_of(data)
    if kind in ("ICO", "CUR") and (icon := largest(data)) is not None:
        require((icon.width, icon.height))
        return icon.png or icon.alone
    if kind == "GIF":
        return gif_blocks.without_comments(data)
    if not raw_files.is_raw(data):
        first = next(tiff_tags.directories(data), None) if kind == "TIFF" else None
        if first is not None and first.is_misread:
            return _by_tifffile(data, first, require)
        return data

    def too_large(size: tuple[int, int]) -> TooLargePictureError | None:
        try:
            require(size)
        except TooLargePictureError as error:
            return error
        return None

    return raw_files.preview(data, too_large)


def without_metadata(data: bytes, require: Require, truncated: bool) -> bytes | None:
    """The file without what its pixels don't need."""
    kind = kind_of(data)
    found = _stripped(data, kind)
    return None if found == data else found


def _stripped(data: bytes, kind: str | None) -> bytes | None:
    if kind == "PNG":
        return png_chunks.without_metadata(data)
    if kind == "JPEG":
        return jpeg_segments.without_metadata(data)
    if kind == "WebP":
        return riff_chunks.without_metadata(data)
    if kind == "TIFF" and not raw_files.is_raw(data):
        return tiff_tags.without_metadata(data)
    return data + b"\0;" if kind == "GIF" else None


def with_an_end(data: bytes, require: Require, truncated: bool) -> bytes | None:
    """A JPEG that misses its end; where `truncated`, any file that is cut off, filled up.

    Raises:
        Certain: rows are missing.
    """
    kind = kind_of(data)
    if kind == "JPEG":
        return _ended_jpeg(data, require, truncated)
    if not truncated:
        return None
    if kind == "PNG":
        return png_chunks.filled_up(data)
    if kind in FILLED_UP:
        with Image.open(io.BytesIO(data)) as image:
            require(image.size)
            return data + bytes(4 * (image.width + 4) * image.height)
    return None


def _ended_jpeg(data: bytes, require: Require, truncated: bool) -> bytes | None:
    if (stripped := jpeg_segments.without_metadata(data)) is None:
        return None
    whole = stripped.rstrip(b"\xff") + jpeg_segments.END
    with Image.open(io.BytesIO(whole), formats=("JPEG",)) as image:
        require(image.size)
        height = image.height
    rows = jpeg_segments.rows_whatever_follows(stripped)
    if rows == height and jpeg_segments.has_all_scans(stripped):
        return whole
    if truncated and rows:
        return whole
    what = "its finest details are" if rows == height else f"{height - rows} of {height} rows are"
    hint = f"; {HINT}" if rows else ""
    raise Certain(DamagedPictureError(f"is cut off: {what} missing{hint}"))


def with_swallowed_tables(data: bytes, require: Require, truncated: bool) -> bytes | None:
    """A JPEG with a segment whose wrong length ends at a marker further on, so that the tables
    between seem to be in it."""
    if kind_of(data) != "JPEG":
        return None
    found = jpeg_segments.without_metadata(data, trust_lengths=False)
    return None if found == jpeg_segments.without_metadata(data) else found


def by_another_library(data: bytes, require: Require, truncated: bool) -> Image.Image | None:
    """A kind that Pillow does not know.

    Raises:
        Certain: that is all that is wrong, and the extra is not installed.
    """
    kind = kind_of(data)
    if kind == "BMP" and (size := bitmaps.size_of(data)) is not None:
        require(size)
        return bitmaps.opened(data)
    if kind != "TIFF" or raw_files.is_raw(data):
        return None
    first = next(tiff_tags.directories(data), None)
    if first is None or not first.is_sound(len(data)):
        return None
    if not first.is_unusual and _is_known_to_pillow(data):
        return None
    return _by_tifffile(data, first, require)


def _is_known_to_pillow(data: bytes) -> bool:
    try:
        Image.open(io.BytesIO(data)).close()
    except UnidentifiedImageError:
        return False
    return True


def _by_tifffile(data: bytes, first: tiff_tags.Directory, require: Require) -> Image.Image:
    require(first.size)
    if measured_tiff.library() is None:
        extra = "needs an extra: pip install 'tll-index[more]'"
        raise Certain(MissingCodecError(f"is a TIFF {first.described}, which {extra}"))
    try:
        page = measured_tiff.opened(data)
        require((page.imagewidth, page.imagelength))
        return measured_tiff.decoded(page)
    except (PictureError, MemoryError):
        raise
    except Exception as error:  # decoders raise anything
        why = " ".join(str(error).split())[:100] or type(error).__name__
        told = DamagedPictureError(f"is damaged or cut off, a TIFF {first.described} ({why})")
        raise Certain(told) from None


ATTEMPTS = (strictly, without_metadata, with_an_end, with_swallowed_tables, by_another_library)
"""In this order; the first gives something for every file."""
