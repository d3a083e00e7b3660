"""Stores made one: what comes in, what stays, what is refused; a merge that is killed goes on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from conftest import Result
from pictures import fill_folder, noise
from tll_index import Merged, Recipe, Store, build, merge, verify
from tll_index.core.config import load_settings
from tll_index.core.errors import NoStoreError, StoreMismatchError, UsageError
from tll_index.indexer.maintenance.forget import forget

TINY = Recipe("tiny")


def hits_of(store: Path | str, k: int = 1000) -> list[tuple[float, tuple[str, ...]]]:
    """All pictures of a store, as they answer one question: score and paths, best first."""
    with Store.open(store) as opened:
        hits = opened.query(noise(12345), k)
        assert len(hits) == len(opened)
        return [(hit.score, hit.paths) for hit in hits]


@pytest.mark.slow
def test_two_stores_become_one(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_folder(here / "a", 5)
    fill_folder(here / "b", 4, first=3)  # two are copies of pictures in a
    (here / "a/broken.png").write_bytes(b"no picture")
    for name in "ab":
        build([name], store=f"deep/{name}.tll", recipe=TINY)
    build(["a", "b"], store="both.tll", recipe=TINY)
    tiny.watch(monkeypatch, here / "log")

    merged = merge(["deep/a.tll", "deep/b.tll"], store="other/all.tll")
    assert merged == Merged(images=7, added=9, unusable=1)
    assert not (here / "log").exists()  # nothing was embedded
    assert hits_of("other/all.tll") == hits_of("both.tll")
    assert verify("other/all.tll").whole
    with Store.open("other/all.tll") as store:
        assert store.roots() == [os.fsencode(here / "a"), os.fsencode(here / "b")]
    # Again, nothing happens; and a build finds all as it was.
    assert merge(["deep/a.tll", "deep/b.tll"], store="other/all.tll") == Merged(known=9)
    assert build(store="other/all.tll").embedded == 0
    assert hits_of("other/all.tll") == hits_of("both.tll")


def test_sources_are_only_read(here: Path) -> None:
    fill_folder(here / "a", 3)
    fill_folder(here / "b", 3, first=3)
    for name in "ab":
        build([name], store=f"{name}.tll", recipe=TINY)
    with Store.open("a.tll") as store, store.catalog.reading() as reader:
        before = reader.generation, reader.entries, reader.roots()
    merge(["a.tll"], store="b.tll")
    with Store.open("a.tll") as store, store.catalog.reading() as reader:
        assert before == (reader.generation, reader.entries, reader.roots())
    assert len(hits_of("b.tll")) == 6


def test_the_disk_says_which_of_two_is_right(here: Path) -> None:
    paths = fill_folder(here / "photos", 3)
    for path in paths:
        os.utime(path, (1, 1))
    build(["photos"], store="old.tll", recipe=TINY)
    noise(50).save(paths[0])
    os.utime(paths[0], (2, 2))
    build(["photos"], store="new.tll", recipe=TINY)
    shutil.copytree("old.tll", "again.tll")

    assert merge(["new.tll"], store="again.tll") == Merged(images=1, known=2, replaced=1)
    assert hits_of("again.tll") == hits_of("new.tll")  # the picture of before is gone
    with Store.open("again.tll") as store, store.catalog.reading() as reader:
        assert (reader.images, reader.orphans) == (3, 0)
    shutil.copytree("new.tll", "stays.tll")
    assert merge(["old.tll"], store="stays.tll") == Merged(known=2, kept=1)
    assert hits_of("stays.tll") == hits_of("new.tll")
    paths[0].unlink()  # neither is right: the store's own stays
    assert merge(["new.tll"], store="old.tll") == Merged(known=2, kept=1)
    assert verify("old.tll").whole and verify("again.tll").whole


def test_a_picture_is_better_than_none(here: Path) -> None:
    fill_folder(here / "photos", 2)
    build(["photos"], store="can.tll", recipe=TINY)
    (here / "photos/picture0000.png").replace(here / "photos/a.png")
    build(["photos"], store="can.tll")
    cannot = replace(load_settings(), max_megapixels=1)
    noise(9, 1200, 1000).save(here / "photos/large.png")
    build(["photos"], store="cannot.tll", recipe=TINY, settings=cannot)
    build(["photos"], store="can.tll")
    assert merge(["can.tll"], store="cannot.tll") == Merged(images=1, known=2, replaced=1)
    assert hits_of("cannot.tll") == hits_of("can.tll")
    assert merge(["cannot.tll"], store="can.tll") == Merged(known=3)


def test_what_cannot_be_merged(here: Path) -> None:
    fill_folder(here / "a", 2)
    build(["a"], store="a.tll", recipe=TINY)
    build(["a"], store="other.tll", recipe=Recipe("tiny2"))
    with pytest.raises(StoreMismatchError, match=r"other.tll was made with another backbone"):
        merge(["a.tll", "other.tll"], store="new.tll")
    assert not (here / "new.tll").exists()
    with pytest.raises(StoreMismatchError, match="tiny2, there tiny"):
        merge(["other.tll"], store="a.tll")
    with pytest.raises(UsageError, match="into itself"):
        merge(["./a.tll"], store="a.tll")
    with pytest.raises(UsageError, match="at least one"):
        merge([], store="a.tll")
    with pytest.raises(NoStoreError):
        merge(["nowhere"], store="a.tll")
    assert len(hits_of("a.tll")) == 2


def test_a_relative_root_and_a_hidden_past(here: Path) -> None:
    """Paths below the source's parent are stored relative there; what it forgot does not come."""
    fill_folder(here / "x/photos", 4)
    build(["x/photos"], store="x/a.tll", recipe=TINY)
    forget(["x/photos/picture0001.png"], store="x/a.tll")
    merge(["x/a.tll"], store="y/b.tll")
    wanted = {str(here / f"x/photos/picture000{n}.png") for n in (0, 2, 3)}
    assert {paths[0] for _, paths in hits_of("y/b.tll")} == wanted


@pytest.mark.parametrize("after", [1, 3])
def test_a_killed_merge_goes_on(here: Path, after: int) -> None:
    """Killed between two transactions of the merge, by a process that stops itself there."""
    fill_folder(here / "a", 30)
    build(["a"], store="a.tll", recipe=TINY)
    code = f"""
import os, signal
from tll_index.indexer.transfer import merge as merging
from tll_index.indexer.catalog.lmdb_catalog import LmdbCatalog as Catalog
merging._PER_TRANSACTION = 4
write, count = Catalog.write, 0
def counted(self, work):
    global count
    count += 1
    if count > 2 + {after}:
        os.kill(os.getpid(), signal.SIGKILL)
    return write(self, work)
Catalog.write = counted
merging.merge(["a.tll"], store="b.tll")
"""
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert 0 < len(hits_of("b.tll")) < 30
    merged = merge(["a.tll"], store="b.tll")
    assert merged.known and merged.added and merged.known + merged.added == 30
    assert hits_of("b.tll") == hits_of("a.tll")
    assert verify("b.tll").whole


def test_the_command(here: Path, tll_index: Callable[..., Result]) -> None:
    fill_folder(here / "a", 2)
    fill_folder(here / "b", 2, first=1)
    for name in "ab":
        build([name], store=f"{name}.tll", recipe=TINY)
    done = tll_index("merge", "a.tll", "b.tll", "--store", "all.tll")
    assert (done.code, done.out) == (
        0, "4 paths added (3 new pictures), 0 known, 0 unusable\n"
    )  # fmt: skip
    assert tll_index("merge", "a.tll", "--store", "all.tll", "-q").out == ""
    refused = tll_index("merge", "all.tll", "--store", "all.tll")
    assert refused.code == 2 and "itself" in refused.err
    assert tll_index("merge", "--store", "all.tll").code == 2


@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(owners=st.lists(st.integers(0, 7), min_size=1, max_size=6))
@pytest.mark.slow
def test_any_split_merges_to_the_whole(
    tmp_path_factory: pytest.TempPathFactory, home: Path, owners: list[int]
) -> None:
    """Each folder is in any of three stores (or several, or none): their merge answers as a store
    that was built of the same folders."""
    base = tmp_path_factory.mktemp("split")
    folders = []
    for number, owner in enumerate(owners):
        fill_folder(folder := base / f"f{number}", 2, first=number)  # neighbours share a picture
        folders.append((folder, owner))
    sources = []
    for bit in range(3):
        if mine := [folder for folder, owner in folders if owner >> bit & 1]:
            build(mine, store=base / f"{bit}.tll", recipe=TINY)
            sources.append(base / f"{bit}.tll")
    if not sources:
        return
    build([f for f, owner in folders if owner], store=base / "whole.tll", recipe=TINY)
    merge(sources, store=base / "merged.tll")
    assert hits_of(base / "merged.tll") == hits_of(base / "whole.tll")
    assert verify(base / "merged.tll").whole
