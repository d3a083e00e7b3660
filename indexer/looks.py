"""How pictures look through a store's lens: what can be added, subtracted and asked with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..contracts import UnitVectors
from ..engine.lens import unit
from ..errors import UsageError

_NOTHING_LEFT = 1e-4
"""Length of a sum of looks below which it has no direction but that of rounding."""


@dataclass(frozen=True, eq=False)
class Look:
    """How one picture looks."""

    name: str
    """Its path, or '-'."""
    vector: UnitVectors
    """(1, d) float32 of length 1, as `Lens.apply` returns it: without any hub penalty."""
    sha256: bytes | None = None
    """Of the file's content, where that is known: this picture is no answer to itself."""
    weight: float = 1.0
    """How much it counts beside others; below 0, answers should look less like it."""

    def weighing(self, weight: float) -> Look:
        """The same look, counting so much."""
        return replace(self, weight=weight)


def blend(looks: Sequence[Look]) -> UnitVectors:
    """(1, d) float32 of length 1: the looks' sum by weight.

    Raises:
        UsageError: there is none, a weight is no number, or nothing is left of the sum.
    """
    if not looks:
        raise UsageError("name at least one picture to ask with")
    if not all(np.isfinite(look.weight) for look in looks):
        raise UsageError("the weight of a picture must be a number")
    total = sum(np.float32(look.weight) * look.vector for look in looks)
    size = sum(abs(look.weight) for look in looks)
    if np.linalg.norm(total) <= _NOTHING_LEFT * size:
        raise UsageError("these pictures cancel each other out: nothing is left to ask with")
    return unit(np.asarray(total, np.float32))


def names_of(looks: Sequence[Look]) -> str:
    """What a question with these is called: `a.jpg + b.jpg - 0.5 c.jpg`."""
    words: list[str] = []
    for look in looks:
        sign = "-" if look.weight < 0 else "+"
        if words or sign == "-":
            words.append(sign)
        size = abs(look.weight)
        words.append(look.name if size == 1 else f"{size:g} {look.name}")
    return " ".join(words)
