"""Whether something is at a path or an address: there, certainly gone, or nobody can tell."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable

from ...core.errors import MissingAddressError, TllError
from ...core.names import shown
from ...core.paths import is_folder, why_hidden
from ...engine.remote.urls import is_address

NOT_THERE = frozenset((errno.ENOENT, errno.ENOTDIR, errno.ELOOP))


def is_gone(path: bytes) -> bool:
    """Whether there is certainly nothing at `path`: what can't be looked at is not gone. Of an
    address nobody is asked, since each would take a request: a build removes it when the folder is
    listed without it."""
    if is_address(path):
        return False
    try:
        os.lstat(path)
    except OSError as error:
        return error.errno in NOT_THERE
    return False


def is_absent(root: bytes) -> bool:
    """Whether a folder on disk that was built from is likely on one that isn't there: it is quite
    empty, or its parent is missing as well. If only its own name is missing, it was moved."""
    try:
        with os.scandir(root) as entries:
            return next(entries, None) is None
    except FileNotFoundError:
        return not os.path.isdir(os.path.dirname(root))
    except OSError:
        return True


def require_root(root: bytes) -> None:
    """Refuse to begin with a folder on disk that is not there.

    Raises:
        TllError: it isn't, or can't be entered.
    """
    if not is_folder(root):
        if why := why_hidden(root):
            raise TllError(f"{shown(root)} can't be entered: {why}")
        raise TllError(f"{shown(root)} does not exist; name folders of pictures")


def still_there(paths: Iterable[bytes]) -> list[bytes]:
    """Those of `paths` at which there is something, or may be. Each folder at an address is listed
    once."""
    from ...engine.remote.fsspec_io import entries

    found, folders = [], dict[bytes, set[bytes] | None]()
    for path in paths:
        if not is_address(path):
            if os.path.lexists(path):
                found.append(path)
            continue
        folder, name = os.path.split(path)
        if folder not in folders:
            names: set[bytes] = set()
            folders[folder] = names

            def note(text: str, _: bool, names: set[bytes] = names) -> bool:
                names.add(os.fsencode(text))
                return False

            try:
                entries(folder, note)
            except MissingAddressError:
                pass
            except TllError:
                folders[folder] = None
        names_there = folders[folder]
        if names_there is None or name in names_there:
            found.append(path)
    return found
