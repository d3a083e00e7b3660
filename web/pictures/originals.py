"""The file of an indexed picture, by content: what is read is sent only if it is that picture."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from ...core.errors import MissingPictureError, PictureError
from ...engine.images.decode import Limits
from ...engine.images.file_bytes import read_bytes

if TYPE_CHECKING:
    from ...core.contracts import Indexed

MEDIA_TYPES = {
    "JPEG": "image/jpeg",
    "MPO": "image/jpeg",
    "PNG": "image/png",
    "WEBP": "image/webp",
    "GIF": "image/gif",
    "BMP": "image/bmp",
    "DIB": "image/bmp",
    "TIFF": "image/tiff",
    "AVIF": "image/avif",
    "HEIF": "image/heic",
}
"""By Pillow's name of the format that was decoded."""


def original(picture: Indexed) -> bytes:
    """The bytes of the picture's file, from the first of its paths that still shows it. Whatever
    else lies there now (another picture, a link to elsewhere) is not it.

    Raises:
        MissingPictureError: none does.
    """
    limits = Limits(max_bytes=picture.file_bytes)
    # One without bytes was imported without a file: nothing at its path can be it.
    for path in picture.paths if picture.file_bytes else ():
        try:
            data = read_bytes(path, limits)
        except PictureError:
            continue
        if hashlib.sha256(data).hexdigest() == picture.sha256:
            return data
    raise MissingPictureError("is no longer where it was indexed, or has changed")
