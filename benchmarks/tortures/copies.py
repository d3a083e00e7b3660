"""A store that is copied while it is written to: by `cp`, and by `backup`."""

from __future__ import annotations

import random
import shutil
import time
from pathlib import Path
from typing import Any

from .looks import states
from .scenes import AGAIN, contents
from .situations import SLOW, until, with_news
from .trial import Stage, Trial, said
from .warm import AskedError, Warm


def copy_in_use(trial: Trial, stage: Stage, here: set[str], chance: random.Random) -> None:
    """What `cp` makes of a store in use works, or is noticed; what `backup` makes is whole."""
    tree, warm = with_news(stage), stage.warm
    seen, ready = stage.folder / "seen", stage.folder / "ready"
    for path in (seen, ready):
        path.unlink(missing_ok=True)
    onlooker = warm.begin(
        "looks:watch", store=str(tree / "store"), seen=str(seen), ready=str(ready)
    )
    until(ready.exists)
    first = warm.start(*AGAIN, folder=tree, exempt=True, environment=SLOW)
    copies = [tree / f"copy{number}" for number in range(4)]
    backups = [tree / f"backup{number}" for number in range(2)] if "backup" in here else []
    committed: dict[Path, set[str]] = {}
    for number, copy in enumerate(copies):
        time.sleep(chance.uniform(0.02, 0.2))
        shutil.copytree(tree / "store", copy, ignore=shutil.ignore_patterns("*.new"))
        if number < len(backups):
            known = states(seen)
            committed[backups[number]] = known[-1] if known else set()
            ended = warm.run("backup", backups[number].name, "--store", "store", folder=tree)
            if ended.code:
                trial.problems.append(f"backup: {said(ended)}")
    if (ended := warm.end(first)).code:
        trial.problems.append(f"the build: {said(ended)}")
    warm.kill(onlooker)
    here_now = set(contents(tree))
    for backup in backups:
        found = _examined(trial, warm, backup)
        trial.problems += [f"{backup.name}: {one}" for one in _but_pictures(found)]
        trial.lost += sorted((committed[backup] & here_now) - set(found.get("images", ())))
    for copy in copies:
        found = _examined(trial, warm, copy, may_fail=True)
        noticed = "error" in found
        if "verify" in here:
            noticed = noticed or warm.run("verify", "--store", copy.name, folder=tree).code == 1
        if not noticed and (problems := _but_pictures(found)):
            trial.problems += [f"a copy that nothing is said of: {one}" for one in problems]
    for path in (*copies, *backups):
        shutil.rmtree(path)
    stage.complete(trial, tree, tree / "store")


def _examined(trial: Trial, warm: Warm, store: Path, may_fail: bool = False) -> dict[str, Any]:
    try:
        found: dict[str, Any] = warm.ask("looks:examine", store=str(store))
    except AskedError as error:
        if not (may_fail and "killed by signal" in str(error)):
            trial.problems.append(f"{store.name}: {error}")
        return {"error": "crash", "message": str(error)}
    if "error" in found and not may_fail:
        trial.problems.append(f"{store.name}: {found['message']}")
    return found


def _but_pictures(found: dict[str, Any]) -> list[str]:
    """The pictures go on changing."""
    return [one for one in found.get("problems", []) if not one.startswith("verify: pictures")]
