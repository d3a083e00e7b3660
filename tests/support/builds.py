"""Builds of small folders, what they report, and what is in their store then."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from conftest import the_store
from pictures import encoded, noise
from tll_index import BuildReport, Recipe, Store, build
from tll_index.core.progress import Progress

TINY = Recipe(backbone="tiny")

opened: set[bytes] = set()
"""Picture files that this process opened, gathered by an audit hook (which can't be removed)."""


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], bytes):
        opened.add(arguments[0])


sys.addaudithook(_listen)


def embedded(log: Path) -> int:
    """How many pictures, by the log of `tiny.watch`."""
    return sum(map(int, log.read_text().split())) if log.exists() else 0


def counts(report: BuildReport) -> dict[str, int]:
    """All that are not 0."""
    names = ("added", "updated", "unchanged", "moved", "removed", "copies", "embedded")
    found = {name: getattr(report, name) for name in names}
    found["skipped"] = len(report.skipped)
    return {name: count for name, count in found.items() if count}


def run(*folders: Path | str, **options: object) -> dict[str, int]:
    """Build the running test's store of these folders: `counts` of the report."""
    options = {"recipe": TINY, "store": the_store(), **options}
    return counts(build(folders, **options))  # type: ignore[arg-type]


class AfterIndexing(Progress):
    """Does something once, when pictures are committed."""

    is_indexing = False

    def then(self) -> None:
        raise NotImplementedError

    def start(self, what: str, total: int | None, unit: str = "pictures", done: int = 0) -> None:
        self.is_indexing = what == "indexing"

    def advance(self, count: int = 1, **_: float) -> None:
        if self.is_indexing:
            self.is_indexing = False
            self.then()


def aged(*paths: Path, seconds: int = 60) -> None:
    """As if files, or all files in folders, had been written a while ago: what is younger than the
    steps of a file system's clock is opened again by the next build."""
    for path in paths:
        for file in path.rglob("*") if path.is_dir() else [path]:
            before = file.stat().st_mtime_ns - seconds * 10**9
            os.utime(file, ns=(before, before))


def everything(path: Path | str | None = None) -> dict[str, list[str]]:
    """Each picture of the store: first path -> all paths; found by a query, which is kept out of
    the log of what was embedded."""
    logged = os.environ.pop("TINY_LOG", None)
    with Store.open(path or the_store()) as store:
        hits = store.query(encoded(noise(0), "PNG"), k=10_000, include_self=True)
        assert len(hits) == len(store)
        if logged is not None:
            os.environ["TINY_LOG"] = logged
        return {hit.path: list(hit.paths) for hit in hits}


def wait_for(condition: Callable[[], bool], seconds: float = 500) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)
