"""`kill -9` at random moments of every command that changes a store.

Half of them right before, right after or in the middle of a call that changes a file, half after
a random time. What was committed must be there, once and findable, and the same command go on.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .scenes import make_tree, scenes_here
from .shim import KILLS, Fault
from .tally import Tally
from .trial import Stage
from .warm import Warm

_LONGER = 1.1
"""Of the time that a command takes undisturbed: the latest kill."""


def run(
    seconds: float, count: int, seed: int, scratch: Path, *, only: int | None = None
) -> dict[str, Any]:
    """Kill `count` times, or as often as `seconds` allow; `only` the trial of one number."""
    tally = Tally("kills", "kill -9 at any moment of any command that writes", seed)
    with Warm(scratch / "warm") as warm:
        stage = Stage(warm, make_tree(scratch / "base", warm), scratch / "stage", seed)
        scenes, missing = scenes_here(warm, scratch)
        tally.skipped += [f"{name}: this version has no such command" for name in missing]
        lengths = {scene.name: stage.calls(scene, 0) for scene in scenes}
        for number in tally.numbers(seconds, count, only):
            chance = stage.chance("kill", number)
            scene = scenes[number % len(scenes)]
            calls, duration = lengths[scene.name]
            fault, after = None, 0.0
            if number // len(scenes) % 2 == 0:
                fault = Fault(chance.randint(1, calls), chance.choice(KILLS))
            else:
                after = max(0.001, chance.uniform(0, _LONGER * duration))
            trial, ended = stage.struck(scene, number, fault, after)
            if fault is not None and not ended.struck.times:
                tally.count("kills", "came too late")
            else:
                name = ended.struck.what.split(" ")[0] if fault else "by the clock"
                tally.count("kills", f"{fault.how}: {name}" if fault else name)
            tally.take(trial)
    return tally.told()
