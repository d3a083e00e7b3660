"""Stores whose vectors were made elsewhere: how they are searched, and what can't be done."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from ...core.errors import NotIndexedError, PictureError, StoreMismatchError
from ...core.location import Location
from ...core.names import shown
from ...engine.images.crops import Crop
from ...engine.images.decode import Limits
from ...engine.images.file_bytes import read_bytes
from ...engine.images.sources import name_of
from ...engine.remote.urls import is_address
from ..backends.metadata import About
from ..catalog.records import PathEntry
from ..scan.walk import absolute

if TYPE_CHECKING:
    from ...engine.images.sources import PictureSource
    from ..catalog.base import Catalog, Reader


def require_not_imported(where: Location, about: About) -> None:
    """Refuse what needs an embedder.

    Raises:
        StoreMismatchError: the store's vectors were made elsewhere.
    """
    if about.imported:
        raise StoreMismatchError(
            f"the vectors of {shown(where)} were made elsewhere ({about.origin}): no picture can "
            "be embedded as those were; search with pictures that are in it, import again to add "
            "to it, or build another store with --store"
        )


def known_content(
    catalog: Catalog, where: Location, limits: Limits, picture: PictureSource, crop: Crop | None
) -> str:
    """The SHA-256 that an imported store knows a picture by: by its bytes, or by its path.

    Args:
        where: the store, for what is said of it.

    Raises:
        NotIndexedError: it has no such picture.
    """
    if crop is None:
        data = path = None
        if isinstance(picture, (str, os.PathLike)):
            path = absolute(picture)
            if is_address(path):  # what it is known by; nobody is asked for it
                with catalog.reading() as reader:
                    if found := _content_at(reader, path):
                        return found
            with suppress(PictureError):
                data = read_bytes(os.fspath(picture), limits)
        elif isinstance(picture, (bytes, bytearray, memoryview)):
            data = bytes(picture)
        with catalog.reading() as reader:
            if data is not None:
                digest = hashlib.sha256(data)
                number = reader.image_of(digest.digest())
                if number is not None and reader.paths_of(number, 1):
                    return digest.hexdigest()
            if path is not None and (found := _content_at(reader, path)):
                return found
    raise NotIndexedError(
        f"{shown(name_of(picture))} is not in {shown(where)}, whose vectors were made "
        "elsewhere: search with whole pictures that are in it, or with vectors (Store.search)"
    )


def _content_at(reader: Reader, path: bytes) -> str | None:
    folder, name = os.path.split(path)
    number = reader.folder_number(folder)
    location = None if number is None else reader.file_in(number, name)
    return reader.record(location.image).sha256 if isinstance(location, PathEntry) else None
