"""Which backend a store has, by where it is: the one place that knows there are two.

What a Milvus needs is loaded only where a store is in one.
"""

from __future__ import annotations

import os
from contextlib import AbstractContextManager
from pathlib import Path

from ...core.config import Settings
from ...core.location import Location
from ...engine.lens.lens import Lens
from ...engine.search import index_plan
from ..backends.base import Backend
from ..backends.folder.store_folder import FolderBackend
from ..backends.layout import ABOUT, not_in_a_folder, refuse_foreign, writer_lock
from ..backends.metadata import About


def is_there(location: Location) -> bool:
    """Whether there is a store.

    Raises:
        StoreError: it can't be told.
    """
    if isinstance(location, Path):
        return os.path.lexists(location / ABOUT)
    from ..backends.milvus import backend

    return backend.is_there(location)


def open_backend(location: Location, settings: Settings) -> Backend:
    """The backend of a store.

    Raises:
        NoStoreError, StoreMismatchError (a newer format), StoreDamagedError, StoreError
    """
    if isinstance(location, Path):
        return FolderBackend.open(location)
    from ..backends.milvus.backend import MilvusBackend

    return MilvusBackend.open(location, settings)


def make_backend(location: Location, about: About, lens: Lens, settings: Settings) -> Backend:
    """The backend of a new store that holds nothing yet; for its one writer.

    Raises:
        StoreError: something else is there, or it can't be made.
    """
    if isinstance(location, Path):
        refuse_foreign(location)
        return FolderBackend.make(location, about, lens)
    from ..backends.milvus.backend import MilvusBackend

    return MilvusBackend.make(location, about, lens, settings)


def require_free(location: Location) -> None:
    """Refuse a location that can't get a new store.

    Raises:
        StoreError: something else is there.
    """
    if isinstance(location, Path):
        refuse_foreign(location)


def require_index(location: Location, index: str, dimension: int) -> None:
    """Refuse what is no index, or none for vectors of that dimension.

    Raises:
        UsageError: says which there are.
    """
    if isinstance(location, Path):
        index_plan.require_index(index, dimension)
        return
    from ..backends.milvus.vector_indexes import kind_of

    kind_of(index, location.file is not None)


def folder_in_use(location: Location) -> bytes | None:
    """The folder that a store fills, which holds no pictures to index; None where there is none on
    this machine: an empty path would be above all others."""
    folder = location if isinstance(location, Path) else location.file
    return None if folder is None else os.fsencode(folder)


def require_folder(location: Location) -> Path:
    """The folder of a store that is in one.

    Raises:
        UsageError: it is in a Milvus.
    """
    if isinstance(location, Path):
        return location
    raise not_in_a_folder(location)


def share_a_lock(one: Location, other: Location) -> bool:
    """Whether who writes to one writes to the other: both are in one Milvus Lite."""
    files = [None if isinstance(where, Path) else where.file for where in (one, other)]
    return files[0] is not None and files[0] == files[1]


def only_writer(location: Location) -> AbstractContextManager[None]:
    """Be the one writer of a store, or fail at once.

    Raises:
        StoreBusyError, StoreReadOnlyError, StoreError
    """
    if isinstance(location, Path):
        return writer_lock(location)
    from ..backends.milvus.backend import writer_claim

    return writer_claim(location)
