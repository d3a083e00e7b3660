"""What one walk found, kept until it has been dealt with, so that no folder is listed twice."""

from __future__ import annotations

import contextlib
import marshal
import struct
import tempfile
from collections.abc import Iterator
from typing import Any

from ...core.errors import TllError
from ...core.names import shown

_LENGTH = struct.Struct(">Q")

_IN_MEMORY = 1 << 20
"""Bytes that need no file: most builds find little to do."""


class Spool:
    """A temporary file of plain values (numbers, bytes, tuples, lists), read in the order in which
    they were put. It has no name, so nothing of it stays, however the process ends."""

    def __init__(self) -> None:
        self._file = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115

    def put(self, value: Any) -> None:
        """Append a value.

        Raises:
            TllError: the temporary folder has no room, or there is none.
        """
        data = marshal.dumps(value)
        with _one_line():
            self._file.write(_LENGTH.pack(len(data)) + data)

    def __iter__(self) -> Iterator[Any]:
        """All values so far.

        Raises:
            TllError: as `put`: what was put last may only now go to the disk.
        """
        at = 0
        while True:
            with _one_line():
                self._file.seek(at)
                header = self._file.read(_LENGTH.size)
                if not header:
                    return
                (length,) = _LENGTH.unpack(header)
                data = self._file.read(length)
            at += len(header) + length
            yield marshal.loads(data)

    def close(self) -> None:
        """Give its room back."""
        with contextlib.suppress(OSError):  # of a full disk, once more
            self._file.close()


@contextlib.contextmanager
def _one_line() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        folder = tempfile.gettempdir() if tempfile.tempdir else "the temporary folder"
        raise TllError(
            f"the list of work can't be written to {shown(folder)} "
            f"({error.strerror or error}); make room there, or name another folder with TMPDIR"
        ) from None
