"""One trial: a tree, a command, a fault; then what must hold is held against it, and settled."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .looks import states
from .scenes import Scene, contents, copied
from .shim import Fault
from .warm import AskedError, Ended, Warm

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

    def __init__(self, warm: Warm, tree: Path, folder: Path, seed: int) -> None:
        """`tree`: with a store, to be copied."""
        self.warm = warm
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
        ended = self.warm.run(*command, folder=tree)
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
            more: of `Warm.start`.
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
            onlooker = self.warm.begin(
                "looks:watch", store=str(store), seen=str(seen), ready=str(ready)
            )
        ended = self.warm.run(*command, folder=tree, fault=fault, kill_after=kill_after, **more)
        if onlooker is not None:
            self.warm.kill(onlooker)
        trial.struck, trial.ended = ended.struck.what, said(ended)
        if ended.hung:
            trial.problems.append("it hangs")
        committed = before.union(*states(seen))
        self.look(trial, tree, committed, nothing_yet=not committed)
        self.settle(trial, scene, command, tree)
        if not trial.survived:
            self.keep(trial, tree)
        return trial, ended

    def look(
        self, trial: Trial, tree: Path, committed: set[str], *, nothing_yet: bool = False
    ) -> None:
        """What was committed, and is on the disk still, is in the store; and the store is sound."""
        try:
            found = self.warm.ask("looks:examine", store=str(tree / "store"))
        except AskedError as error:
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
            ended = self.warm.run(*step, folder=tree)
            if ended.code and not _was_done(step, ended):
                trial.problems.append(f"afterwards {' '.join(step[:2])} fails: {said(ended)}")
        self.complete(trial, tree, tree / "store")
        if scene.name == "backup":
            self.complete(trial, tree, tree / "copy")
        if scene.name.startswith("index"):
            try:
                kind = self.warm.ask("looks:indexed", store=str(tree / "store"))["kind"]
            except (AskedError, KeyError) as error:
                kind = str(error)
            wanted = scene.name.split()[1]
            if not kind.lower().startswith(wanted):
                trial.problems.append(f"the index is {kind or 'none'}, {wanted} was asked for")

    def complete(self, trial: Trial, tree: Path, store: Path) -> None:
        """The store holds exactly what is on the disk, and its index is whole."""
        try:
            found = self.warm.ask("looks:examine", store=str(store))
            index = self.warm.ask("looks:indexed", store=str(store))
        except AskedError as error:
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
