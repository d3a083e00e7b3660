"""Files of a store that appear whole or not at all, whatever happens on the way; scratch files."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .errors import UsageError
from .names import shown
from .paths import is_folder, named, why_hidden


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
        sync_file(new)
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """Bring the bytes of a file to the disk."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, not only the bytes of its files."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def destination_for(destination: str | os.PathLike[str], *, new: bool = False) -> Path:
    """Where something is to be written, absolute.

    Args:
        new: nothing may be there yet.

    Raises:
        UsageError: the folder that it would be in is none, or something is there that may not be.
    """
    path = Path(os.path.abspath(named(destination)))
    if new and os.path.lexists(path):
        raise UsageError(f"{shown(path)} is there already; name a folder that isn't")
    if not is_folder(path.parent):
        why = why_hidden(path.parent)
        raise UsageError(f"{shown(path.parent)} {f'is closed: {why}' if why else 'is no folder'}")
    return path


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """A folder to be filled, which becomes `path` where that goes well and is removed where not.
    What a killed process left of it is removed as well.

    Raises:
        OSError
    """
    part = path.with_name(f"{path.name}.part")
    try:
        if is_folder(part):
            shutil.rmtree(part)
        part.mkdir()
        yield part
        part.rename(path)
        sync_folder(path.parent)
    finally:
        with contextlib.suppress(OSError):
            shutil.rmtree(part)


@contextlib.contextmanager
def scratch(shape: tuple[int, ...], dtype: DTypeLike) -> Iterator[NDArray[Any]]:
    """An array of zeros in a file without a name, for what may be more than memory holds; it is
    gone after the block."""
    if 0 in shape:
        yield np.zeros(shape, dtype)
        return
    with tempfile.TemporaryFile() as file:
        yield np.memmap(file, dtype, "w+", shape=shape)
