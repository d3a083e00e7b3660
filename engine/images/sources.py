"""Whatever somebody calls a picture -> decoded, with the digest of its file where it has one."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from ...core.errors import PictureError, UsageError
from ...core.file_urls import is_file_url, path_of
from ..remote.urls import is_address, require_unsigned, tidied
from .crops import Crop
from .decode import Geometry, Limits, Picture, decode, from_image
from .file_bytes import read_bytes

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    PictureSource: TypeAlias = (
        str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[np.uint8]
    )
    """A path (text or `Path`), an address or a file: URL (text), the bytes of a picture file, a
    Pillow image, or (height, width, 3) uint8 RGB pixels."""


class Source(NamedTuple):
    """A decoded picture, and the digest of its file."""

    picture: Picture
    sha256: bytes | None
    """Of the file's bytes, where they are known and all of the picture is taken."""


def decoded_source(
    source: PictureSource, geometry: Geometry, limits: Limits, crop: Crop | None = None
) -> Source:
    """Decode `source`, or the part of it that `crop` says.

    Raises:
        PictureError: it can't be used; says which file, where there is one.
        UsageError: it is no kind of picture, or an address that holds credentials.
    """
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if is_file_url(path):
            path = os.fsdecode(path_of(path))
        elif is_address(path):
            require_unsigned(tidied(os.fsencode(path)))
        data = read_bytes(path, limits)
        try:
            return _decoded(data, geometry, limits, crop)
        except PictureError as error:
            raise error.at(path) from None
    if isinstance(source, (bytes, bytearray, memoryview)):
        return _decoded(bytes(source), geometry, limits, crop)
    from PIL import Image

    if isinstance(source, np.ndarray):
        shape = source.shape
        if source.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
            raise UsageError(f"pixels must be (height, width, 3) uint8, not {source.dtype}{shape}")
        source = Image.fromarray(source)
    if not isinstance(source, Image.Image):
        raise UsageError(
            f"a picture is a path, bytes, a Pillow image or pixels, not {type(source).__name__}"
        )
    return Source(from_image(source, geometry, crop), None)


def name_of(source: PictureSource) -> str:
    """What to call it: its path, or '-'."""
    if not isinstance(source, (str, os.PathLike)):
        return "-"
    return os.fsdecode(path_of(source) if is_file_url(source) else source)


def _decoded(data: bytes, geometry: Geometry, limits: Limits, crop: Crop | None) -> Source:
    picture = decode(data, geometry, limits, crop=crop)
    return Source(picture, hashlib.sha256(data).digest() if crop is None else None)
