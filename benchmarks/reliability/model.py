"""A week's use, compressed: random things happen to a folder of pictures and to its store, and then
the store must be what a simple model says. The model is a dictionary and brute force."""

from __future__ import annotations

import hashlib
import importlib
import os
import random
import shutil
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

import numpy as np

import tll_index
from tll_index import Recipe, Store, build
from tll_index.core.config import load_settings
from tll_index.core.contracts import UnitVectors
from tll_index.core.errors import TllError
from tll_index.core.progress import Progress
from tll_index.engine.images.decode import decode
from tll_index.engine.lens.embedder import load_embedder
from tll_index.indexer.scan.walk import FileState
from tll_index.indexer.vector_index.faiss_file import load

from ..harness import ROOT
from .picture_tree import Tree

TINY = Recipe(backbone="tiny", lens="none")

_CLOSE = 3e-6
"""Scores are rounded to six decimals; two batch sizes differ in the seventh."""


class Known(NamedTuple):
    """What the store should know of a path."""

    sha256: str
    """Of the picture; empty where it can't be used."""
    state: FileState | None
    """As it was recorded; None where the next build looks at it whatever its state."""


class WrongError(AssertionError):
    """The store is not what the model says."""


class _Stop(Progress):
    """Ctrl-C when it hears something for the n-th time."""

    def __init__(self, after: int) -> None:
        self._left = after

    def _heard(self, *_: object, **__: object) -> None:
        self._left -= 1
        if self._left < 0:
            raise KeyboardInterrupt

    start = advance = note = _heard


class _Signal:
    """Ctrl-C as our code enters a function for the n-th time."""

    def __init__(self, after: int) -> None:
        self._left = after
        self._ours = os.path.dirname(os.path.abspath(tll_index.__file__))

    def __enter__(self) -> None:
        sys.setprofile(self._see)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(self._ours):
            self._left -= 1
            if self._left == 0:
                sys.setprofile(None)
                signal.raise_signal(signal.SIGINT)


class World(Tree):
    """A folder, its store, and the model of both; operations are as those of the folder."""

    def __init__(self, folder: Path) -> None:
        """`folder`: empty; the backbone "tiny" must be registered.

        Raises, as do operations:
            WrongError
        """
        super().__init__(folder / "photos")
        self.store = folder / "store"
        self._scratch = folder
        self.known: dict[Path, Known] = {}
        self.counts: Counter[str] = Counter()
        self.checks: Counter[str] = Counter()
        self._settings = load_settings(batch_size=4, workers=1)
        self._embedder = load_embedder("tiny", self._settings, lens="none")
        self._vectors: dict[str, UnitVectors] = {}
        self._opened: Store | None = None
        self.build(0, 0, 0)

    def close(self) -> None:
        """Let go of the store."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    # -- the store ---------------------------------------------------------------

    def build(self, a: int, b: int, c: int) -> None:
        """A build; now and then one that reads everything."""
        checksum = a % 5 == 1
        report = self._build(checksum=checksum)
        wanted = self._wanted(checksum)
        self._require(not report.stopped, "stopped on its own")
        self._take(wanted)
        self._is_right("after a build")
        self._is_verified()
        bad = sum(not known.sha256 for known in wanted.values())
        self._require(len(report.skipped) == bad, f"{len(report.skipped)} skipped, not {bad}")
        self._index_is_whole()

    def build_stopped(self, a: int, b: int, c: int) -> None:
        """A build, and Ctrl-C at some moment of it."""
        before, wanted = dict(self.known), self._wanted(False)
        try:
            if a % 2:
                report = self._build(progress=_Stop(b % 8))
            else:
                with _Signal(1 + b % 3000):
                    report = self._build()
            self.counts["build stopped"] += report.stopped
        except KeyboardInterrupt:
            self.counts["build stopped"] += 1
        found = self._catalog()
        for path, known in found.items():
            legal = [one.sha256 for one in (before.get(path), wanted.get(path)) if one]
            self._require(known.sha256 in legal, f"{path} is of no known content")
        for path, known in wanted.items():
            kept = path in found or path not in before or not before[path].sha256
            self._require(kept or not known.sha256, f"{path} was lost by a build cut short")
        self.known = found
        self._is_right("after a build cut short")
        self._is_verified()

    def dry_run(self, a: int, b: int, c: int) -> None:
        """Says what a build would do, and does nothing."""
        self._build(dry_run=True)
        self._is_right("after a dry run")

    def forget(self, a: int, b: int, c: int) -> None:
        """Some of the pictures, by file or by folder."""
        if not self.known or b % 2:
            return
        path = sorted(self.known)[a % len(self.known)]
        if c % 4 == 0 and path.parent != self.root:
            path = path.parent
        tll_index.forget([path], store=self.store, settings=self._settings)
        self.known = {
            one: known
            for one, known in self.known.items()
            if one != path and path not in one.parents
        }
        self._is_right("after a forget")
        self._is_verified()

    def repair(self, a: int, b: int, c: int) -> None:
        """Of a store that is whole, but perhaps for its index."""
        lost = tll_index.repair(self.store, settings=self._settings).lost
        self._require(not lost, f"repair lost {lost}")
        self._is_right("after a repair")
        self._is_verified()

    def backup(self, a: int, b: int, c: int) -> None:
        """A copy is made, opened, and compared."""
        copy = self._scratch / "copy"
        tll_index.backup(copy, store=self.store, settings=self._settings)
        try:
            with Store.open(copy, settings=self._settings) as opened:
                self._require(self._read(opened).keys() == self.known.keys(), "the copy differs")
                self._check_query(opened, a)
        finally:
            shutil.rmtree(copy)

    def spoil_index(self, a: int, b: int, c: int) -> None:
        """The index is lost, cut off, or a byte of it is another."""
        path = self.store / "vectors.faiss"
        if not path.is_file():
            return
        data = bytearray(path.read_bytes())
        path.unlink()
        if a % 3 and len(data):
            data[b % len(data)] ^= 1 + c % 255
            path.write_bytes(data if a % 3 == 1 else data[: b % len(data)])

    def reopen(self, a: int, b: int, c: int) -> None:
        """The store that answers is closed and opened."""
        self.close()
        self._is_right("after it was opened again")

    def query(self, a: int, b: int, c: int) -> None:
        """A question, to the store that was opened some time ago."""
        self._check_query(self._store(), a)

    # -- what must hold ----------------------------------------------------------

    def _build(self, **options: Any) -> tll_index.BuildReport:
        return build([self.root], store=self.store, recipe=TINY, settings=self._settings, **options)

    def _store(self) -> Store:
        if self._opened is None:
            self._opened = Store.open(self.store, settings=self._settings)
        return self._opened

    def _wanted(self, checksum: bool) -> dict[Path, Known]:
        """What a build that runs to its end must make of what is known, and of the disk."""
        wanted = {}
        for path in self.files():
            status = path.stat()
            state = FileState(status.st_size, status.st_mtime_ns)
            before = self.known.get(path)
            if before is not None and before.state == state and not checksum:
                wanted[path] = before
            else:
                sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
                wanted[path] = Known(sha256 if sha256 in self.usable else "", state)
        return wanted

    def _take(self, wanted: dict[Path, Known]) -> None:
        """Believe the model, after comparing states: which were doubtful, only the store knows."""
        found = self._catalog()
        for path, known in wanted.items():
            self._require(path in found, f"{path} is missing")
            self._require(found[path].state in (known.state, None), f"{path}: another state")
            wanted[path] = known._replace(state=found[path].state)
        self.known = wanted

    def _catalog(self) -> dict[Path, Known]:
        with Store.open(self.store, settings=self._settings) as opened:
            return self._read(opened)

    def _read(self, store: Store) -> dict[Path, Known]:
        def known(sha256: str, state: FileState) -> Known:
            is_doubtful = state == state.doubtful
            return Known(sha256, None if is_doubtful else state)

        found = {}
        with store.catalog.reading() as reader:
            for number, folder in reader.folders():
                where = Path(os.fsdecode(folder))
                for name, entry in reader.entries_in(number).items():
                    record = reader.image(entry.image)
                    sha256 = "?" if record is None else record.sha256
                    found[where / os.fsdecode(name)] = known(sha256, entry.state)
                for name, reject in reader.rejects_in(number).items():
                    found[where / os.fsdecode(name)] = known("", reject.state)
        return found

    def _is_right(self, when: str) -> None:
        """The store that is open and one that is opened now hold what the model holds."""
        for store in ("open", "fresh"):
            found = self._read(self._store()) if store == "open" else self._catalog()
            wrong = sorted(
                str(path)
                for path in {*found, *self.known}
                if found.get(path) != self.known.get(path)
            )
            self._require(not wrong, f"{when}, the {store} store is wrong about {wrong[:5]}")
        self.checks["stores compared"] += 1
        for number in range(2):
            self._check_query(self._store(), 7 * number + len(self.known))

    def _is_verified(self) -> None:
        found = tll_index.verify(self.store, settings=self._settings)
        spoiled = [one for one in found.findings if (one.part, one.mends) != ("index", "build")]
        self._require(not spoiled, f"verify: {spoiled}")
        self.checks["stores verified"] += 1

    def _index_is_whole(self) -> None:
        """After a build the file of the index holds just the images of the catalog."""
        with Store.open(self.store, settings=self._settings) as store:
            with store.catalog.reading() as reader:
                numbers = reader.image_numbers()
                orphans = reader.orphans
            self._require(not orphans, f"{orphans} images that no path shows")
            file = load(self.store / "vectors.faiss", store.about.id, store.about.dimension)
            ids = np.empty(0, np.int64) if file is None else np.sort(file.ids())
            self._require(np.array_equal(ids, numbers), "the index holds other images")
        self._require(tll_index.verify(self.store, settings=self._settings).whole, "not whole")

    def _check_query(self, store: Store, number: int) -> None:
        """One question, and the answer that brute force gives."""
        shown: dict[str, list[str]] = {}
        for path, known in self.known.items():
            if known.sha256:
                shown.setdefault(known.sha256, []).append(str(path))
        if not shown:
            return
        queried = sorted(shown)[number % len(shown)] if number % 3 else ""
        data = self.usable[queried] if queried else self.content(number % 500, False)
        query = self._embedder.encode_query(self._pixels(data))[0]
        scores = {sha256: float(self._vector(sha256) @ query) for sha256 in shown}
        k = 3 if number % 2 else len(shown)
        best = sorted(scores.values(), reverse=True)[:k]
        hits = store.query(data, k, include_self=True)
        self._require(len(hits) == len(best), f"{len(hits)} hits, not {len(best)}")
        found = {path: sha256 for sha256, paths in shown.items() for path in paths}
        for hit, score in zip(hits, best, strict=True):
            sha256 = found.get(hit.path, "")
            self._require(bool(sha256), f"{hit.path} is an answer but not indexed")
            self._require(list(hit.paths) == sorted(shown[sha256]), f"{hit.path}: {hit.paths}")
            near = abs(hit.score - score) < _CLOSE and abs(hit.score - scores[sha256]) < _CLOSE
            self._require(near, f"{hit.path} scores {hit.score}, brute force says {score}")
        if queried:
            self._require(
                hits[0].score > 1 - 1e-4
                and scores[found[hits[0].path]] >= scores[queried] - _CLOSE,
                f"{shown[queried]} does not find itself",
            )
        self.checks["answers compared"] += 1

    def _pixels(self, data: bytes) -> np.ndarray:
        return decode(data, self._embedder.backbone.spec.geometry).pixels[None]

    def _vector(self, sha256: str) -> UnitVectors:
        if sha256 not in self._vectors:
            self._vectors[sha256] = self._embedder.encode_gallery(
                self._pixels(self.usable[sha256])
            )[0]
        return self._vectors[sha256]

    def _require(self, holds: bool, what: str) -> None:
        if not holds:
            raise WrongError(what)


WEIGHTS = {
    **{"add": 8, "modify": 4, "sneak": 3, "damage": 2, "touch": 3, "delete": 3, "rename": 4},
    **{"swap": 2, "copy": 4, "rename_folder": 2, "delete_folder": 1, "build": 8},
    **{"build_stopped": 4, "dry_run": 1, "forget": 2, "repair": 1, "backup": 1},
    **{"spoil_index": 2, "reopen": 1, "query": 4},
}
"""The operations, and how often each happens."""


def run(
    seconds: float,
    steps: int,
    seed: int,
    scratch: Path,
    at_step: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Let `steps` operations happen in one world, or as many as `seconds` allow.

    Args:
        scratch: an empty folder.
        at_step: is told how many there were.

    Returns:
        JSON values: 'steps', 'seconds', 'operations' and 'checks' by kind, 'wrong': what was not
        as the model says, with the step; the world ends with the first.
    """
    _install_tiny(scratch)
    started, chance = time.monotonic(), random.Random(seed)
    names, weights = zip(*WEIGHTS.items(), strict=True)
    operations: Counter[str] = Counter()
    wrong: list[str] = []
    world = World(scratch)
    done = 0
    while done < steps and time.monotonic() - started < seconds and not wrong:
        (name,) = chance.choices(names, weights)
        numbers = [chance.randrange(2**16) for _ in range(3)]
        done += 1
        operations[name] += 1
        try:
            getattr(world, name)(*numbers)
        except (WrongError, TllError, RuntimeError, KeyError) as error:
            wrong.append(f"step {done}, {name}{tuple(numbers)}: {error!r}")
        at_step(done)
    world.close()
    return {
        "steps": done,
        "seconds": round(time.monotonic() - started, 1),
        "seed": seed,
        "operations": dict(sorted((operations + world.counts).items())),
        "checks": dict(sorted(world.checks.items())),
        "wrong": wrong,
    }


def _install_tiny(scratch: Path) -> None:
    """The backbone of the tests, and a home with its weights."""
    if str(ROOT / "tests/support") not in sys.path:
        sys.path.append(str(ROOT / "tests/support"))
    tiny = importlib.import_module("tiny")
    tiny.install()
    backend = scratch / "home"
    os.environ["TLL_HOME"], os.environ["TLL_RUNTIME"] = str(backend), "torch"
    tiny.write_weights(backend / "weights" / "tiny.safetensors")
