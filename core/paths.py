"""Paths as people name them, and what is there, as far as one may look.

`Path.is_file()` and the like raise where a folder on the way may not be entered, until Python 3.14;
these don't, and `why_hidden` says when nobody can tell.
"""

from __future__ import annotations

import os
from pathlib import Path

from .errors import UsageError
from .file_urls import is_file_url, path_of
from .names import shown


def named(path: str | bytes | os.PathLike[str]) -> Path:
    """The path that somebody named: of a file: URL its path, of ~ that home.

    Raises:
        UsageError: the URL is of another machine, or nobody knows that home.
    """
    if is_file_url(os.fsdecode(path)):
        return Path(os.fsdecode(path_of(os.fsdecode(path))))
    found = Path(os.fsdecode(path))
    try:
        return found.expanduser()
    except RuntimeError:
        raise UsageError(
            f"{shown(found)}: nobody knows where the folder {found.parts[0]} is; write its path"
        ) from None


def is_file(path: str | bytes | os.PathLike[str]) -> bool:
    """Whether a regular file is there; no, too, where nobody may look."""
    return os.path.isfile(path)


def is_folder(path: str | bytes | os.PathLike[str]) -> bool:
    """Whether a folder is there; no, too, where nobody may look."""
    return os.path.isdir(path)


def is_there(path: str | bytes | os.PathLike[str]) -> bool:
    """Whether anything is there, at the end of all links; no, too, where nobody may look."""
    return os.path.exists(path)


def why_hidden(path: str | bytes | os.PathLike[str]) -> str:
    """Why nobody can tell what is at `path`, such as "Permission denied"; empty where one can."""
    try:
        os.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    except ValueError as error:  # a null character
        return str(error)
    return ""
