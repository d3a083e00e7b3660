"""A damaged store made whole again: what is derived is made anew, what can't be read is dropped."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...core.atomic_files import replace_file
from ...core.config import Settings, load_settings
from ...core.errors import LensError, StoreDamagedError, UsageError
from ...core.names import shown
from ...core.paths import is_folder
from ...core.progress import Progress
from ...engine.lens.lens import Lens, find_lenses
from ..backends.folder.lens_file import own_lens
from ..backends.folder.store_folder import FolderBackend, about_of, replace_about
from ..backends.layout import ABOUT, LENS, next_catalog, require_store, writer_lock
from ..backends.metadata import About, no_store
from ..catalog.lmdb_environment import is_lost
from ..store.resolve import require_folder
from ..store.store import Store
from ..vector_index.faiss_file import stamp_of
from .inspect_catalog import inspected
from .salvage import salvaged

_OTHERWISE = "restore the store from a backup, or remove its folder and build it again"


@dataclass(frozen=True)
class Repair:
    """What `repair` did."""

    done: tuple[str, ...]
    """One line for each part that was mended; nothing where the store was whole."""
    lost: tuple[str, ...]
    """What could not be read and was dropped, one line each: paths, where they can be told. The
    next build indexes again what is still on the disk."""


def repair(
    store: str | os.PathLike[str] | None = None,
    *,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> Repair:
    """Mend a store. The catalog's records are kept as far as they can be read; `store.json` is
    written from the catalog, the index is made from it, the lens is looked for where lenses are.

    Args:
        store: its folder; None as in `Store.open`.

    Raises:
        NoStoreError: there is none.
        StoreDamagedError: what is left is too little; says what is needed.
        StoreBusyError, StoreError: it can't be written.
    """
    settings = settings or load_settings()
    progress = progress or Progress()
    path = require_folder(require_store(store, settings))
    if not is_folder(path):  # which the lock would make
        raise no_store(path)
    done: list[str] = []
    with writer_lock(path):
        about, why = about_of(path)
        if about is None:
            raise StoreDamagedError(f"{shown(path)} can't be repaired: {why}; {_OTHERWISE}")
        if why is not None:
            replace_about(path, about)
            done.append(f"{ABOUT} written from the catalog ({why})")
        lost = _catalog(path, about, done, progress)
        _lens(path, about, settings, done)
        _index(path, settings, done, progress)
    return Repair(tuple(done), lost)


def _catalog(path: Path, about: About, done: list[str], progress: Progress) -> tuple[str, ...]:
    catalog = path / about.catalog
    if is_lost(catalog):
        raise StoreDamagedError(
            f"{shown(path)} has lost its {about.catalog}, which can't be made from anything else; "
            f"{_OTHERWISE}"
        )
    wrong, _ = inspected(catalog, about, progress)
    if not wrong:
        return ()
    new = path / next_catalog(about.catalog)
    try:
        lost = salvaged(catalog, new, about, progress)
    except StoreDamagedError as error:
        raise StoreDamagedError(
            f"nothing in {shown(catalog)} can be read ({error}); {_OTHERWISE}"
        ) from None
    about = about.renewed(catalog=new.name)
    replace_about(path, about)
    done.append(f"catalog written anew ({wrong[0]}{f'; {len(wrong) - 1} more' * (len(wrong) > 1)})")
    folder = FolderBackend.open(path)
    try:
        folder.remove_others()
    finally:
        folder.close()
    return lost


def _lens(path: Path, about: About, settings: Settings, done: list[str]) -> None:
    with suppress(LensError, StoreDamagedError):
        own_lens(path, about)
        return
    wanted, backbone = about.made_by.lens_sha256 or "", about.made_by.backbone
    for candidate in find_lenses(settings.lens_dir):
        with suppress(LensError):
            lens = Lens.load(candidate)
            if lens.digest == wanted:
                replace_file(path / LENS, lens.save)
                done.append(f"{LENS} put back from {shown(candidate)}")
                return
    raise StoreDamagedError(
        f"{shown(path / LENS)} is damaged, and no lens for {backbone} here is the one that made "
        f"the store (SHA-256 {wanted[:12]}…); put that one into {shown(settings.lens_dir)} and run "
        "'tll-index repair' again, or restore it from a backup"
    )


def _index(path: Path, settings: Settings, done: list[str], progress: Progress) -> None:
    with Store.open(path, settings=settings) as store:
        files = [space.file for space in store.about.spaces]
        before = {file: stamp_of(path / file) for file in files}
        try:
            store.save_index(progress)
        except UsageError as error:  # the kind that it was told needs more pictures than are left
            left = [file for file in files if stamp_of(path / file) == before[file]]
            done.append(f"{left[0]} is not made: {error}; 'tll-index build --index' takes another")
        done += [f"{file} made anew" for file in files if stamp_of(path / file) != before[file]]
