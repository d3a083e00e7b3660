"""Files of a store go bad, one at a time; then it is searched, looked at, built, repaired.

They are torn, cut, bits flipped, zeroed, lost, mixed up with others. Damage is noticed, or
harmless: never a wrong result. What is derived is made again on its own; of the rest `verify`
speaks; after `repair`, or with a backup, all is right.
"""

from __future__ import annotations

import json
import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .faults import manners
from .fork_server import ChildError, Ended, ForkServer
from .scenarios import AGAIN, copied, make_lens_file, make_tree, picture
from .trials import Stage, Tally, Trial, said

SECTOR, PAGE = 512, 4096


@dataclass(frozen=True)
class Others:
    """Files of the same name that are not this store's of now."""

    unrelated: Path
    """A folder with the store of other pictures."""
    older: Path
    """A folder with this store as it was before."""


Way = Callable[[Path, random.Random, Others], str]
"""Does harm to a file, by chance, and says what, in a few words."""


def harm(file: Path, chance: random.Random, others: Others) -> str:
    """Do one of all kinds of harm to a file, and say what."""
    return chance.choice(WAYS)(file, chance, others)


def _cut(file: Path, chance: random.Random, others: Others) -> str:
    size = file.stat().st_size
    left = chance.choice((0, 1, size // 2, size - 1, chance.randrange(size + 1)))
    if chance.random() < 0.3:
        left = left // PAGE * PAGE
    os.truncate(file, max(0, left))
    return f"cut to {max(0, left)} of {size} bytes"


def _flip(file: Path, chance: random.Random, others: Others) -> str:
    data = bytearray(file.read_bytes())
    if not data:
        return _append(file, chance, others)
    bits = [chance.randrange(8 * len(data)) for _ in range(chance.choice((1, 1, 1, 8)))]
    for bit in bits:
        data[bit // 8] ^= 1 << bit % 8
    _overwrite(file, data)
    return f"bits {', '.join(map(str, bits))} flipped"


def _near_start(file: Path, chance: random.Random, others: Others) -> str:
    """Where what a file says of itself is."""
    data = bytearray(file.read_bytes())
    if not data:
        return _append(file, chance, others)
    at = chance.randrange(min(len(data), 2 * PAGE if chance.random() < 0.5 else 200))
    data[at] = chance.randrange(256)
    _overwrite(file, data)
    return f"byte {at} is {data[at]}"


def _zeros(file: Path, chance: random.Random, others: Others) -> str:
    return _fill(file, chance, lambda length: bytes(length), "zeroed")


def _noise(file: Path, chance: random.Random, others: Others) -> str:
    return _fill(file, chance, chance.randbytes, "is noise")


def _fill(file: Path, chance: random.Random, what: Callable[[int], bytes], word: str) -> str:
    data = bytearray(file.read_bytes())
    length = chance.choice((16, SECTOR, PAGE, 3 * PAGE, len(data)))
    step = max(1, min(length, SECTOR))
    at = chance.randrange(max(1, len(data) - length + 1)) // step * step
    part = what(len(data[at : at + length]))
    data[at : at + length] = part
    _overwrite(file, data)
    return f"{len(part)} bytes from {at} on {word}"


def _torn(file: Path, chance: random.Random, others: Others) -> str:
    """Its end is that of an older one, as if a write had stopped half-way."""
    old, data = (others.older / file.name), bytearray(file.read_bytes())
    if not old.is_file():
        return _zeros(file, chance, others)
    at = chance.randrange(len(data) + 1) // SECTOR * SECTOR
    _overwrite(file, bytes(data[:at]) + old.read_bytes()[at:])
    return f"from byte {at} on as it was before"


def _misplaced(file: Path, chance: random.Random, others: Others) -> str:
    """One page is where another should be."""
    data = bytearray(file.read_bytes())
    pages = len(data) // PAGE
    if pages < 2:
        return _flip(file, chance, others)
    here, there = chance.sample(range(pages), 2)
    data[there * PAGE : (there + 1) * PAGE] = data[here * PAGE : (here + 1) * PAGE]
    _overwrite(file, data)
    return f"page {there} is a copy of page {here}"


def _append(file: Path, chance: random.Random, others: Others) -> str:
    with file.open("ab") as out:
        out.write(part := chance.randbytes(chance.choice((1, 100, PAGE))))
    return f"{len(part)} bytes more"


def _garbage(file: Path, chance: random.Random, others: Others) -> str:
    size = chance.choice((0, 10, file.stat().st_size))
    _overwrite(file, chance.randbytes(size))
    return f"{size} bytes of garbage"


def _lost(file: Path, chance: random.Random, others: Others) -> str:
    file.unlink()
    return "lost"


def _folder(file: Path, chance: random.Random, others: Others) -> str:
    file.unlink()
    file.mkdir()
    return "a folder"


def _another_stores(file: Path, chance: random.Random, others: Others) -> str:
    return _replaced(file, others.unrelated / file.name, "that of another store")


def _older(file: Path, chance: random.Random, others: Others) -> str:
    return _replaced(file, others.older / file.name, "an older copy of itself")


def _replaced(file: Path, other: Path, what: str) -> str:
    if not other.is_file():
        file.unlink()
        return "lost"
    shutil.copy2(other, file)
    return what


def _overwrite(file: Path, data: bytes | bytearray) -> None:
    file.write_bytes(bytes(data))


WAYS: tuple[Way, ...] = (
    *(_cut, _cut, _flip, _flip, _flip, _flip, _near_start, _near_start, _zeros, _noise),
    *(_torn, _misplaced, _append, _garbage, _lost, _folder, _another_stores, _older),
)
"""Bits flip most often."""


PATIENCE = 30.0
"""Seconds after which a command on a damaged store hangs."""

_TOLERANCE = 1e-4
"""Scores are sums of floats, in an order of the index's choice."""

_WAYS_OUT = "backup", "Is a directory"
"""What `repair` says where it can't."""

REBUILD = ("build", "photos", "--store", "store", "--batch-size", "4", "-q")

Hits = list[list[list[Any]]]


@dataclass(frozen=True)
class Ground:
    """A store that is well, and what is right about it."""

    tree: Path
    queries: Path
    """.npy: what is asked."""
    right: Hits
    before: Hits
    """The same of the store as it was before: right as well, where an old copy was put back."""
    shown: str
    """What `query --json` prints, for a picture of its own."""
    others: Others
    files: tuple[str, ...]


def run(
    seconds: float, count: int, seed: int, scratch: Path, *, trial_number: int | None = None
) -> dict[str, Any]:
    """Do harm `count` times, or as often as `seconds` allow; or do the trial of one number."""
    tally = Tally("damage", "files torn, cut, flipped, zeroed, lost, mixed up", seed)
    with ForkServer(scratch / "server") as server:
        grounds = [ground(server, scratch / kind, kind) for kind in ("flat", "ivf")]
        stage = Stage(server, grounds[0].tree, scratch / "stage", seed)
        commands = {
            name: server.run(name, "--help", folder=scratch).code == 0
            for name in ("verify", "repair")
        }
        tally.skipped += [
            f"{name}: this version has no such command" for name, is_here in commands.items()
            if not is_here
        ]  # fmt: skip
        for number in tally.numbers(seconds, count, trial_number):
            here = grounds[number % 2]
            tally.take(harmed(tally, stage, here, number, commands))
    return tally.told()


def ground(server: ForkServer, folder: Path, kind: str) -> Ground:
    """A store with an index of this kind, a lens of its own, and some history."""
    more = ("--lens", str(make_lens_file(server, folder)), "--index", kind)
    unrelated = make_tree(folder / "unrelated", server, 9, first=500, more=more)
    tree = make_tree(folder / "tree", server, more=more)
    shutil.copytree(tree / "store", older := folder / "older" / "store")
    queries = folder / "queries.npy"
    server.call("store_checks:vectors_of", store=str(tree / "store"), out=str(queries))
    before = server.call("store_checks:search_all", store=str(tree / "store"), queries=str(queries))
    for path in sorted((tree / "photos").rglob("*.png"))[:3]:
        path.unlink()
    for number in range(5):
        picture(900 + number).save(tree / "photos" / f"late{number}.png")
    if (ended := server.run(*AGAIN, folder=tree)).code:
        raise RuntimeError(said(ended))
    right = server.call("store_checks:search_all", store=str(tree / "store"), queries=str(queries))
    shown = _query(server, tree).out
    files = tuple(sorted(path.name for path in (tree / "store").iterdir()))
    others = Others(unrelated / "store", older)
    return Ground(tree, queries, right, before, shown, others, files)


def harmed(
    tally: Tally, stage: Stage, here: Ground, number: int, commands: dict[str, bool]
) -> Trial:
    """Do harm to one file and see what comes of it."""
    server, chance = stage.server, stage.chance("harm", number)
    tree = copied(here.tree, stage.folder / "tree")
    name = chance.choices(here.files, [1 if "lock" in file else 6 for file in here.files])[0]
    what = harm(tree / "store" / name, chance, here.others)
    trial = Trial(name, number, f"{name}: {what}")
    tally.count("files", name)
    outcome = queried(trial, server, tree, here)
    said_so = _command(trial, server, tree, "info")
    trial.ended = outcome
    if commands["verify"]:
        found = _command(trial, server, tree, "verify")
        if found == 0 and outcome == "noticed":
            trial.problems.append("verify finds nothing, but it can't be asked")
        said_so = found or said_so
    if outcome == "crash" or said_so < 0:
        tally.crashes += 1
    built = None
    if chance.random() < 0.5 or not commands["repair"]:
        built = _command(trial, server, tree, *REBUILD)
        after = queried(trial, server, tree, here, "after a build")
        if built == 0 and after == "before":
            trial.problems.append("after a build, answers are those of before")
        if built == 0 and after == "right":
            stage.complete(trial, tree, tree / "store")
            tally.count("outcome", f"{name}: {outcome}; a build mended it")
            return _kept(stage, trial, tree)
    if not commands["repair"]:
        tally.count("outcome", f"{name}: {outcome}; no build mended it")
        return _kept(stage, trial, tree)
    repaired = server.run("repair", "--store", "store", folder=tree, patience=PATIENCE)
    _mannered(trial, "repair", repaired)
    if repaired.code == 1:
        if not any(word in repaired.err for word in _WAYS_OUT):
            trial.problems.append(f"repair names no way out: {said(repaired)}")
        tally.count("outcome", f"{name}: {outcome}; only a backup helps")
        return _kept(stage, trial, tree)
    if _command(trial, server, tree, *REBUILD) != 0:
        trial.problems.append("after a repair no build works")
    if (after := queried(trial, server, tree, here, "after a repair")) != "right":
        trial.problems.append(f"after a repair and a build: {after}")
    stage.complete(trial, tree, tree / "store")
    tally.count("outcome", f"{name}: {outcome}; repair mended it")
    return _kept(stage, trial, tree)


def _kept(stage: Stage, trial: Trial, tree: Path) -> Trial:
    if not trial.survived:
        stage.keep(trial, tree)
    return trial


def queried(trial: Trial, server: ForkServer, tree: Path, here: Ground, when: str = "") -> str:
    """Ask the store: 'right', 'before' (as before the last build), 'noticed', 'crash' or 'wrong',
    which the trial remembers."""
    try:
        child = server.begin(
            "store_checks:search_all", store=str(tree / "store"), queries=str(here.queries)
        )
        found = server.result(child, PATIENCE)
    except ChildError as error:
        if "killed by signal" in str(error):
            return "crash"
        trial.problems.append(f"queried {when}: {error}")
        return "noticed"
    if isinstance(found, dict):
        outcome = "noticed"
    elif same(found, _moved(here.right, here.tree, tree)):
        outcome = "right"
    elif same(found, _moved(here.before, here.tree, tree)):
        outcome = "before"
    else:
        trial.wrong.append(
            f"queried {when}: {different(found, _moved(here.right, here.tree, tree))}"
        )
        return "wrong"
    shown = _query(server, tree)
    _mannered(trial, f"query {when}", shown)
    wanted = here.shown.replace(str(here.tree), str(tree))
    if shown.code == 0 and outcome == "right" and not _same_lines(shown.out, wanted):
        trial.wrong.append(f"query {when} shows {shown.out[:300]}, not {wanted[:300]}")
    if shown.code == 1 and outcome == "right":
        outcome = "noticed"  # such as a lens, which only questions with pictures need
    return outcome


def _query(server: ForkServer, tree: Path) -> Ended:
    picture = sorted((tree / "photos").rglob("*.png"))[0]
    return server.run(
        "query", picture, "--store", "store", "--json", folder=tree, patience=PATIENCE
    )


def _same_lines(one: str, other: str) -> bool:
    hits = [[json.loads(line) for line in text.splitlines()] for text in (one, other)]
    told = [[[[hit["path"]], hit["score"]] for hit in some] for some in hits]
    return same([told[0]], [told[1]])


def _command(trial: Trial, server: ForkServer, tree: Path, name: str, *arguments: str) -> int:
    ended = server.run(name, *(arguments or ("--store", "store")), folder=tree, patience=PATIENCE)
    _mannered(trial, name, ended)
    return ended.code


def _mannered(trial: Trial, name: str, ended: Ended) -> None:
    if ended.hung:
        trial.problems.append(f"{name} hangs")
    elif ended.code >= 0 and not (name == "verify" and ended.code == 1 and ended.out):
        trial.problems += [f"{name}: {problem}" for problem in manners(ended)]


def _moved(found: Hits, old: Path, new: Path) -> Hits:
    return [
        [[[path.replace(str(old), str(new), 1) for path in paths], score] for paths, score in hits]
        for hits in found
    ]


def same(one: Hits, other: Hits) -> bool:
    """The same pictures in the same order with the same scores."""
    return len(one) == len(other) and all(
        len(a) == len(b)
        and all(x[0] == y[0] and abs(x[1] - y[1]) < _TOLERANCE for x, y in zip(a, b, strict=True))
        for a, b in zip(one, other, strict=True)
    )


def different(found: Hits, right: Hits) -> str:
    """The first answer that is not right."""
    for number, (a, b) in enumerate(zip(found, right, strict=False)):
        if not same([a], [b]):
            return f"question {number}: {a[:3]}, right is {b[:3]}"
    return f"{len(found)} answers to {len(right)} questions"
