"""Commands that change a store are killed at any moment, and each of their writes fails in turn.

`kill -9` strikes half of the time right before, right after or in the middle of a call that changes
a file, half after a random time. What was committed must be there, once and findable, and the same
command go on.

A call that fails does so for want of room, by a quota, a failing disk, or writes less than was
asked for. The command says so in one line and ends with 1, or did its work all the same; the store
is as before or further, and without the fault the same command works. Then disks that are really
full (where mounting is allowed), and a limit on the size of files.
"""

from __future__ import annotations

import errno
import os
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from .fault_injection import KILLS, Fault
from .fork_server import Ended, ForkServer
from .scenarios import BUILD, Scene, contents, copied, make_tree, scenes_here
from .trials import Stage, Tally, Trial

KINDS = (
    ("fail", errno.ENOSPC, True),
    ("fail", errno.EIO, False),
    ("fail", errno.EDQUOT, True),
    ("short", 0, False),
    ("fail", errno.ENOSPC, False),
    ("fail", errno.EIO, True),
)
"""How, with which error, whether from then on."""

_CRASHES = "Traceback", "a bug; please report", "Exception ignored", "Fatal Python error"
_FULL_TRIES = 12


def writes(
    seconds: float, count: int, seed: int, scratch: Path, *, trial_number: int | None = None
) -> dict[str, Any]:
    """Let each call of each command fail with one kind of failure after the other, until all have,
    or `seconds` are over, or there were `count` trials; or the trial of one number."""
    tally = Tally("failing writes", "each write, sync, rename of each command fails in turn", seed)
    with ForkServer(scratch / "server") as server:
        tree = make_tree(scratch / "base", server)
        stage = Stage(server, tree, scratch / "stage", seed)
        scenes, missing = scenes_here(server, scratch)
        tally.skipped += [f"{name}: this version has no such command" for name in missing]
        if trial_number is None:
            full_disks(tally, server, tree, scratch / "mount", seconds / 4)
            limited_files(tally, stage, scenes[0])
        beside = tally.tried
        lengths = {scene.name: stage.calls(scene, 0)[0] for scene in scenes}
        turns = [_turn(stage, scenes, lengths, turn) for turn in range(len(KINDS))]
        each = [one for turn in turns for one in turn]
        for number in tally.numbers(seconds, min(count, len(each)), trial_number):
            scene, fault = each[number]
            name = errno.errorcode.get(fault.error, "")
            tally.count("failures", f"{fault.how} {name}".strip())
            tally.take(replace(failed(stage, scene, fault), number=number))
        tally.figures["calls"] = Counter(lengths)
        if (done := tally.tried - beside) < len(each) and trial_number is None:
            left = f"{len(each) - done:,} of {len(each):,} calls and kinds of failure"
            tally.skipped.append(f"{left}: no time; each call fails once after {len(turns[0]):,}")
    return tally.told()


def _turn(
    stage: Stage, scenes: Sequence[Scene], lengths: dict[str, int], turn: int
) -> list[tuple[Scene, Fault]]:
    """Each call of each command once, in any order. Neighbouring calls fail in different ways, and
    each in all ways after all turns."""
    found = []
    for scene in scenes:
        for at in range(1, lengths[scene.name] + 1):
            how, error, sticky = KINDS[(at + turn) % len(KINDS)]
            found.append((scene, Fault(at, how, error, sticky)))
    stage.chance("turn", turn).shuffle(found)
    return found


def failed(stage: Stage, scene: Scene, fault: Fault) -> Trial:
    """One call fails. The tree is always the same, so that the calls are."""
    trial, ended = stage.struck(scene, 0, fault, watched=False)
    trial.problems += manners(ended)
    return trial


def manners(ended: Ended) -> list[str]:
    """What is wrong with how a command failed: it should do so with 1 and one line."""
    lines = ended.err.strip().splitlines()
    problems = [f"it says {word!r}: {ended.err[-500:]}" for word in _CRASHES if word in ended.err]
    if ended.code < 0:
        problems.append(f"killed by signal {-ended.code}")
    elif ended.code not in (0, 1):
        problems.append(f"exit {ended.code}")
    if ended.code and (len(lines) != 1 or not lines[0].startswith("tll-index: ")):
        problems.append(f"it does not fail with one line: {ended.err[-500:]!r}")
    return problems


def limited_files(tally: Tally, stage: Stage, scene: Scene) -> None:
    """No file may be larger than so many bytes (`ulimit -f`)."""
    for limit in (1000, 4096, 10_000, 20_000, 40_000, 60_000, 80_000, 120_000):
        trial, ended = stage.struck(scene, 0, None, file_limit=limit)
        trial.number, trial.fault = None, f"files of at most {limit} bytes"
        trial.problems += manners(ended)
        tally.count("failures", "ulimit -f")
        tally.take(trial)


def full_disks(tally: Tally, server: ForkServer, tree: Path, mount: Path, seconds: float) -> None:
    """A store on a small file system that is really full, or nearly."""
    for number in range(_FULL_TRIES):
        if not tally.lasts(seconds):
            return
        try:
            with small_disk(mount, 2 << 20):
                trial = _on_full_disk(server, tree, mount, number)
        except PermissionError as error:
            tally.skipped.append(f"full disks: {error}")
            return
        tally.count("failures", "a full tmpfs")
        tally.take(trial)


def _on_full_disk(server: ForkServer, tree: Path, mount: Path, number: int) -> Trial:
    here = copied(tree, mount / "tree", with_store=False)
    before = contents(here)
    filler = here.parent / "filler"
    free = os.statvfs(mount).f_bavail * os.statvfs(mount).f_frsize
    left = (0, 4096, 8192, 16_384, 24_576, 32_768, 49_152, 65_536, 98_304, 131_072)
    keep = left[number % len(left)]
    filler.write_bytes(bytes(max(0, free - keep - 4096)))
    scene = Scene("build", lambda tree, chance: ())
    stage = Stage(server, tree, mount.parent / "full", 0)
    trial = Trial(scene.name, None, f"{keep} bytes free on a tmpfs")
    ended = server.run(*BUILD, folder=here)
    trial.ended = ended.last or f"exit {ended.code}"
    trial.problems += manners(ended)
    stage.check(trial, here, set(), nothing_yet=True)
    filler.unlink()
    ended = server.run(*BUILD, folder=here)
    if ended.code:
        trial.problems.append(f"with room again, it fails: {ended.err}")
    stage.complete(trial, here, here / "store")
    if contents(here) != before:
        trial.problems.append("pictures were changed")
    return trial


@contextmanager
def small_disk(mount: Path, size: int) -> Iterator[None]:
    """A file system of `size` bytes, in memory.

    Raises:
        PermissionError: nothing can be mounted here.
    """
    mount.mkdir(parents=True, exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(mount)]
    try:
        made = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        raise PermissionError("there is no mount command") from None
    if made.returncode:
        raise PermissionError(f"nothing can be mounted here ({made.stderr.strip()})")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(mount)], check=True)


_LONGER = 1.1
"""Of the time that a command takes undisturbed: the latest kill."""


def kills(
    seconds: float, count: int, seed: int, scratch: Path, *, trial_number: int | None = None
) -> dict[str, Any]:
    """Kill `count` times, or as often as `seconds` allow; or the trial of one number."""
    tally = Tally("kills", "kill -9 at any moment of any command that writes", seed)
    with ForkServer(scratch / "server") as server:
        stage = Stage(server, make_tree(scratch / "base", server), scratch / "stage", seed)
        scenes, missing = scenes_here(server, scratch)
        tally.skipped += [f"{name}: this version has no such command" for name in missing]
        lengths = {scene.name: stage.calls(scene, 0) for scene in scenes}
        for number in tally.numbers(seconds, count, trial_number):
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
