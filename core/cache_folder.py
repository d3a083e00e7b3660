"""Where caches are: the folder that was set, else a private one in the temporary folder.

A service or a container often has no home, or one that it may not write. What is cached can be made
again, so it need not survive; but nobody else may have put it there.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import logging
import os
import shutil
import stat
import tempfile
from pathlib import Path

from .config import NO_HOME
from .names import shown
from .sealed import read_sealed, write_sealed

log = logging.getLogger("tll_index")


class CacheFolder:
    """A folder of sealed files of one kind, such as networks. What is in the folder that was set
    is read though it can't be written."""

    def __init__(self, cache_dir: Path, kind: str) -> None:
        self._cache_dir = cache_dir
        self._kind = kind

    @property
    def path(self) -> Path:
        """Where files are written."""
        return writable_cache(self._cache_dir) / self._kind

    def read(self, name: str) -> bytes | None:
        """The file's bytes; None where there is none, or not whole."""
        body = read_sealed(self._cache_dir / self._kind / name)
        if body is None and (path := self.path) != self._cache_dir / self._kind:
            body = read_sealed(path / name)
        return body

    def write(self, name: str, body: bytes) -> None:
        """
        Raises:
            OSError: it can't be written.
        """
        write_sealed(self.path / name, body)


@functools.cache
def writable_cache(cache_dir: Path) -> Path:
    """`cache_dir` where it can be written, or made; else a private folder, which is said once."""
    if _can_be_written(cache_dir):
        return cache_dir
    try:
        found = private_folder()
    except OSError:  # no temporary folder either: whoever writes will hear of it
        return cache_dir
    no_home = cache_dir.is_relative_to(NO_HOME)
    why = "there is no home folder" if no_home else f"{shown(cache_dir)} can't be written"
    log.warning(
        "tll-index: %s: caches are in %s; TLL_HOME or TLL_CACHE_DIR names another",
        why,
        shown(found),
    )
    return found


def _can_be_written(folder: Path) -> bool:
    """Asks about the nearest folder above, where it is not there: nothing is made."""
    for path in (folder, *folder.parents):
        if os.path.lexists(path):
            return os.path.isdir(path) and os.access(path, os.W_OK | os.X_OK)
    return False


def private_folder() -> Path:
    """A folder that only this user can read and write, the same each time unless somebody else has
    put something in its place.

    Raises:
        OSError: there is no temporary folder.
    """
    path = Path(tempfile.gettempdir()) / f"tll-index-{os.getuid()}"
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    if _is_private(path):
        return path
    return _passing_folder()


def _is_private(path: Path) -> bool:
    status = os.lstat(path)  # not through a link, which anybody could have made
    is_ours = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid()
    return is_ours and not status.st_mode & 0o077


@functools.cache
def _passing_folder() -> Path:
    """Of this process alone, gone when it ends."""
    path, owner = tempfile.mkdtemp(prefix="tll-index-"), os.getpid()

    def remove() -> None:
        if os.getpid() == owner:
            shutil.rmtree(path, ignore_errors=True)

    atexit.register(remove)
    return Path(path)
