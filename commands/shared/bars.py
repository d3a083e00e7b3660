"""Progress bars, or none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ...core.progress import Progress


@contextmanager
def bars(quiet: bool) -> Iterator[Progress]:
    """Progress bars for long work, or nothing."""
    from ...core.progress import Progress
    from ...rendering.progress import Bars

    with Progress() if quiet else Bars() as progress:
        yield progress
