"""What a torture comes to: counted, and whatever went wrong told so that it can be done again."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from .trial import Trial

_TOLD = 20
"""So many of what went wrong are told at most."""


@dataclass
class Tally:
    """Of one torture."""

    torture: str
    what: str
    """In a line, for people."""
    seed: int
    started: float = field(default_factory=time.monotonic)
    tried: int = 0
    survived: int = 0
    images_lost: int = 0
    wrong_answers: int = 0
    crashes: int = 0
    """Damage that was noticed by the end of the process that met it: no answer, but no word
    either."""
    failures: list[dict[str, Any]] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    """What could not be tried here, and why."""
    figures: dict[str, Counter[str]] = field(default_factory=dict)

    def count(self, of: str, what: str) -> None:
        """One more in a table of the JSON."""
        self.figures.setdefault(of, Counter())[what] += 1

    def take(self, trial: Trial) -> None:
        """A trial is done."""
        self.tried += 1
        self.survived += trial.survived
        self.images_lost += len(trial.lost)
        self.wrong_answers += len(trial.wrong)
        self.count("scenes", trial.scene)
        if not trial.survived:
            self.count("scenes that failed", trial.scene)
            if len(self.failures) < _TOLD:
                self.failures.append(trial.told())

    def lasts(self, seconds: float) -> bool:
        """Whether there is time for more."""
        return time.monotonic() - self.started < seconds

    def numbers(self, seconds: float, count: int, only: int | None = None) -> Iterator[int]:
        """Numbers of trials while there is time and so many are not done; or `only` one."""
        if only is not None:
            yield only
            return
        for number in range(count):
            if not self.lasts(seconds):
                return
            yield number

    def told(self) -> dict[str, Any]:
        """JSON."""
        figures = {of: dict(sorted(counts.items())) for of, counts in self.figures.items()}
        return {
            "torture": self.torture,
            "what": self.what,
            "seed": self.seed,
            "tried": self.tried,
            "survived": self.survived,
            "images_lost": self.images_lost,
            "wrong_answers": self.wrong_answers,
            "crashes": self.crashes,
            "seconds": round(time.monotonic() - self.started, 1),
            "skipped": self.skipped,
            "failures": self.failures,
            "figures": figures,
        }
