"""What many do to a store, and a disk that can't be written; what must hold in each case."""

from __future__ import annotations

import os
import random
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from .scenes import AGAIN, contents, copied, picture
from .trial import Stage, Trial, said
from .warm import AskedError, Child, Warm
from .writes import manners

READERS = 8
SLOW = {"TINY_SECONDS": "0.15"}
"""A build that takes a moment, so that others meet it."""

_AT_ONCE = 5.0
"""Seconds in which the second writer must be refused; much less, but machines are busy."""


class NotHereError(Exception):
    """That can't be tried here."""


def second_writer(trial: Trial, stage: Stage, here: set[str], chance: random.Random) -> None:
    """While one writes, others are refused at once, in a line, and queries work."""
    tree, warm = with_news(stage), stage.warm
    first = warm.start(*AGAIN, folder=tree, exempt=True, environment=SLOW)
    until(lambda: _is_locked(tree / "store" / "write.lock"))
    gone = sorted((tree / "photos").rglob("*.png"))[0]
    commands: dict[str, tuple[str, ...]] = {
        "build": AGAIN,
        "repair": ("repair", "--store", "store"),
        "forget": ("forget", "--store", "store", str(gone)),
    }
    for name, command in commands.items():
        if name != "build" and name not in here:
            continue
        ended = warm.run(*command, folder=tree)
        if ended.code != 1 or "another tll-index" not in ended.err:
            trial.problems.append(f"a second writer, {name}: {said(ended)}")
        trial.problems += manners(ended)
        if ended.seconds > _AT_ONCE:
            trial.problems.append(f"{name} is refused after {ended.seconds:.1f} s only")
    ended = warm.run("query", str(gone), "--store", "store", folder=tree)
    if ended.code:
        trial.problems.append(f"a query meanwhile: {said(ended)}")
    if (ended := warm.end(first)).code:
        trial.problems.append(f"the first writer: {said(ended)}")
    stage.complete(trial, tree, tree / "store")


def readers(trial: Trial, stage: Stage, here: set[str], chance: random.Random) -> None:
    """Eight readers, some of whom stay, ask beside builds, index switches, forget, repair."""
    tree, warm = with_news(stage), stage.warm
    store, stop = tree / "store", stage.folder / "stop"
    gone = stage.folder / "gone"
    for file in (stop, gone):
        file.unlink(missing_ok=True)
    known = sorted(map(str, (tree / "photos").rglob("*.png")))
    doomed = [str(path) for path in sorted((tree / "photos").rglob("*.png"))[:2]]
    asking = [
        warm.begin(
            "asking:keep_asking",
            store=str(store),
            known=known,
            doomed=doomed,
            gone=str(gone),
            stop=str(stop),
            stay=number % 2 == 0,
            seed=number,
        )
        for number in range(READERS)
    ]
    try:
        for command in _busy(here, doomed):
            child = warm.start(*command, folder=tree, exempt=True, environment=SLOW)
            if (ended := warm.end(child)).code:
                trial.problems.append(f"{' '.join(command[:2])} beside readers: {said(ended)}")
            if command[0] == "forget":
                gone.touch()
                for path in doomed:
                    os.unlink(path)
    finally:
        stop.touch()
        _hear(trial, warm, asking)
    stage.complete(trial, tree, store)


def _busy(here: set[str], doomed: list[str]) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = [AGAIN]
    commands += [(*AGAIN, "--index", kind) for kind in ("ivf", "hnsw", "flat")]
    if "forget" in here:
        commands.append(("forget", "--store", "store", *doomed))
    if "repair" in here:
        commands.append(("repair", "--store", "store"))
    return commands


def _hear(trial: Trial, warm: Warm, asking: list[Child]) -> None:
    for child in asking:
        try:
            found = warm.answer(child)
        except AskedError as error:
            trial.problems.append(f"a reader: {error}")
            continue
        if "error" in found:
            trial.problems.append(f"a reader: {found['message']}")
            continue
        trial.wrong += found["wrong"]
        trial.problems += found["problems"]
        if not found["asked"]:
            trial.problems.append("a reader got to ask nothing")


def stale_locks(trial: Trial, stage: Stage, here: set[str], chance: random.Random) -> None:
    """What killed processes left, locks and half-written files, keeps nobody out."""
    tree, warm = with_news(stage), stage.warm
    store = tree / "store"
    (store / "write.lock").write_text(str(os.getpid()))
    for name in ("vectors.faiss.new", "store.json.new", "lens.npz.new"):
        (store / name).write_bytes(chance.randbytes(1000))
    killed = warm.begin("asking:open_and_wait", store=str(store), ready=str(tree / "ready"))
    until((tree / "ready").exists)
    warm.kill(killed)
    for _ in range(2):
        if (ended := warm.run(*AGAIN, folder=tree)).code:
            trial.problems.append(f"a build after: {said(ended)}")
    (tree / "ready").unlink()
    stage.complete(trial, tree, store)


def read_only(trial: Trial, stage: Stage, here: set[str], chance: random.Random) -> None:
    """A store on a disk that can't be written is asked, and says so when it should be written."""
    tree, warm = copied(stage.tree, stage.folder / "tree"), stage.warm
    mount = ["mount", "--bind", str(tree), str(tree)]
    if subprocess.run(mount, capture_output=True).returncode:
        raise NotHereError("read-only disks: nothing can be mounted here")
    try:
        again = ["mount", "-o", "remount,ro,bind", str(tree)]
        subprocess.run(again, check=True, capture_output=True)
        found = warm.ask("looks:examine", store=str(tree / "store"))
        trial.problems += found.get("problems", [str(found)])
        if set(found.get("images", ())) != set(contents(tree)):
            trial.problems.append("it does not hold what it held")
        one = sorted((tree / "photos").rglob("*.png"))[0]
        wanted = {"query": 0, "info": 0, "verify": 0, "build": 1, "forget": 1, "repair": 1}
        arguments = {"query": [str(one)], "forget": [str(one)], "build": ["photos", "-q"]}
        for name, code in wanted.items():
            if name in {"forget", "repair", "verify"} - here:
                continue
            command = (name, *arguments.get(name, []), "--store", "store")
            ended = warm.run(*command, folder=tree)
            if ended.code != code and not (name in ("build", "repair") and ended.code == 0):
                trial.problems.append(f"{name}: {said(ended)}, {code} expected")
            trial.problems += [f"{name}: {one}" for one in manners(ended)]
    finally:
        subprocess.run(["umount", "-l", str(tree)], check=True)


def with_news(stage: Stage) -> Path:
    tree = copied(stage.tree, stage.folder / "tree")
    for number in range(16):
        picture(2000 + number).save(tree / "photos" / f"news{number:02}.png")
    return tree


def _is_locked(lock: Path) -> bool:
    import fcntl

    try:
        with lock.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def until(what: Callable[[], object], patience: float = 30.0) -> None:
    end = time.monotonic() + patience
    while not what():
        if time.monotonic() > end:
            raise RuntimeError(f"it does not come: {what}")
        time.sleep(0.005)
