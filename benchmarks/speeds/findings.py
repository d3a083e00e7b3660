"""What a row finds: a figure, whether it is good enough, and what else belongs to it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Finding:
    """What was measured."""

    measured: float
    """The figure that the goal is about, in the row's unit."""
    met: bool
    figures: dict[str, Any] = field(default_factory=dict)
    """What else was measured; JSON values only."""
    conditions: str = ""
    """On what, and how."""


class NotMeasurableError(Exception):
    """This machine can't tell; the message says why, and what would help."""
