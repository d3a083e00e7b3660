"""Numbers and lists as people read them: one picture, two pictures; torch, timm and onnx."""

from __future__ import annotations

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """A number with its noun: `1 group`, `2 groups`, `1,000 copies`."""
    if count != 1:
        is_consonant_y = noun.endswith("y") and noun[-2:-1] not in "aeiou"
        noun = f"{noun[:-1]}ies" if is_consonant_y else f"{noun}s"
    return f"{count:,} {noun}"


def listed(names: Sequence[str]) -> str:
    """At least one of them, in a sentence: `a`, `a and b`, `a, b and c`."""
    *before, last = names
    return f"{', '.join(before)} and {last}" if before else last
