"""The folder of a store: which files it holds, where it is, and who may write it."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

from ...core.cache_folder import writable_cache
from ...core.config import STORE_NAME, Settings, find_store
from ...core.errors import NoStoreError, StoreBusyError, StoreError, UsageError
from ...core.location import Location, Milvus, located
from ...core.names import shown
from ...core.paths import is_file, is_folder
from ..catalog.lmdb_environment import translated
from ..catalog.spaces import TEXT_VECTORS, VECTORS

ABOUT, CATALOG, LENS = "store.json", "catalog.mdb", "lens.npz"
LOCK = "write.lock"

_CATALOG_FILE = re.compile(r"catalog(-[1-9][0-9]{0,8})?\.mdb")


def is_catalog(name: str) -> bool:
    """Whether a file of that name in a store's folder is, or was, its catalog."""
    return _CATALOG_FILE.fullmatch(name) is not None


def next_catalog(name: str) -> str:
    """The name of the catalog's file that takes the place of the one called `name`."""
    match = _CATALOG_FILE.fullmatch(name)
    number = 1 if match is None or match[1] is None else int(match[1][1:])
    return f"catalog-{number + 1}.mdb"


def is_ours(name: str) -> bool:
    """Whether a file of that name may be part of a store, or left of one that was cut short."""
    name = name.removesuffix(".new")
    return name in (ABOUT, LENS, VECTORS, TEXT_VECTORS, LOCK) or is_catalog(
        name.removesuffix("-lock")
    )


def thumbnails_of(store: bytes, settings: Settings) -> Path:
    """Where small copies of a store's pictures are kept, in the cache; `store` is its id."""
    return writable_cache(settings.cache_dir) / "thumbnails" / store.hex()


def locate_store(path: str | os.PathLike[str] | None, settings: Settings) -> Location | None:
    """Where the store is: as named, else as set, else the nearest; None if neither. A folder's path
    is absolute.

    Raises:
        UsageError: an address that makes no sense, a file, or what is inside a store.
    """
    chosen = located(path) if path is not None else settings.store or find_store()
    if isinstance(chosen, Milvus):
        return chosen
    if chosen is None:
        return None
    # Real, not only absolute: paths are stored relative to where the store really is.
    folder = Path(os.path.realpath(chosen))
    _require_possible(folder)
    return folder


def _require_possible(folder: Path) -> None:
    """Refuse what can be no folder of a store.

    Raises:
        UsageError: it is a file, or inside a store; says what to name instead.
    """
    if is_file(folder / ABOUT):
        return
    if outer := next((one for one in folder.parents if is_file(one / ABOUT)), None):
        raise UsageError(f"{shown(folder)} is a part of the store {shown(outer)}: name that folder")
    if is_file(folder):
        raise UsageError(
            f"{shown(folder)} is a file, and a store is a folder; name that, or a new one for "
            "'tll-index build DIR --store FOLDER'"
        )


def require_store(path: str | os.PathLike[str] | None, settings: Settings) -> Location:
    """As `locate_store`.

    Raises:
        NoStoreError: none is named, set or near.
    """
    location = locate_store(path, settings)
    if location is None:
        raise NoStoreError(
            f"no {STORE_NAME} here or in a folder above; make one with "
            "'tll-index build DIR', or name one with --store or TLL_STORE"
        )
    return location


def not_in_a_folder(location: Location) -> UsageError:
    """What to say of a store in a Milvus, where only one in a folder will do."""
    return UsageError(
        f"this is for stores in folders, and {location} is in a Milvus, which looks after its own "
        f"data; 'tll-index copy {location} DIR' copies it to a folder"
    )


@contextlib.contextmanager
def writer_lock(path: Path) -> Iterator[None]:
    """Be the one writer of the store in `path` (made where missing), or fail at once. The lock
    is the operating system's: it ends with the process, however that ends.

    Raises:
        StoreBusyError, StoreReadOnlyError
    """
    import filelock  # not needed to search

    lock = filelock.FileLock(path / LOCK, timeout=0, thread_local=False)
    try:
        path.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except filelock.Timeout:
        raise StoreBusyError(
            f"another tll-index is writing to {shown(path)}; wait for it to end "
            "(queries work meanwhile)"
        ) from None
    except OSError as error:
        raise translated(path / LOCK, error) from error
    try:
        yield
    finally:
        lock.release()


def location_to_build(path: str | os.PathLike[str] | None, settings: Settings) -> Location:
    """Where a build puts its store: as `locate_store`, or else here."""
    return locate_store(path, settings) or Path.cwd() / STORE_NAME


def refuse_foreign(path: Path) -> None:
    """Don't make a store among other things.

    Raises:
        StoreError: the folder `path` is there and holds something that is no part of a store.
    """
    if not is_folder(path):
        return
    if background := sorted(entry.name for entry in path.iterdir() if not is_ours(entry.name)):
        raise StoreError(
            f"{shown(path)} holds other things ({shown(background[0])}) and is not a store; "
            "give --store a new or empty folder"
        )
