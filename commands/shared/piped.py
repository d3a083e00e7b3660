"""Pictures that come through a pipe: '-', /dev/stdin, and what shells make of <(…)."""

from __future__ import annotations

import os
import re
import stat
import sys

from ...core.errors import MissingPictureError, TooLargePictureError, UsageError

_OPEN = re.compile(r"/dev/stdin|(?:/dev/fd|/proc/self/fd)/([0-9]{1,9})")
"""Names of what this process has open already."""


def read_piped(path: str, max_bytes: int) -> bytes | None:
    """The bytes of the picture that comes in by `path`; None where that is a file like others. A
    pipe can be read once, and says no size before: it is read up to the limit.

    Raises:
        MissingPictureError, TooLargePictureError
        UsageError: it is a terminal, at which nobody types pictures.
    """
    if path == "-":
        return standard_input(max_bytes)
    if (found := _OPEN.fullmatch(path)) is None:
        return None
    descriptor = int(found[1] or 0)
    try:
        mode = os.fstat(descriptor).st_mode
    except OSError:
        raise MissingPictureError("is closed", path) from None
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):
        return None
    return _read(descriptor, max_bytes, path)


def standard_input(max_bytes: int) -> bytes:
    """The bytes of the picture that standard input holds.

    Raises:
        As `read_piped`.
    """
    if sys.stdin is None:
        raise MissingPictureError("is closed", "standard input")
    return _read(sys.stdin.fileno(), max_bytes, "standard input")


def _read(descriptor: int, max_bytes: int, name: str) -> bytes:
    if os.isatty(descriptor):
        raise UsageError(
            f"{name} is this terminal; pass a picture to it, as in 'tll-index query - < photo.jpg'"
        )
    with open(descriptor, "rb", closefd=False) as file:
        data = file.read(max_bytes + 1)
    if len(data) > max_bytes:
        raise TooLargePictureError(f"has more than {max_bytes >> 20} MiB", name)
    return data
