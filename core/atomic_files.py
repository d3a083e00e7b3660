"""Files and folders that appear whole or not at all, whatever happens on the way."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

from .errors import UsageError
from .names import shown
from .paths import is_folder, named, why_hidden


def replace_file(path: Path, write: Callable[[Path], object], *, is_cache: bool = False) -> None:
    """Let `write` make a new file beside `path`, bring it to the disk, then put it in its place.

    Args:
        is_cache: several processes may write the same file, so the new one has a name of its own;
            and what a power failure takes can be made again, so nothing waits for the disk.
            Otherwise there is one writer, the name is a fixed one, and what a killed process left
            is simply overwritten.

    Raises:
        OSError, and whatever `write` raises; `path` is then as it was.
    """
    new = path.with_name(
        f"{path.name}.{secrets.token_hex(4)}.new" if is_cache else f"{path.name}.new"
    )
    try:
        write(new)
        if not is_cache:
            sync_file(new)
        new.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            new.unlink()
        raise
    if not is_cache:
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
        raise UsageError(
            f"{shown(path.parent)} {f'is closed: {why}' if why else 'is not a folder'}"
        )
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
