"""Many at once: two writers, readers during builds, index switches, forgetting and repair; a store
that can't be written; a store that is copied while it is in use.

The second writer is refused at once. Each answer is complete and of one state: every picture that
was committed before the question, and is not removed, is found, and no path that never was.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .copies import copy_in_use
from .scenes import make_tree
from .situations import NotHereError, read_only, readers, second_writer, stale_locks
from .tally import Tally
from .trial import Stage, Trial
from .warm import Warm

SITUATIONS = (second_writer, readers, stale_locks, read_only, copy_in_use)


def run(
    seconds: float, count: int, seed: int, scratch: Path, *, only: int | None = None
) -> dict[str, Any]:
    """Each of the situations in turn, up to `count` times, while there are `seconds`; or `only`
    those of one number."""
    tally = Tally("crowds", "two writers, eight readers, read-only disks, copies in use", seed)
    with Warm(scratch / "warm") as warm:
        stage = Stage(warm, make_tree(scratch / "base", warm), scratch / "stage", seed)
        here = {
            name for name in ("forget", "repair", "backup", "verify")
            if warm.run(name, "--help", folder=scratch).code == 0
        }  # fmt: skip
        for number in tally.numbers(seconds, count, only):
            for situation in SITUATIONS:
                if not tally.lasts(seconds):
                    break
                trial = Trial(situation.__name__, number, (situation.__doc__ or "")[:60])
                try:
                    situation(trial, stage, here, stage.chance(situation.__name__, number))
                except NotHereError as reason:
                    if str(reason) not in tally.skipped:
                        tally.skipped.append(str(reason))
                    continue
                if not trial.survived:
                    stage.keep(trial, stage.folder / "tree")
                tally.take(trial)
    return tally.told()
