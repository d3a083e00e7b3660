"""The files of one store, followed where its writer puts others in their places."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from mmap import PAGESIZE
from pathlib import Path
from typing import Any, TypeVar

from ....core.atomic_files import replace_file, sync_folder
from ....core.config import Settings
from ....core.errors import NoStoreError, StoreDamagedError, StoreError, StoreMismatchError
from ....core.names import shown
from ....core.progress import Progress
from ....engine.lens.lens import Lens
from ...catalog.lmdb_catalog import LmdbCatalog
from ...catalog.lmdb_environment import translated
from ...catalog.lmdb_reader import LmdbReader
from ..base import Backend
from ..layout import ABOUT, LENS, is_ours, next_catalog, not_in_a_folder
from ..metadata import MENDS, About, catalogs_in, read_about, write_about
from .lens_file import own_lens
from .rewrite import rewrite_catalog
from .vector_indexes import FolderIndexes, about_files

_T = TypeVar("_T")

_TRIES = 8
"""A catalog may be replaced between a look at which one it is and its opening."""


class FolderBackend(Backend):
    """A store in a folder: `store.json`, the catalog that it names, what is derived from it."""

    keeps_snapshots = True

    def __init__(self, path: Path, about: About, catalog: LmdbCatalog) -> None:
        self.location = self.path = path
        self._about = about
        self._catalog = catalog
        self._stamp = _stamp(path / ABOUT)
        self._following = threading.Lock()

    @classmethod
    def open(cls, path: Path) -> FolderBackend:
        """
        Raises:
            NoStoreError, StoreMismatchError (a newer format), StoreDamagedError, StoreError
        """
        for tries_left in reversed(range(_TRIES)):
            stamp = _stamp(path / ABOUT)
            about = _about_in(path)
            catalog = None
            try:
                catalog = LmdbCatalog(
                    path / about.catalog, about.base_of(path), checked=about.checked, create=False
                )
                _require_own(catalog, about)
                opened = cls(path, about, catalog)
                opened._stamp = stamp
                return opened
            except StoreError:
                if catalog is not None:
                    catalog.close()
                if not tries_left or _about_in(path).catalog == about.catalog:
                    raise
        raise AssertionError

    @classmethod
    def make(cls, path: Path, about: About, lens: Lens) -> FolderBackend:
        """A new store, with nothing in it yet; for its one writer.

        Raises:
            StoreError: it can't be made.
        """
        try:
            if lens.trained:
                replace_file(path / LENS, lens.save)
            folder = cls.create(path, about)
            try:
                folder.finish()
            except BaseException:
                folder.close()
                raise
        except OSError as error:
            raise translated(path / LENS, error) from error
        return folder

    @classmethod
    def create(cls, path: Path, about: About) -> FolderBackend:
        """A catalog for a new store; `finish` makes the folder a store.

        Raises:
            StoreDamagedError: there is one already, with pictures in it.
            StoreError: it can't be made.
        """
        file = path / about.catalog
        with suppress(FileNotFoundError):
            # LMDB begins with two pages: less is of one that could not be made, as on a full disk.
            if file.stat().st_size < 2 * PAGESIZE:
                file.unlink()
        catalog = LmdbCatalog(file, about.base_of(path))
        try:
            with catalog.reading() as reader:
                if reader.entries:
                    raise _without_about(path)
            catalog.write(lambda writer: writer.set_about(about.document()))
        except BaseException:
            catalog.close()
            raise
        return cls(path, about, catalog)

    @property
    def about(self) -> About:
        """What `store.json` says now."""
        self._follow()
        return self._about

    @property
    def catalog(self) -> LmdbCatalog:
        """The catalog of now."""
        self._follow()
        return self._catalog

    @property
    def base(self) -> bytes:
        """See `Backend.base`."""
        return self.about.base_of(self.path)

    def lens(self) -> Lens:
        """See `own_lens`."""
        return own_lens(self.path, self.about)

    def indexes(self, lens: Callable[[], Lens], settings: Settings) -> FolderIndexes:
        """See `Backend.indexes`."""
        return FolderIndexes(self.path, self.about, lambda: self.catalog, lens, settings)

    def info(self) -> dict[str, Any]:
        """See `Backend.info`."""
        return about_files(self.path, self.about)

    def close(self) -> None:
        """Let go of the files."""
        self._catalog.close()

    def _follow(self) -> None:
        if _stamp(self.path / ABOUT) == self._stamp:
            return
        with self._following:
            for tries_left in reversed(range(_TRIES)):
                stamp = _stamp(self.path / ABOUT)
                if stamp is None or stamp == self._stamp:
                    return  # what is open goes on
                about = read_about(self.path)
                if about.id != self._about.id:
                    raise StoreMismatchError(
                        f"another store has taken the place of {shown(self.path)}; open it again"
                    )
                try:
                    if about.catalog != self._about.catalog:
                        self._catalog.switch(self.path / about.catalog, about.checked)
                except StoreDamagedError:
                    if not tries_left:
                        raise
                    continue
                self._about, self._stamp = about, stamp
                return

    # -- for the store's one writer ------------------------------------------

    def set_about(self, about: About) -> None:
        """Say so from now on, in `store.json` and in the catalog.

        Raises:
            StoreError: it can't be written; all is as before.
        """
        self.catalog.write(lambda writer: writer.set_about(about.document()))
        replace_about(self.path, about)

    def replace_catalog(self, make: Callable[[Path], None]) -> None:
        """Let `make` write another catalog into a new file, then put it in the place of this one.
        Until then, whatever happens, this one is in use; after, it is gone from the folder.

        Raises:
            StoreError, and whatever `make` raises; all is as before.
        """
        self.remove_others()
        name = next_catalog(self.about.catalog)
        new = self.path / name
        try:
            make(new)
            sync_folder(self.path)
            replace_about(self.path, self.about.renewed(catalog=name))
        except OSError as error:
            raise translated(new, error) from error
        finally:
            self.remove_others()

    def remove_others(self) -> None:
        """Remove catalogs that are not in use: of what was cut short, or of before."""
        for path in catalogs_in(self.path):
            if path.name != self.about.catalog:
                for one in (path, path.with_name(f"{path.name}-lock")):
                    with suppress(OSError):
                        one.unlink()

    def tidy(self) -> None:
        """See `Backend.tidy`."""
        self.remove_others()

    def renew(self, progress: Progress) -> None:
        """Give an old store the checksums of a newer format."""
        if self.about.format < self.about.newest:
            self._rewrite(progress)

    def wipe(self, progress: Progress) -> None:
        """Write the catalog anew, since LMDB leaves the bytes of what was deleted in its file."""
        self._rewrite(progress)
        for name in os.listdir(self.path):
            if name.endswith(".new") and is_ours(name):
                with suppress(FileNotFoundError):
                    (self.path / name).unlink()

    def _rewrite(self, progress: Progress) -> None:
        about, catalog = self.about, self.catalog
        self.replace_catalog(lambda new: rewrite_catalog(catalog, new, about, progress))

    def finish(self) -> None:
        """Make the folder of `create` a store; before, it is none."""
        replace_about(self.path, self._about)


def folder_of(backend: Backend) -> FolderBackend:
    """The backend of a store that is in a folder.

    Raises:
        UsageError: it is in a Milvus.
    """
    if isinstance(backend, FolderBackend):
        return backend
    raise not_in_a_folder(backend.location)


def _about_in(path: Path) -> About:
    try:
        return read_about(path)
    except NoStoreError:
        if any(map(_holds_pictures, catalogs_in(path))):
            raise _without_about(path) from None
        raise


def _without_about(path: Path) -> StoreDamagedError:
    return StoreDamagedError(f"{shown(path)} has lost its {ABOUT}{MENDS}")


def about_of(path: Path) -> tuple[About | None, str | None]:
    """What the store in the folder `path` is, by its catalog where `store.json` is damaged, lost or
    about another; None where nothing says so. And what is wrong, if anything is.

    Raises:
        NoStoreError: there is no store.
        StoreMismatchError: one of a newer format.
    """
    why = None
    try:
        about = read_about(path)
        catalog = about_in_catalog(path / about.catalog) if about.checked else None
        if catalog is None or catalog.is_of_same(about):
            return about, None
        return replace(catalog, catalog=about.catalog), f"{ABOUT} is about another store"
    except NoStoreError:
        for file in reversed(catalogs_in(path)):
            if (found := about_in_catalog(file)) is not None:
                return replace(found, catalog=file.name), f"{ABOUT} is lost"
        raise
    except StoreDamagedError as error:
        why = str(error).removesuffix(MENDS)
    for file in reversed(catalogs_in(path)):
        if (found := about_in_catalog(file)) is not None:
            return replace(found, catalog=file.name), why
    return None, why


def replace_about(path: Path, about: About) -> None:
    """Put a `store.json` into the folder `path`; for its one writer.

    Raises:
        StoreError: it can't be written; the one before is as it was.
    """
    try:
        replace_file(path / ABOUT, lambda new: write_about(new, about))
    except OSError as error:
        raise translated(path / ABOUT, error) from error


def about_in_catalog(path: Path) -> About | None:
    """What the catalog in the file `path` says of its store; None where it can't be read or says
    nothing."""
    document = _read(path, lambda reader: reader.about())
    with suppress(StoreError):
        return None if document is None else About.of(document, shown(path))
    return None


def _holds_pictures(path: Path) -> bool:
    """Whether a catalog is more than what a build left that was cut short before its first."""
    return bool(_read(path, lambda reader: reader.about() is not None and reader.entries))


def _read(path: Path, read: Callable[[LmdbReader], _T]) -> _T | None:
    """What is read from the catalog in the file `path`; None where it can't be read."""
    try:
        catalog = LmdbCatalog(path, b"/", create=False)
    except StoreError:
        return None
    try:
        with catalog.reading() as reader:
            return read(reader)
    except (StoreError, ValueError):  # ValueError: of an old store, or none
        return None
    finally:
        catalog.close()


def _require_own(catalog: LmdbCatalog, about: About) -> None:
    with catalog.reading() as reader:
        try:
            document = reader.about()
        except ValueError:  # a checksum where there should be none
            document = {}
    if document is None and not about.checked:
        return
    if document is None or document.get("id") != about.id.hex():
        raise StoreDamagedError(
            f"{shown(catalog.path)} is not the catalog of the store that {ABOUT} is about; put the "
            "right one back, or let 'tll-index repair' go by the catalog"
        )


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
