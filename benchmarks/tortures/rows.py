"""The tortures, what each is given of the time, and how often it strikes at most."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..choosing import chosen


@dataclass(frozen=True)
class Row:
    """One torture."""

    key: str
    """Also the name of its module, whose `run(seconds, count, seed, scratch)` does it."""
    what: str
    share: int
    """Parts of the time."""
    count: int
    """How many trials at most; of 'model', steps."""
    numbered: bool = True
    """Whether one trial can be done again by its number; otherwise all of a seed are."""

    def run(self, seconds: float, seed: int, scratch: Path, only: int | None) -> dict[str, Any]:
        """Do it; JSON values, in the words of `Tally.told`."""
        module = importlib.import_module(f".{self.key}", __package__)
        more = {} if only is None else {"only": only}
        found = module.run(seconds, self.count, seed, scratch, **more)
        told = {**NOTHING, **_same(found)}
        return {**told, "torture": self.key, "what": self.what, "seed": seed}


ROWS = (
    Row("kills", "kill -9 at any moment of every command that writes", 6, 300),
    Row("writes", "each write, sync and rename of every command fails in turn", 8, 10_000),
    Row("damage", "files torn, cut, flipped, zeroed, lost, mixed up", 5, 1000),
    Row("crowds", "two writers, eight readers, read-only disks, copies in use", 2, 10),
    Row("hostile", "lens, weights and store files that lie, explode or hold code", 2, 3000),
    Row("pictures", "malformed pictures, into decoder processes", 2, 20_000, False),
    Row(
        "model", "random commands, held against a model of what a store must hold", 2, 10_000, False
    ),
)

NOTHING: dict[str, Any] = {
    **dict.fromkeys(("tried", "survived", "images_lost", "wrong_answers", "crashes"), 0),
    "seconds": 0.0,
    "skipped": [],
    "failures": [],
}
"""What a torture tells that did nothing."""


def _same(found: dict[str, Any]) -> dict[str, Any]:
    """What a torture tells that has words of its own: failures are what it lists as wrong."""
    if "survived" in found:
        return found
    failures = [
        {"fault": name, "problems": [str(one)]}
        for name in ("crashes_of_the_parent", "hangs", "wrong")
        for one in found.get(name, ())
    ]
    tried = found["tried"] if "tried" in found else found["steps"]
    return {
        "tried": tried,
        "survived": tried - len(failures),
        "wrong_answers": len(found.get("wrong", ())),
        "failures": failures,
        "seconds": found["seconds"],
        "figures": found,
    }


def chosen_rows(words: Sequence[str]) -> list[Row]:
    """See `choosing.chosen`."""
    return chosen(ROWS, words)
