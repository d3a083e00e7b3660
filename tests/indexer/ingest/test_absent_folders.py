"""Disks and folders that are absent, or can't be listed: nothing is lost, and nothing is moved."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from builds import TINY, AfterIndexing, counts, everything, run
from conftest import the_store
from pictures import fill_folder, noise
from tll_index import Store, build
from tll_index.core.errors import TllError


@pytest.mark.usefixtures("anywhere")
def test_an_absent_disk_loses_nothing(here: Path) -> None:
    fill_folder(here / "disk", 4)
    fill_folder(here / "photos", 1, first=4)
    run("disk", "photos")
    (here / "disk").rename(here / "unplugged")
    for reason in ("is not there now", "is empty now"):
        report = build(store=the_store(), recipe=TINY)  # the rest goes on
        assert counts(report) == {"unchanged": 1, "skipped": 1}
        assert report.skipped[0].path == os.fsencode(here / "disk")
        assert reason in report.skipped[0].message and "(4)" in report.skipped[0].message
        (here / "disk").mkdir(exist_ok=True)
    assert run("disk") == {"skipped": 1}
    assert len(everything()) == 5
    with pytest.raises(TllError, match="does not exist"):
        run("elsewhere")
    (here / "disk").rmdir()
    with pytest.raises(TllError, match="does not exist"):
        run("disk")
    (here / "unplugged").rename(here / "disk")
    assert run() == {"unchanged": 5}  # it is back
    shutil.rmtree(here / "disk")
    assert run("disk", allow_empty=True) == {"removed": 4}
    with Store.open(the_store()) as store:
        assert store.roots() == [os.fsencode(here / "photos")]


def test_a_disk_that_goes_away_during_a_build(here: Path) -> None:
    paths = fill_folder(here / "disk", 6)
    run("disk")
    paths[0].unlink()
    noise(77).save(here / "disk/new.png")

    class Unplug(AfterIndexing):
        def then(self) -> None:
            (here / "disk").rename(here / "unplugged")
            (here / "disk").mkdir()

    assert run("disk", progress=Unplug()) == {"added": 1, "unchanged": 5, "embedded": 1}
    assert len(everything()) == 7


@pytest.mark.usefixtures("anywhere")
def test_a_disk_below_a_root(here: Path) -> None:
    fill_folder(here / "photos", 2)
    fill_folder(here / "photos/usb", 3, first=2)
    run("photos/usb")
    assert run("photos") == {"added": 2, "unchanged": 3, "embedded": 2}
    shutil.rmtree(here / "photos/usb")
    (here / "photos/usb").mkdir()
    assert run("photos") == {"unchanged": 2, "skipped": 1}
    (here / "photos/usb").rmdir()  # not empty but gone from a folder that is there: deleted
    assert run("photos") == {"unchanged": 2, "removed": 3}


def test_a_copy_from_an_absent_disk_is_no_move(here: Path) -> None:
    paths = fill_folder(here / "disk", 3)
    run("disk")
    kept = paths[0].read_bytes()
    shutil.rmtree(here / "disk")
    (here / "disk").mkdir()  # as a mount point that is empty
    fill_folder(here / "photos", 1, first=3)
    (here / "photos/copy.png").write_bytes(kept)
    assert run("photos") == {"added": 2, "copies": 1, "embedded": 1}
    assert everything()[str(paths[0])] == [str(paths[0]), str(here / "photos/copy.png")]


def test_a_listing_that_fails_on_the_way(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_folder(here / "photos", 7)
    run("photos")
    scandir = os.scandir

    class Failing:
        def __init__(self, path: bytes) -> None:
            self.entries = scandir(path)

        def __enter__(self) -> Failing:
            return self

        def __exit__(self, *_: object) -> None:
            self.entries.close()

        def __iter__(self) -> Iterator[os.DirEntry[bytes]]:
            for number, entry in enumerate(self.entries):
                if number == 3:
                    raise OSError(5, "Input/output error")
                yield entry

    with monkeypatch.context() as patched:
        patched.setattr(os, "scandir", Failing)
        assert run("photos") == {"unchanged": 3, "skipped": 1}
    assert run("photos") == {"unchanged": 7}


@pytest.mark.usefixtures("anywhere")
def test_a_folder_that_cannot_be_listed_loses_nothing(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_folder(here / "photos/locked/deep", 2)
    fill_folder(here / "photos", 2, first=2)
    run("photos")
    scandir = os.scandir

    def denied(path: bytes) -> Iterator[os.DirEntry[bytes]]:
        if path == os.fsencode(here / "photos/locked"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    with monkeypatch.context() as patched:  # root may list everything, so the refusal is played
        patched.setattr(os, "scandir", denied)
        report = build(["photos"], recipe=TINY, store=the_store())
    assert counts(report) == {"unchanged": 2, "skipped": 1}
    assert report.skipped[0].message == "can't be listed: Permission denied"
    assert len(everything()) == 4


def test_what_comes_back_during_a_build_stays(here: Path) -> None:
    first, *_ = fill_folder(here / "photos", 3)
    fill_folder(here / "photos/sub", 1, first=3)
    run("photos")
    kept = first.read_bytes()
    first.unlink()
    (here / "photos/sub").rename(here / "sub")
    noise(50).save(here / "photos/new.png")

    class Back(AfterIndexing):
        def then(self) -> None:
            first.write_bytes(kept)
            (here / "sub").rename(here / "photos/sub")

    assert run("photos", progress=Back()) == {"added": 1, "unchanged": 2, "embedded": 1}
    assert len(everything()) == 5
    assert run("photos") == {"unchanged": 5}
