"""Files of a store that appear whole or not at all, whatever happens on the way."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, write: Callable[[Path], None]) -> None:
    """Let `write` make a new file beside `path`, bring it to the disk, then put it in its place.

    Only the store's one writer calls this, so the name of the new file can be a fixed one, and
    what a killed process left of it is simply overwritten.

    Raises:
        OSError, and whatever `write` raises; `path` is then as it was.
    """
    new = path.with_name(path.name + ".new")
    try:
        write(new)
        with new.open("rb+") as file:
            os.fsync(file.fileno())
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, not only the bytes of its files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
