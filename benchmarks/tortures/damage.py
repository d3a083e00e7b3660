"""Files of a store go bad, one at a time; then it is asked, looked at, built, repaired.

Damage is noticed, or harmless: never a wrong answer. What is derived is made again on its own; of
the rest `verify` speaks; after `repair`, or with a backup, all is right.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .harm import Others, harm
from .scenes import AGAIN, copied, make_lens_file, make_tree, picture
from .tally import Tally
from .trial import Stage, Trial, said
from .warm import AskedError, Ended, Warm
from .writes import manners

PATIENCE = 30.0
"""Seconds after which a command on a damaged store hangs."""

_TOLERANCE = 1e-4
"""Scores are sums of floats, in an order of the index's choice."""

_WAYS_OUT = "backup", "Is a directory"
"""What `repair` says where it can't."""

REBUILD = ("build", "photos", "--store", "store", "--batch-size", "4", "-q")

Answers = list[list[list[Any]]]


@dataclass(frozen=True)
class Ground:
    """A store that is well, and what is right about it."""

    tree: Path
    asks: Path
    """.npy: what is asked."""
    right: Answers
    before: Answers
    """The same of the store as it was before: right as well, where an old copy was put back."""
    shown: str
    """What `query --json` prints, for a picture of its own."""
    others: Others
    files: tuple[str, ...]


def run(
    seconds: float, count: int, seed: int, scratch: Path, *, only: int | None = None
) -> dict[str, Any]:
    """Do harm `count` times, or as often as `seconds` allow; `only` the trial of one number."""
    tally = Tally("damage", "files torn, cut, flipped, zeroed, lost, mixed up", seed)
    with Warm(scratch / "warm") as warm:
        grounds = [ground(warm, scratch / kind, kind) for kind in ("flat", "ivf")]
        stage = Stage(warm, grounds[0].tree, scratch / "stage", seed)
        commands = {
            name: warm.run(name, "--help", folder=scratch).code == 0
            for name in ("verify", "repair")
        }
        tally.skipped += [
            f"{name}: this version has no such command" for name, is_here in commands.items()
            if not is_here
        ]  # fmt: skip
        for number in tally.numbers(seconds, count, only):
            here = grounds[number % 2]
            tally.take(harmed(tally, stage, here, number, commands))
    return tally.told()


def ground(warm: Warm, folder: Path, kind: str) -> Ground:
    """A store with an index of this kind, a lens of its own, and some history."""
    more = ("--lens", str(make_lens_file(warm, folder)), "--index", kind)
    stranger = make_tree(folder / "stranger", warm, 9, first=500, more=more)
    tree = make_tree(folder / "tree", warm, more=more)
    shutil.copytree(tree / "store", older := folder / "older" / "store")
    asks = folder / "asks.npy"
    warm.ask("looks:vectors_of", store=str(tree / "store"), out=str(asks))
    before = warm.ask("looks:answers", store=str(tree / "store"), asks=str(asks))
    for path in sorted((tree / "photos").rglob("*.png"))[:3]:
        path.unlink()
    for number in range(5):
        picture(900 + number).save(tree / "photos" / f"late{number}.png")
    if (ended := warm.run(*AGAIN, folder=tree)).code:
        raise RuntimeError(said(ended))
    right = warm.ask("looks:answers", store=str(tree / "store"), asks=str(asks))
    shown = _query(warm, tree).out
    files = tuple(sorted(path.name for path in (tree / "store").iterdir()))
    others = Others(stranger / "store", older)
    return Ground(tree, asks, right, before, shown, others, files)


def harmed(
    tally: Tally, stage: Stage, here: Ground, number: int, commands: dict[str, bool]
) -> Trial:
    """Do harm to one file and see what comes of it."""
    warm, chance = stage.warm, stage.chance("harm", number)
    tree = copied(here.tree, stage.folder / "tree")
    name = chance.choices(here.files, [1 if "lock" in file else 6 for file in here.files])[0]
    what = harm(tree / "store" / name, chance, here.others)
    trial = Trial(name, number, f"{name}: {what}")
    tally.count("files", name)
    outcome = asked(trial, warm, tree, here)
    said_so = _command(trial, warm, tree, "info")
    trial.ended = outcome
    if commands["verify"]:
        found = _command(trial, warm, tree, "verify")
        if found == 0 and outcome == "noticed":
            trial.problems.append("verify finds nothing, but it can't be asked")
        said_so = found or said_so
    if outcome == "crash" or said_so < 0:
        tally.crashes += 1
    built = None
    if chance.random() < 0.5 or not commands["repair"]:
        built = _command(trial, warm, tree, *REBUILD)
        after = asked(trial, warm, tree, here, "after a build")
        if built == 0 and after == "before":
            trial.problems.append("after a build, answers are those of before")
        if built == 0 and after == "right":
            stage.complete(trial, tree, tree / "store")
            tally.count("outcome", f"{name}: {outcome}; a build mended it")
            return _kept(stage, trial, tree)
    if not commands["repair"]:
        tally.count("outcome", f"{name}: {outcome}; no build mended it")
        return _kept(stage, trial, tree)
    repaired = warm.run("repair", "--store", "store", folder=tree, patience=PATIENCE)
    _mannered(trial, "repair", repaired)
    if repaired.code == 1:
        if not any(word in repaired.err for word in _WAYS_OUT):
            trial.problems.append(f"repair names no way out: {said(repaired)}")
        tally.count("outcome", f"{name}: {outcome}; only a backup helps")
        return _kept(stage, trial, tree)
    if _command(trial, warm, tree, *REBUILD) != 0:
        trial.problems.append("after a repair no build works")
    if (after := asked(trial, warm, tree, here, "after a repair")) != "right":
        trial.problems.append(f"after a repair and a build: {after}")
    stage.complete(trial, tree, tree / "store")
    tally.count("outcome", f"{name}: {outcome}; repair mended it")
    return _kept(stage, trial, tree)


def _kept(stage: Stage, trial: Trial, tree: Path) -> Trial:
    if not trial.survived:
        stage.keep(trial, tree)
    return trial


def asked(trial: Trial, warm: Warm, tree: Path, here: Ground, when: str = "") -> str:
    """Ask the store: 'right', 'before' (as before the last build), 'noticed', 'crash' or 'wrong',
    which the trial remembers."""
    try:
        child = warm.begin("looks:answers", store=str(tree / "store"), asks=str(here.asks))
        found = warm.answer(child, PATIENCE)
    except AskedError as error:
        if "killed by signal" in str(error):
            return "crash"
        trial.problems.append(f"asked {when}: {error}")
        return "noticed"
    if isinstance(found, dict):
        outcome = "noticed"
    elif same(found, _moved(here.right, here.tree, tree)):
        outcome = "right"
    elif same(found, _moved(here.before, here.tree, tree)):
        outcome = "before"
    else:
        trial.wrong.append(f"asked {when}: {different(found, _moved(here.right, here.tree, tree))}")
        return "wrong"
    shown = _query(warm, tree)
    _mannered(trial, f"query {when}", shown)
    wanted = here.shown.replace(str(here.tree), str(tree))
    if shown.code == 0 and outcome == "right" and not _same_lines(shown.out, wanted):
        trial.wrong.append(f"query {when} shows {shown.out[:300]}, not {wanted[:300]}")
    if shown.code == 1 and outcome == "right":
        outcome = "noticed"  # such as a lens, which only questions with pictures need
    return outcome


def _query(warm: Warm, tree: Path) -> Ended:
    picture = sorted((tree / "photos").rglob("*.png"))[0]
    return warm.run("query", picture, "--store", "store", "--json", folder=tree, patience=PATIENCE)


def _same_lines(one: str, other: str) -> bool:
    hits = [[json.loads(line) for line in text.splitlines()] for text in (one, other)]
    told = [[[[hit["path"]], hit["score"]] for hit in some] for some in hits]
    return same([told[0]], [told[1]])


def _command(trial: Trial, warm: Warm, tree: Path, name: str, *arguments: str) -> int:
    ended = warm.run(name, *(arguments or ("--store", "store")), folder=tree, patience=PATIENCE)
    _mannered(trial, name, ended)
    return ended.code


def _mannered(trial: Trial, name: str, ended: Ended) -> None:
    if ended.hung:
        trial.problems.append(f"{name} hangs")
    elif ended.code >= 0 and not (name == "verify" and ended.code == 1 and ended.out):
        trial.problems += [f"{name}: {problem}" for problem in manners(ended)]


def _moved(answers: Answers, old: Path, new: Path) -> Answers:
    return [
        [[[path.replace(str(old), str(new), 1) for path in paths], score] for paths, score in hits]
        for hits in answers
    ]


def same(one: Answers, other: Answers) -> bool:
    """The same pictures in the same order with the same scores."""
    return len(one) == len(other) and all(
        len(a) == len(b)
        and all(x[0] == y[0] and abs(x[1] - y[1]) < _TOLERANCE for x, y in zip(a, b, strict=True))
        for a, b in zip(one, other, strict=True)
    )


def different(found: Answers, right: Answers) -> str:
    """The first answer that is not right."""
    for number, (a, b) in enumerate(zip(found, right, strict=False)):
        if not same([a], [b]):
            return f"question {number}: {a[:3]}, right is {b[:3]}"
    return f"{len(found)} answers to {len(right)} questions"
