"""Builds: what is indexed, what is passed over, and what is not built at all."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from builds import TINY, aged, counts, everything, opened, run
from conftest import the_store
from pictures import encoded, fill_folder, noise
from tll_index import Store, build
from tll_index.core.config import load_settings
from tll_index.core.errors import StoreBusyError, StoreError, TllError, UsageError
from tll_index.core.location import located
from tll_index.indexer.ingest import spool as spooling
from tll_index.indexer.scan import walk as walking
from tll_index.indexer.scan.walk import Rules
from tll_index.indexer.store.resolve import only_writer


@pytest.mark.usefixtures("anywhere")
def test_first_then_nothing(here: Path) -> None:
    fill_folder(here / "photos/a", 5)
    fill_folder(here / "photos/b", 4, first=5)
    aged(here / "photos")
    assert run("photos") == {"added": 9, "embedded": 9}
    opened.clear()
    assert run("photos") == {"unchanged": 9}
    assert run() == {"unchanged": 9}  # the folders it was built from
    assert not [path for path in opened if path.endswith(b".png")]
    assert len(everything()) == 9


@pytest.mark.usefixtures("anywhere")
def test_bad_files_are_reported_every_time_but_tried_once(here: Path) -> None:
    fill_folder(here / "photos", 3)
    good = encoded(noise(7, 300, 300), "PNG")
    (here / "photos/text.jpg").write_text("not a picture")
    (here / "photos/cut.png").write_bytes(good[: len(good) // 2])
    (here / "photos/empty.gif").touch()
    aged(here / "photos")
    report = build(["photos"], recipe=TINY, store=the_store())
    assert counts(report) == {"added": 3, "embedded": 3, "skipped": 3}
    assert report.reasons() == {"damaged": 1, "empty": 1, "not a picture": 1}
    opened.clear()
    again = build(["photos"], recipe=TINY, store=the_store())
    assert counts(again) == {"unchanged": 3, "skipped": 3}
    assert sorted(again.skipped) == sorted(report.skipped)
    assert not [path for path in opened if path.endswith((b".jpg", b".png", b".gif"))]
    (here / "photos/cut.png").write_bytes(good)
    (here / "photos/empty.gif").unlink()
    assert run("photos") == {"added": 1, "unchanged": 3, "embedded": 1, "skipped": 1}
    with Store.open(the_store()) as store:
        assert store.info()["unusable_files"] == 1


@pytest.mark.usefixtures("anywhere")
def test_other_limits_try_again(here: Path) -> None:
    fill_folder(here / "photos", 1)
    noise(5, 2000, 1000).save(here / "photos/large.png")
    small = replace(load_settings(), max_megapixels=1)
    assert run("photos", settings=small) == {"added": 1, "embedded": 1, "skipped": 1}
    assert run("photos", settings=small) == {"unchanged": 1, "skipped": 1}
    assert run("photos") == {"added": 1, "unchanged": 1, "embedded": 1}


@pytest.mark.usefixtures("anywhere")
def test_a_picture_that_turns_bad_is_found_no_more(here: Path) -> None:
    paths = fill_folder(here / "photos", 3)
    run("photos")
    paths[1].write_bytes(b"overwritten")
    assert run("photos") == {"unchanged": 2, "skipped": 1}
    assert len(everything()) == 2


@pytest.mark.usefixtures("anywhere")
def test_hidden_and_excluded_leave_the_results(here: Path) -> None:
    fill_folder(here / "photos/raw", 2)
    fill_folder(here / "photos/.trash", 2, first=2)
    fill_folder(here / "photos", 2, first=4)
    assert run("photos") == {"added": 4, "embedded": 4}
    assert run("photos", rules=Rules(exclude=("raw",))) == {"unchanged": 2, "removed": 2}
    assert run("photos", rules=Rules(hidden=True)) == {
        "added": 4, "embedded": 4, "unchanged": 2
    }  # fmt: skip


@pytest.mark.usefixtures("anywhere")
@pytest.mark.slow_after_first
def test_roots_that_an_outer_walk_would_not_reach(here: Path) -> None:
    fill_folder(here / "photos", 1)
    fill_folder(here / "photos/.hidden", 2, first=1)
    fill_folder(here / "elsewhere", 3, first=3)
    (here / "photos/link").symlink_to(here / "elsewhere")
    assert run("photos/.hidden") == {"added": 2, "embedded": 2}
    assert run("photos/link") == {"added": 3, "embedded": 3}
    assert run("photos") == {"added": 1, "unchanged": 5, "embedded": 1}
    assert run("photos", "photos/.hidden") == {"unchanged": 6}
    assert run() == {"unchanged": 6}
    (here / "photos/.hidden/picture0001.png").unlink()
    assert run("photos") == {"unchanged": 5, "removed": 1}


@pytest.mark.usefixtures("anywhere")
def test_unusable_files_that_are_gone(here: Path) -> None:
    fill_folder(here / "photos", 1)
    (here / "photos/bad").mkdir()
    (here / "photos/bad/text.jpg").write_text("no")
    run("photos")
    shutil.rmtree(here / "photos/bad")
    assert run("photos", dry_run=True) == {"unchanged": 1}
    assert run("photos") == {"unchanged": 1}
    with Store.open(the_store()) as store:
        assert store.info()["unusable_files"] == 0


def test_code_among_the_pictures_is_not_run(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders start in the current folder, but import nothing from it."""
    fill_folder(here / "photos", 3)
    for name in ("json", "struct", "inspect", "numpy", "PIL"):
        (here / f"photos/{name}.py").write_text("open('/tmp/was-imported', 'w')")
    monkeypatch.chdir(here / "photos")
    assert run(".", store="../store") == {"added": 3, "embedded": 3}
    assert not Path("/tmp/was-imported").exists()


def test_decoders_that_cannot_start_blame_no_picture(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_folder(here / "photos", 3)
    with monkeypatch.context() as patched:
        patched.setattr(sys, "executable", "/bin/false")
        with pytest.raises(TllError, match="decoder processes can't be started"):
            run("photos")
    assert run("photos") == {"added": 3, "embedded": 3}


@pytest.mark.usefixtures("anywhere")
def test_strange_names_are_indexed(here: Path) -> None:
    names = [b"\xff\xfe.png", b"new\nline.png", b"--x.png", b"'\"$(x).png", b"e" * 251 + b".png"]
    (here / "photos").mkdir()
    for seed, name in enumerate(names):
        with open(os.fsencode(here / "photos") + b"/" + name, "wb") as file:
            file.write(encoded(noise(seed), "PNG"))
    assert run("photos") == {"added": 5, "embedded": 5}
    assert run("photos") == {"unchanged": 5}
    assert {os.path.basename(os.fsencode(path)) for path in everything()} == set(names)


@pytest.mark.usefixtures("anywhere")
def test_dry_run_changes_nothing(here: Path) -> None:
    fill_folder(here / "photos", 3)
    assert run("photos", dry_run=True) == {"added": 3}
    assert not [one for one in here.iterdir() if one.name.startswith("store")]
    run("photos")
    (here / "photos/picture0000.png").unlink()
    noise(9).save(here / "photos/picture0001.png")
    assert run("photos", dry_run=True) == {"updated": 1, "unchanged": 1, "removed": 1}
    assert len(everything()) == 3


@pytest.mark.usefixtures("anywhere")
def test_nothing_to_index(here: Path) -> None:
    (here / "photos").mkdir()
    (here / "photos/notes.txt").touch()
    with pytest.raises(TllError, match=r"no pictures in .*photos \(looked for \.jpg \.png"):
        run("photos")
    with pytest.raises(UsageError, match="name at least one folder"):
        run()
    assert not [one for one in here.iterdir() if one.name.startswith("store")]


def test_not_into_a_folder_of_other_things(here: Path) -> None:
    fill_folder(here / "photos", 2)
    with pytest.raises(StoreError, match="holds other things"):
        run("photos", store="photos")
    assert run("photos", store="photos/inside") == {"added": 2, "embedded": 2}


@pytest.mark.usefixtures("anywhere")
def test_one_writer(here: Path) -> None:
    fill_folder(here / "photos", 2)
    run("photos")
    with only_writer(located(the_store())):
        started = time.monotonic()
        with pytest.raises(StoreBusyError, match=r"another tll-index.* is writing"):
            run("photos")
        assert time.monotonic() - started < 10  # not the minute after which a claim has ended
        assert len(everything()) == 2  # readers don't mind
    assert run("photos") == {"unchanged": 2}


def test_the_disk_is_walked_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_folder(here / "photos/a", 2)
    fill_folder(here / "photos/b", 2, first=2)
    entered: list[bytes] = []
    scandir = os.scandir

    def noted(path: Any = b".") -> Any:
        entered.append(path)
        return scandir(path)

    run("photos")
    (here / "photos/a/picture0000.png").unlink()
    noise(50).save(here / "photos/b/new.png")
    monkeypatch.setattr(walking.os, "scandir", noted)
    assert run("photos") == {"added": 1, "unchanged": 3, "removed": 1, "embedded": 1}
    inside = [path for path in entered if os.path.dirname(path).endswith(b"photos")]
    assert sorted(map(os.path.basename, inside)) == [b"a", b"b"]


def test_the_list_in_a_file_is_as_good(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "_IN_MEMORY", 10)
    (here / "temporary").mkdir()  # its own: other tests have theirs beside it
    monkeypatch.setattr(tempfile, "tempdir", str(here / "temporary"))
    first, *_ = fill_folder(here / "photos/a", 3)
    fill_folder(here / "photos/b", 3, first=3)
    assert run("photos") == {"added": 6, "embedded": 6}
    first.unlink()
    noise(50).save(here / "photos/b/new.png")
    assert run("photos") == {"added": 1, "unchanged": 5, "removed": 1, "embedded": 1}
    assert os.listdir(here / "temporary") == []
