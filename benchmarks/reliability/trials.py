"""One trial: a tree, a command, a fault; then what must hold is held against it, and settled. A
tally counts trials, and tells whatever went wrong so that it can be done again."""

from __future__ import annotations

import json
import random
import shutil
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .fault_injection import Fault
from .fork_server import ChildError, Ended, ForkServer
from .scenarios import Scene, contents, copied
from .store_checks import states

TREE_SEED = "a tree of"
"""So that each trial's tree can be made again."""


@dataclass
class Trial:
    """One try, and what was found wrong."""

    scene: str
    number: int | None
    """None where it is no trial by number."""
    fault: str
    ended: str = ""
    """How the command ended."""
    struck: str = ""
    """The call that the fault struck."""
    lost: list[str] = field(default_factory=list)
    """Digests of pictures that were committed, should be there, and are not."""
    wrong: list[str] = field(default_factory=list)
    """Answers that are not what they should be."""
    problems: list[str] = field(default_factory=list)
    """Anything else that must not be."""

    @property
    def survived(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.lost or self.wrong or self.problems)

    def told(self) -> dict[str, Any]:
        """JSON."""
        return {key: value for key, value in vars(self).items() if value or key == "number"}


class Stage:
    """Where trials of one seed take place."""

    def __init__(self, server: ForkServer, tree: Path, folder: Path, seed: int) -> None:
        """`tree`: with a store, to be copied."""
        self.server = server
        self.seed = seed
        self.tree = tree
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def chance(self, *what: object) -> random.Random:
        """Chance of one kind, the same for the same seed."""
        return random.Random(" ".join(map(str, (self.seed, *what))))

    def prepare(self, scene: Scene, number: int) -> tuple[Path, tuple[str, ...], set[str]]:
        """A new tree, the command, and the digests that the store holds."""
        tree = copied(self.tree, self.folder / "tree", with_store=scene.has_store)
        before = set(contents(tree)) if scene.has_store else set()
        command = scene.arrange(tree, self.chance(TREE_SEED, scene.name, number))
        return tree, command, before

    def calls(self, scene: Scene, number: int) -> tuple[int, float]:
        """How many calls of the command change the tree, and how long it takes, undisturbed.

        Raises:
            RuntimeError: it fails.
        """
        tree, command, _ = self.prepare(scene, number)
        ended = self.server.run(*command, folder=tree)
        if ended.code:
            raise RuntimeError(f"{scene.name} fails undisturbed: {ended.err}")
        return ended.struck.calls, ended.seconds

    def struck(
        self,
        scene: Scene,
        number: int,
        fault: Fault | None,
        kill_after: float = 0.0,
        watched: bool = True,
        **more: Any,
    ) -> tuple[Trial, Ended]:
        """Run the scene's command with a fault and look at what is left, then settle it.

        Args:
            kill_after: seconds after which it is killed, instead of the fault.
            watched: whether somebody looks on and remembers what was committed.
            more: of `ForkServer.start`.
        """
        tree, command, before = self.prepare(scene, number)
        what = str(fault) if fault else f"kill after {kill_after * 1000:.0f} ms"
        trial = Trial(scene.name, number, what)
        store, seen = tree / "store", self.folder / "seen"
        seen.unlink(missing_ok=True)
        onlooker = None
        if watched:
            ready = self.folder / "ready"
            ready.unlink(missing_ok=True)
            onlooker = self.server.begin(
                "store_checks:watch", store=str(store), seen=str(seen), ready=str(ready)
            )
        ended = self.server.run(*command, folder=tree, fault=fault, kill_after=kill_after, **more)
        if onlooker is not None:
            self.server.kill(onlooker)
        trial.struck, trial.ended = ended.struck.what, said(ended)
        if ended.hung:
            trial.problems.append("it hangs")
        committed = before.union(*states(seen))
        self.check(trial, tree, committed, nothing_yet=not committed)
        self.settle(trial, scene, command, tree)
        if not trial.survived:
            self.keep(trial, tree)
        return trial, ended

    def check(
        self, trial: Trial, tree: Path, committed: set[str], *, nothing_yet: bool = False
    ) -> None:
        """What was committed, and is on the disk still, is in the store; and the store is sound."""
        try:
            found = self.server.call("store_checks:examine", store=str(tree / "store"))
        except ChildError as error:
            trial.problems.append(f"looking at the store: {error}")
            return
        if "error" in found:
            if found["error"] == "NoStoreError" and nothing_yet:
                return
            # A store without store.json is what `repair` is there for.
            if trial.scene == "repair" and found["error"] in ("StoreDamagedError", "NoStoreError"):
                return
            trial.problems.append(f"it can't be opened: {found['message']}")
            trial.lost += sorted(committed)
            return
        trial.problems += _but_unsettled(found["problems"])
        here = contents(tree)
        trial.lost += sorted((committed & here.keys()) - found["images"].keys())

    def settle(self, trial: Trial, scene: Scene, command: Sequence[str], tree: Path) -> None:
        """The same command works now, and after it and a build all is as on the disk."""
        steps = [scene.settles] if command[0] == "build" else [tuple(command), scene.settles]
        for step in steps:
            ended = self.server.run(*step, folder=tree)
            if ended.code and not _was_done(step, ended):
                trial.problems.append(f"afterwards {' '.join(step[:2])} fails: {said(ended)}")
        self.complete(trial, tree, tree / "store")
        if scene.name == "backup":
            self.complete(trial, tree, tree / "copy")
        if scene.name.startswith("index"):
            try:
                kind = self.server.call("store_checks:indexed", store=str(tree / "store"))["kind"]
            except (ChildError, KeyError) as error:
                kind = str(error)
            wanted = scene.name.split()[1]
            if not kind.lower().startswith(wanted):
                trial.problems.append(f"the index is {kind or 'none'}, {wanted} was asked for")

    def complete(self, trial: Trial, tree: Path, store: Path) -> None:
        """The store holds exactly what is on the disk, and its index is whole."""
        try:
            found = self.server.call("store_checks:examine", store=str(store))
            index = self.server.call("store_checks:indexed", store=str(store))
        except ChildError as error:
            trial.problems.append(f"looking at {store.name} afterwards: {error}")
            return
        if "error" in found:
            trial.problems.append(f"afterwards {store.name} can't be opened: {found['message']}")
            return
        trial.problems += [f"afterwards: {problem}" for problem in found["problems"]]
        here, images = contents(tree), found["images"]
        trial.lost += sorted(here.keys() - images.keys())
        if more := sorted(images.keys() - here.keys()):
            trial.problems.append(f"afterwards {len(more)} images that are on no disk: {more[:3]}")
        for digest in here.keys() & images.keys():
            if here[digest] != images[digest]:
                trial.problems.append(f"afterwards paths are {images[digest]}, not {here[digest]}")
        if not index.get("covers") and images:
            trial.problems.append(f"afterwards the index does not cover the store: {index}")

    def keep(self, trial: Trial, tree: Path) -> None:
        """What went wrong stays to be looked at."""
        kept = self.folder / "failed" / f"{trial.scene}-{trial.number}".replace(" ", "-")
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(tree, kept)
        (kept / "trial.json").write_text(json.dumps(trial.told(), indent=2))


def _but_unsettled(problems: Sequence[str]) -> list[str]:
    """Between two commands the index may be behind or missing: queries make up for it. And what
    became of the pictures is for a build to find out."""
    return [one for one in problems if not one.startswith(("verify: index", "verify: pictures"))]


def _was_done(step: Sequence[str], ended: Ended) -> bool:
    """Whether a command fails only since it was done before."""
    done = {"forget": "is not indexed", "backup": "is there already"}
    return step[0] in done and done[step[0]] in ended.err


def said(ended: Ended) -> str:
    """How it ended, in a line."""
    how = f"killed by signal {-ended.code}" if ended.code < 0 else f"exit {ended.code}"
    return f"{how}: {ended.last}" if ended.last else how


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
    wrong_results: int = 0
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
        self.wrong_results += len(trial.wrong)
        self.count("scenes", trial.scene)
        if not trial.survived:
            self.count("scenes that failed", trial.scene)
            if len(self.failures) < _TOLD:
                self.failures.append(trial.told())

    def lasts(self, seconds: float) -> bool:
        """Whether there is time for more."""
        return time.monotonic() - self.started < seconds

    def numbers(self, seconds: float, count: int, trial_number: int | None = None) -> Iterator[int]:
        """Numbers of trials while there is time and so many are not done; or one alone."""
        if trial_number is not None:
            yield trial_number
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
            "wrong_answers": self.wrong_results,
            "crashes": self.crashes,
            "seconds": round(time.monotonic() - self.started, 1),
            "skipped": self.skipped,
            "failures": self.failures,
            "figures": figures,
        }
