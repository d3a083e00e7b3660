"""The end that Ctrl-C makes of a command that can go on from there."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import click

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells use it."""


def end_interrupted() -> NoReturn:
    """Say how to go on, and end."""
    click.echo("stopped; run the same command again to go on", err=True)
    sys.exit(INTERRUPTED)


@contextmanager
def resumable() -> Iterator[None]:
    """A block in which Ctrl-C loses nothing, as what was done is kept."""
    try:
        yield
    except KeyboardInterrupt:
        end_interrupted()
