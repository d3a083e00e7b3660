"""A copy of a store that is consistent though others write meanwhile."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from ...core.atomic_files import destination_for, new_folder, replace_file
from ...core.config import Settings, load_settings
from ...core.errors import StoreError
from ...core.names import shown
from ...core.paths import is_file
from ...core.progress import Progress
from ..backends.folder.rewrite import rewrite_catalog
from ..backends.folder.store_folder import folder_of
from ..backends.layout import ABOUT, CATALOG, LENS
from ..backends.metadata import write_about
from ..catalog.lmdb_environment import translated
from ..store.store import Store


def backup(
    destination: str | os.PathLike[str],
    *,
    store: str | os.PathLike[str] | None = None,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> Path:
    """Copy a store as it is at one moment, whoever writes to it. Each record is checked on the way:
    a damaged store has no backup made. The copy is a store: it can be searched where it is, and
    finds the paths of the same pictures.

    Args:
        destination: a folder that isn't there yet. It appears when all of it is on the disk.
        store: its folder; None as in `Store.open`.

    Returns:
        The folder, absolute.

    Raises:
        UsageError: the destination is there, or its parent isn't.
        StoreError: the store can't be opened or is damaged, or the copy can't be written.
    """
    progress = progress or Progress()
    path = destination_for(destination, new=True)
    with Store.open(store, settings=settings or load_settings()) as opened:
        try:
            with new_folder(path) as part:
                _copy(opened, part, progress)
        except OSError as error:
            raise translated(path / ABOUT, error) from error
    return path


def _copy(store: Store, part: Path, progress: Progress) -> None:
    about = store.about
    # The indexes first: one that is older than the catalog is brought up to it by whoever reads.
    for name in (*(space.file for space in about.spaces), LENS):
        with suppress(FileNotFoundError):
            source = store.path / name

            def copy(new: Path, source: Path = source) -> None:
                shutil.copyfile(source, new)

            replace_file(part / name, copy)
    if about.made_by.lens_sha256 and not is_file(part / LENS):
        raise StoreError(f"{shown(store.path)} has lost its {LENS}; 'tll-index repair' mends it")
    base = os.fsdecode(about.base_of(store.path))
    copied = about.renewed(catalog=CATALOG, base=base)
    rewrite_catalog(folder_of(store.backend).catalog, part / CATALOG, copied, progress)
    (part / f"{CATALOG}-lock").unlink(missing_ok=True)
    replace_file(part / ABOUT, lambda new: write_about(new, copied))
