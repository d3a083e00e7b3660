"""Files that a command writes beside what it prints."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ...core.names import shown


def require_writable(path: Path) -> None:
    """Refuse, before the long work, a file that can't be written after it.

    Raises:
        TllError: says why.
    """
    from ...core.errors import TllError

    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise TllError(f"{shown(path)} can't be written: there is no folder {shown(folder)}")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise TllError(f"{shown(path)} can't be written: {shown(folder)} is not writable")


def write_result(path: Path, data: bytes) -> None:
    """Write a file that the user named.

    Raises:
        TllError: says why it can't be.
    """
    try:
        path.write_bytes(data)
    except OSError as error:
        from ...core.errors import TllError

        raise TllError(f"{shown(path)} can't be written: {error.strerror}") from None


def write_and_say(path: Path, data: bytes) -> None:
    """The same, with a line on standard error that says so."""
    write_result(path, data)
    click.echo(f"wrote {shown(path)}", err=True)
