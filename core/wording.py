"""Numbers with their nouns, as people read them: one picture, two pictures."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """A number with its noun: `1 group`, `2 groups`, `1,000 copies`."""
    if count != 1:
        is_consonant_y = noun.endswith("y") and noun[-2:-1] not in "aeiou"
        noun = f"{noun[:-1]}ies" if is_consonant_y else f"{noun}s"
    return f"{count:,} {noun}"
