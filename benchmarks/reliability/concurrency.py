"""Many at once: two writers, readers during builds, index switches, forgetting and repair; a store
that can't be written; a store that is copied while it is in use.

The second writer is refused at once. Each result is complete and of one state: every picture that
was committed before the query, and is not removed, is found, and no path that never was.
"""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .faults import manners
from .fork_server import Child, ChildError, ForkServer
from .scenarios import AGAIN, contents, copied, make_tree, picture
from .store_checks import states
from .trials import Stage, Tally, Trial, said

READERS = 8
SLOW = {"TINY_SECONDS": "0.15"}
"""A build that takes a moment, so that others meet it."""

_AT_ONCE = 5.0
"""Seconds in which the second writer must be refused; much less, but machines are busy."""


class NotHereError(Exception):
    """That can't be tried here."""


def second_writer(trial: Trial, stage: Stage, here: set[str], chance: random.Random) -> None:
    """While one writes, others are refused at once, in a line, and queries work."""
    tree, server = with_news(stage), stage.server
    first = server.start(*AGAIN, folder=tree, exempt=True, environment=SLOW)
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
        ended = server.run(*command, folder=tree)
        if ended.code != 1 or "another tll-index" not in ended.err:
            trial.problems.append(f"a second writer, {name}: {said(ended)}")
        trial.problems += manners(ended)
        if ended.seconds > _AT_ONCE:
            trial.problems.append(f"{name} is refused after {ended.seconds:.1f} s only")
    ended = server.run("query", str(gone), "--store", "store", folder=tree)
    if ended.code:
        trial.problems.append(f"a query meanwhile: {said(ended)}")
    if (ended := server.end(first)).code:
        trial.problems.append(f"the first writer: {said(ended)}")
    stage.complete(trial, tree, tree / "store")


def readers(trial: Trial, stage: Stage, here: set[str], chance: random.Random) -> None:
    """Eight readers, some of whom stay, ask beside builds, index switches, forget, repair."""
    tree, server = with_news(stage), stage.server
    store, stop = tree / "store", stage.folder / "stop"
    gone = stage.folder / "gone"
    for file in (stop, gone):
        file.unlink(missing_ok=True)
    known = sorted(map(str, (tree / "photos").rglob("*.png")))
    doomed = [str(path) for path in sorted((tree / "photos").rglob("*.png"))[:2]]
    children = [
        server.begin(
            "store_checks:keep_querying",
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
            child = server.start(*command, folder=tree, exempt=True, environment=SLOW)
            if (ended := server.end(child)).code:
                trial.problems.append(f"{' '.join(command[:2])} beside readers: {said(ended)}")
            if command[0] == "forget":
                gone.touch()
                for path in doomed:
                    os.unlink(path)
    finally:
        stop.touch()
        _hear(trial, server, children)
    stage.complete(trial, tree, store)


def _busy(here: set[str], doomed: list[str]) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = [AGAIN]
    commands += [(*AGAIN, "--index", kind) for kind in ("ivf", "hnsw", "flat")]
    if "forget" in here:
        commands.append(("forget", "--store", "store", *doomed))
    if "repair" in here:
        commands.append(("repair", "--store", "store"))
    return commands


def _hear(trial: Trial, server: ForkServer, children: list[Child]) -> None:
    for child in children:
        try:
            found = server.result(child)
        except ChildError as error:
            trial.problems.append(f"a reader: {error}")
            continue
        if "error" in found:
            trial.problems.append(f"a reader: {found['message']}")
            continue
        trial.wrong += found["wrong"]
        trial.problems += found["problems"]
        if not found["queried"]:
            trial.problems.append("a reader got to search nothing")


def stale_locks(trial: Trial, stage: Stage, here: set[str], chance: random.Random) -> None:
    """What killed processes left, locks and half-written files, keeps nobody out."""
    tree, server = with_news(stage), stage.server
    store = tree / "store"
    (store / "write.lock").write_text(str(os.getpid()))
    for name in ("vectors.faiss.new", "store.json.new", "lens.npz.new"):
        (store / name).write_bytes(chance.randbytes(1000))
    killed = server.begin("store_checks:open_and_wait", store=str(store), ready=str(tree / "ready"))
    until((tree / "ready").exists)
    server.kill(killed)
    for _ in range(2):
        if (ended := server.run(*AGAIN, folder=tree)).code:
            trial.problems.append(f"a build after: {said(ended)}")
    (tree / "ready").unlink()
    stage.complete(trial, tree, store)


def read_only(trial: Trial, stage: Stage, here: set[str], chance: random.Random) -> None:
    """A store on a disk that can't be written is asked, and says so when it should be written."""
    tree, server = copied(stage.tree, stage.folder / "tree"), stage.server
    mount = ["mount", "--bind", str(tree), str(tree)]
    if subprocess.run(mount, capture_output=True).returncode:
        raise NotHereError("read-only disks: nothing can be mounted here")
    try:
        again = ["mount", "-o", "remount,ro,bind", str(tree)]
        subprocess.run(again, check=True, capture_output=True)
        found = server.call("store_checks:examine", store=str(tree / "store"))
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
            ended = server.run(*command, folder=tree)
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


def copy_in_use(trial: Trial, stage: Stage, here: set[str], chance: random.Random) -> None:
    """What `cp` makes of a store in use works, or is noticed; what `backup` makes is whole."""
    tree, server = with_news(stage), stage.server
    seen, ready = stage.folder / "seen", stage.folder / "ready"
    for path in (seen, ready):
        path.unlink(missing_ok=True)
    onlooker = server.begin(
        "store_checks:watch", store=str(tree / "store"), seen=str(seen), ready=str(ready)
    )
    until(ready.exists)
    first = server.start(*AGAIN, folder=tree, exempt=True, environment=SLOW)
    copies = [tree / f"copy{number}" for number in range(4)]
    backups = [tree / f"backup{number}" for number in range(2)] if "backup" in here else []
    committed: dict[Path, set[str]] = {}
    for number, copy in enumerate(copies):
        time.sleep(chance.uniform(0.02, 0.2))
        shutil.copytree(tree / "store", copy, ignore=shutil.ignore_patterns("*.new"))
        if number < len(backups):
            known = states(seen)
            committed[backups[number]] = known[-1] if known else set()
            ended = server.run("backup", backups[number].name, "--store", "store", folder=tree)
            if ended.code:
                trial.problems.append(f"backup: {said(ended)}")
    if (ended := server.end(first)).code:
        trial.problems.append(f"the build: {said(ended)}")
    server.kill(onlooker)
    here_now = set(contents(tree))
    for backup in backups:
        found = _examined(trial, server, backup)
        trial.problems += [f"{backup.name}: {one}" for one in _but_pictures(found)]
        trial.lost += sorted((committed[backup] & here_now) - set(found.get("images", ())))
    for copy in copies:
        found = _examined(trial, server, copy, may_fail=True)
        noticed = "error" in found
        if "verify" in here:
            noticed = noticed or server.run("verify", "--store", copy.name, folder=tree).code == 1
        if not noticed and (problems := _but_pictures(found)):
            trial.problems += [f"a copy that nothing is said of: {one}" for one in problems]
    for path in (*copies, *backups):
        shutil.rmtree(path)
    stage.complete(trial, tree, tree / "store")


def _examined(
    trial: Trial, server: ForkServer, store: Path, may_fail: bool = False
) -> dict[str, Any]:
    try:
        found: dict[str, Any] = server.call("store_checks:examine", store=str(store))
    except ChildError as error:
        if not (may_fail and "killed by signal" in str(error)):
            trial.problems.append(f"{store.name}: {error}")
        return {"error": "crash", "message": str(error)}
    if "error" in found and not may_fail:
        trial.problems.append(f"{store.name}: {found['message']}")
    return found


def _but_pictures(found: dict[str, Any]) -> list[str]:
    """The pictures go on changing."""
    return [one for one in found.get("problems", []) if not one.startswith("verify: pictures")]


SITUATIONS = (second_writer, readers, stale_locks, read_only, copy_in_use)


def run(
    seconds: float, count: int, seed: int, scratch: Path, *, trial_number: int | None = None
) -> dict[str, Any]:
    """Each of the situations in turn, up to `count` times, while there are `seconds`; or the
    those of one number."""
    tally = Tally("crowds", "two writers, eight readers, read-only disks, copies in use", seed)
    with ForkServer(scratch / "server") as server:
        stage = Stage(server, make_tree(scratch / "base", server), scratch / "stage", seed)
        here = {
            name for name in ("forget", "repair", "backup", "verify")
            if server.run(name, "--help", folder=scratch).code == 0
        }  # fmt: skip
        for number in tally.numbers(seconds, count, trial_number):
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
