"""A whole catalog, made of what can still be read of a damaged one.

A child process does it (`salvaging`): reading a tree of pages that are not what LMDB wrote can end
a process. A small file says where the child is, so that the next one reads that table
up to there from the front, and the rest from the back.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...core import errors
from ...core.child_processes import heard, relay
from ...core.errors import StoreDamagedError, TllError
from ...core.names import shown
from ...core.progress import Progress
from ..backends.metadata import About
from .salvage_process import POSITION, PRIMARY

_CHILD = f"{__package__}.salvage_process"
_NO_LIMIT = 2**64 - 1
_CRASHES = 2 * len(PRIMARY)
"""A child that dies tells where; more often than this it can't."""


def salvaged(old: Path, new: Path, about: About, progress: Progress) -> tuple[str, ...]:
    """Make the catalog `new` of all that can be read in the file `old`, in child processes.

    Args:
        about: of the store, which need not be readable in `old`.

    Returns:
        What was lost, one line each: paths, where their records can be read.

    Raises:
        StoreDamagedError: nothing can be read.
        StoreError: `new` can't be written.
    """
    limits = [[_NO_LIMIT, _NO_LIMIT] for _ in PRIMARY]
    with tempfile.TemporaryDirectory() as folder:
        position = Path(folder) / "position"
        for _ in range(_CRASHES + 1):
            for path in (new, new.with_name(new.name + "-lock")):
                path.unlink(missing_ok=True)
            position.write_bytes(bytes(POSITION.size))
            paths = [os.fspath(one) for one in (old, new, position)]
            lost = _child([*paths, about.document(), limits], progress)
            if lost is not None:
                return lost
            table, way, read = POSITION.unpack(position.read_bytes())
            limits[table][way] = max(0, read - 1)
    raise StoreDamagedError(f"reading {shown(old)} ends the process, wherever it begins")


def _child(arguments: Sequence[Any], progress: Progress) -> tuple[str, ...] | None:
    """What one child lost; None where it died."""
    lost: list[str] = []
    for word, value in heard(_CHILD, arguments):
        if word == "lost":
            lost.append(value)
        elif word == "done":
            return tuple(lost)
        elif not relay(word, value, progress):
            raise getattr(errors, word, TllError)(value)
    return None
