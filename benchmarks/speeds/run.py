"""Go through the rows: each measured, failed, or said to be not measurable here."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from .findings import NotMeasurableError
from .laboratory import Laboratory
from .rows import Row


@dataclass(frozen=True)
class Result:
    """A row and what came of it."""

    row: Row
    met: bool | str
    """Whether the goal is met, or why that can't be told."""
    measured: float | None = None
    figures: dict[str, Any] = field(default_factory=dict)
    conditions: str = ""
    error: str = ""
    """Why it failed; empty where it did not."""
    seconds: float = 0.0
    """That measuring it took, with what it made for other rows."""


def run_rows(laboratory: Laboratory, rows: Sequence[Row]) -> Iterator[Result]:
    """Each row's result as soon as it is there. A row that fails keeps no other from running."""
    for row in rows:
        laboratory.progress.note(f"{row.key}: {row.what}")
        started = time.perf_counter()
        try:
            found = row.measure(laboratory)
            met, measured = bool(found.met), float(found.measured)
            result = Result(row, met, measured, found.figures, found.conditions)
        except NotMeasurableError as reason:
            result = Result(row, f"not measurable here: {reason}")
        except Exception as error:
            laboratory.progress.note(traceback.format_exc())
            result = Result(row, False, error=f"{type(error).__name__}: {error}")
        yield replace(result, seconds=round(time.perf_counter() - started, 1))
