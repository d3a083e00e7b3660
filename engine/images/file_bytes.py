"""A picture file -> its bytes, as they were at one moment, within limits, with typed failures.

A file is named by its path or by an address, such as s3://bucket/photo.jpg (see `remote.py`).
"""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path
from typing import NamedTuple

from ...core.errors import (
    AddressError,
    EmptyPictureError,
    MissingAddressError,
    MissingPictureError,
    TllError,
    TooLargePictureError,
    UnreadablePictureError,
    UsageError,
)
from ..remote.urls import is_address
from .decode import Limits

_USUAL = Limits()
_PAUSES = (0.05, 0.25)
"""Seconds before a file is read again that was written to while it was read."""


class FileBytes(NamedTuple):
    """The bytes that a file held at one moment."""

    data: bytes
    mtime_ns: int | None
    """When it was last changed, at that moment; None of a file at an address, where nothing says
    that of these bytes."""


def read_bytes(path: str | bytes | Path, limits: Limits = _USUAL) -> bytes:
    """The bytes of the picture file at `path`.

    Raises:
        As `read_file`.
    """
    return read_file(path, limits).data


def read_file(path: str | bytes | Path, limits: Limits = _USUAL) -> FileBytes:
    """The bytes of the picture file at `path`, none of them older or newer than the others. Safe
    to call from several threads.

    Args:
        path: of a file, or its address: text or bytes, since a `Path` makes one slash of two.

    Raises:
        MissingPictureError, EmptyPictureError, TooLargePictureError
        UnreadablePictureError: also where it was written to each time that it was read, and where
            a host can't be reached, or a package is missing that its address needs.
    """
    if not isinstance(path, Path) and is_address(path):
        return _read_address(os.fsencode(path), limits)
    try:
        for pause in (*_PAUSES, 0.0):
            read = _read_once(path, limits)
            if read is not None:
                break
            time.sleep(pause)
    except FileNotFoundError:
        raise MissingPictureError("no such file", path) from None
    except IsADirectoryError:
        raise UnreadablePictureError("is a folder, not a picture", path) from None
    except PermissionError:
        raise UnreadablePictureError("permission denied", path) from None
    except MemoryError:
        raise UnreadablePictureError("can't be read: there is not enough memory", path) from None
    except (OSError, ValueError) as error:  # ValueError: an embedded null character
        reason = getattr(error, "strerror", None) or str(error)
        raise UnreadablePictureError(f"can't be read: {reason}", path) from None
    if read is None:
        raise UnreadablePictureError("is being written to; try again when that is done", path)
    if not read.data:
        raise EmptyPictureError("is empty (0 bytes)", path)
    return read


def _read_once(path: str | bytes | Path, limits: Limits) -> FileBytes | None:
    """None where the file changed meanwhile."""
    # Non-blocking, so that opening a named pipe returns instead of waiting for a writer.
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | getattr(os, "O_NONBLOCK", 0))
    with open(descriptor, "rb") as file:
        before = os.fstat(descriptor)
        if stat.S_ISDIR(before.st_mode):
            raise UnreadablePictureError("is a folder, not a picture", path)
        if stat.S_ISFIFO(before.st_mode):
            raise UnreadablePictureError(
                "is a pipe, not a file; pass its picture by standard input ('-')", path
            )
        if not stat.S_ISREG(before.st_mode):
            raise UnreadablePictureError("is not a regular file", path)
        if before.st_size > limits.max_bytes:
            raise TooLargePictureError(_too_many_bytes(before.st_size, limits), path)
        data = file.read(before.st_size + 1)
        after = os.fstat(descriptor)
    same = (before.st_size, before.st_mtime_ns) == (after.st_size, after.st_mtime_ns)
    return FileBytes(data, after.st_mtime_ns) if same and len(data) == after.st_size else None


def _read_address(address: bytes, limits: Limits) -> FileBytes:
    from ..remote.backoff import TooLong
    from ..remote.fsspec_io import read

    shown = address.partition(b"?")[0]
    try:
        data = read(address, limits.max_bytes)
    except TooLong as error:
        raise TooLargePictureError(_too_many_bytes(error.size, limits), shown) from None
    except MissingAddressError:
        raise MissingPictureError("no such file", shown) from None
    except AddressError as error:
        raise UnreadablePictureError(f"can't be read: {error.what}", shown) from None
    except UsageError as error:  # it may hold credentials
        raise UnreadablePictureError(str(error)) from None
    except TllError as error:
        raise UnreadablePictureError(f"can't be read: {error}", shown) from None
    if not data:
        raise EmptyPictureError("is empty (0 bytes)", shown)
    return FileBytes(data, None)


def _too_many_bytes(size: int, limits: Limits) -> str:
    return f"has {size >> 20} MiB, more than the limit of {limits.max_bytes >> 20} MiB"
