"""Builds: what is new is embedded once, whatever happens to files, folders and the process."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from conftest import PLACES, Result, the_store
from pictures import encoded, fill_folder, noise
from tll_index import BuildReport, Lens, Recipe, Store, build
from tll_index.core.config import load_settings
from tll_index.core.errors import (
    StoreBusyError,
    StoreError,
    StoreMismatchError,
    TllError,
    UsageError,
)
from tll_index.core.location import located
from tll_index.core.progress import Progress
from tll_index.indexer.ingest import spool as spooling
from tll_index.indexer.scan import walk as walking
from tll_index.indexer.scan.walk import Rules
from tll_index.indexer.store.resolve import only_writer

TINY = Recipe(backbone="tiny")

opened: set[bytes] = set()
"""Picture files that this process opened, gathered by an audit hook (which can't be removed)."""


def _listen(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open" and isinstance(arguments[0], bytes):
        opened.add(arguments[0])


sys.addaudithook(_listen)


@pytest.fixture
def log(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    tiny.watch(monkeypatch, here / "embedded.log")
    return here / "embedded.log"


def embedded(log: Path) -> int:
    return sum(map(int, log.read_text().split())) if log.exists() else 0


def counts(report: BuildReport) -> dict[str, int]:
    names = ("added", "updated", "unchanged", "moved", "removed", "copies", "embedded")
    found = {name: getattr(report, name) for name in names}
    found["skipped"] = len(report.skipped)
    return {name: count for name, count in found.items() if count}


def run(*folders: Path | str, **options: object) -> dict[str, int]:
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
    """Each picture of the store: first path -> all paths; asked for through a query, which is
    kept out of the log of what was embedded."""
    logged = os.environ.pop("TINY_LOG", None)
    with Store.open(path or the_store()) as store:
        hits = store.query(encoded(noise(0), "PNG"), k=10_000, include_self=True)
        assert len(hits) == len(store)
        if logged is not None:
            os.environ["TINY_LOG"] = logged
        return {hit.path: list(hit.paths) for hit in hits}


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
def test_only_what_changed_is_opened(here: Path) -> None:
    paths = fill_folder(here / "photos", 6)
    aged(here / "photos")
    run("photos")
    noise(99).save(paths[2])
    paths[4].unlink()
    noise(98).save(here / "photos/new.png")
    opened.clear()
    assert run("photos") == {
        "added": 1, "updated": 1, "unchanged": 4, "removed": 1, "embedded": 2
    }  # fmt: skip
    assert {os.path.basename(path) for path in opened if path.endswith(b".png")} == {
        b"new.png",
        b"picture0002.png",
    }
    assert len(everything()) == 6
    assert str(paths[4]) not in everything()


@pytest.mark.usefixtures("anywhere")
def test_moved_and_renamed_are_recognised(here: Path, log: Path) -> None:
    fill_folder(here / "photos/a", 5)
    fill_folder(here / "photos/b", 3, first=5)
    run("photos")
    (here / "photos/a").rename(here / "photos/c")
    assert run("photos") == {"unchanged": 3, "moved": 5}
    (here / "photos/c/picture0001.png").rename(here / "photos/c/renamed.png")
    assert run("photos") == {"unchanged": 7, "moved": 1}
    (here / "photos").rename(here / "pictures")
    assert run("pictures") == {"moved": 8}
    assert embedded(log) == 8
    assert set(everything()) == {str(path) for path in (here / "pictures").rglob("*.png")}
    with Store.open(the_store()) as store:
        assert store.roots() == [os.fsencode(here / "pictures")]


@pytest.mark.usefixtures("anywhere")
def test_swapped_names_embed_nothing(here: Path, log: Path) -> None:
    a, b, *_ = fill_folder(here / "photos", 3)
    noise(500, 51, 37).save(b)  # of another size, so that the swap can be seen
    run("photos")
    a.rename(here / "other")
    b.rename(a)
    (here / "other").rename(b)
    assert run("photos") == {"unchanged": 1, "updated": 2}
    assert embedded(log) == 3
    with Store.open(the_store()) as store:
        assert store.query(a, k=1, include_self=True)[0].path == str(a)


def test_a_tree_that_moves_with_its_store(here: Path) -> None:
    paths = fill_folder(here / "disk/photos", 4)
    aged(here / "disk")
    run("disk/photos", store="disk/photos.tll")
    (here / "disk").rename(here / "mnt")
    opened.clear()
    assert run("mnt/photos", store="mnt/photos.tll") == {"unchanged": 4}
    assert run(store="mnt/photos.tll") == {"unchanged": 4}
    assert not [path for path in opened if path.endswith(b".png")]
    assert set(everything("mnt/photos.tll")) == {
        str(path).replace("/disk/", "/mnt/") for path in paths
    }


def bitmap(path: Path, seed: int, ns: int | None = None) -> None:
    """A picture whose file always has the same size, changed at the moment `ns`."""
    path.parent.mkdir(exist_ok=True)
    noise(seed).save(path, "BMP")
    if ns is not None:
        os.utime(path, ns=(ns, ns))


def shows(path: Path, seed: int) -> bool:
    """Whether the store's picture at `path` is that of this seed."""
    digest = hashlib.sha256(encoded(noise(seed), "BMP")).digest()
    with Store.open(the_store()) as store, store.catalog.reading() as reader:
        image = reader.image_of(digest)
        return image is not None and os.fsencode(path) in reader.paths_of(image)


def test_other_bytes_of_equal_size_and_time(here: Path, log: Path) -> None:
    ns = 1_600_000_000_123_456_789
    a, b, *_ = (here / f"photos/{name}.bmp" for name in "ab")
    for seed, path in enumerate((a, b)):
        bitmap(path, seed, ns)
    (here / "photos/bad.bmp").write_bytes(bytes(len(a.read_bytes())))
    os.utime(here / "photos/bad.bmp", ns=(ns, ns))
    fill_folder(here / "photos", 3, first=10)
    aged(*(here / "photos").glob("*.png"))
    assert run("photos") == {"added": 5, "embedded": 5, "skipped": 1}
    assert run("photos", checksum=True) == {"unchanged": 5, "skipped": 1}
    bitmap(b, 2, ns)
    bitmap(here / "photos/bad.bmp", 3, ns)
    assert run("photos") == {"unchanged": 5, "skipped": 1}  # nothing tells
    opened.clear()
    assert run("photos", checksum=True) == {
        "added": 1, "updated": 1, "unchanged": 4, "embedded": 2
    }  # fmt: skip
    assert len({path for path in opened if path.endswith((b".png", b".bmp"))}) == 6
    assert shows(b, 2) and not shows(b, 1) and shows(here / "photos/bad.bmp", 3)
    assert embedded(log) == 7
    assert run("photos") == {"unchanged": 6}


def test_comparing_all_bytes_can_be_stopped(here: Path, tll_index: Callable[..., Result]) -> None:
    paths = fill_folder(here / "photos", 12)
    aged(here / "photos")
    run("photos")

    class Stop(Progress):
        seen = 0

        def start(
            self, what: str, total: int | None, unit: str = "pictures", done: int = 0
        ) -> None:
            if what == "indexing":
                self.seen = total or 0

        def advance(self, count: int = 1, **_: float) -> None:
            if self.seen:
                raise KeyboardInterrupt

    stop = Stop()
    report = build(store=the_store(), checksum=True, progress=stop)
    assert report.stopped and stop.seen == 12
    shutil.copy2(paths[0], paths[1])
    os.utime(paths[1], ns=(paths[2].stat().st_mtime_ns,) * 2)
    assert len(everything()) == 12
    for arguments, code in (
        (("--checksum",), 0),
        (("--checksum", "--dry-run"), 2),
    ):
        result = tll_index("build", "--store", "store", *arguments)
        assert result.code == code and "Traceback" not in result.err
    assert len(everything()) == 11


def test_a_clock_that_goes_backwards(here: Path) -> None:
    path = here / "photos/a.bmp"
    bitmap(path, 0)
    run("photos")
    for seed, back in ((1, 1), (2, 3600), (3, 50 * 365 * 86_400)):
        bitmap(path, seed, time.time_ns() - back * 10**9)
        assert run("photos") == {"updated": 1, "embedded": 1}
        assert shows(path, seed)
    bitmap(path, 3, time.time_ns() - 7200 * 10**9)  # only the time is another
    assert run("photos") == {"unchanged": 1}
    assert run("photos") == {"unchanged": 1}


def test_changed_again_within_one_step_of_the_clock(here: Path) -> None:
    """The same size and the same time after both; the first was indexed in between. Clocks of other
    machines are ahead of ours, so that the times are young however long a build takes here."""
    path = here / "photos/a.bmp"
    second = 10**9
    ahead = time.time_ns() + 3600 * second
    for seed, ns in enumerate((ahead, ahead // second * second)):  # a disk of whole seconds only
        bitmap(path, 2 * seed, ns)
        run("photos")
        bitmap(path, 2 * seed + 1, ns)
        assert run("photos") == {"updated": 1, "embedded": 1}
        assert shows(path, 2 * seed + 1)
        assert run("photos") == {"unchanged": 1}
    aged(path, seconds=7200)
    assert run("photos") == {"unchanged": 1}  # opened for its other time
    opened.clear()
    assert run("photos") == {"unchanged": 1}
    assert os.fsencode(path) not in opened


@pytest.mark.usefixtures("anywhere")
def test_copies_are_one_picture(here: Path, log: Path) -> None:
    paths = fill_folder(here / "photos", 3)
    shutil.copy(paths[0], here / "photos/zcopy.png")
    assert run("photos") == {"added": 4, "copies": 1, "embedded": 3}
    shutil.copytree(here / "photos", here / "again")
    assert run("again") == {"added": 4, "copies": 4}
    assert embedded(log) == 3
    found = everything()
    assert len(found) == 3
    assert found[str(here / "again/picture0000.png")] == [
        str(here / "again/picture0000.png"),
        str(here / "again/zcopy.png"),
        str(paths[0]),
        str(here / "photos/zcopy.png"),
    ]
    shutil.rmtree(here / "again")
    (here / "again").mkdir()
    assert run("again", allow_empty=True) == {"removed": 4}
    assert len(everything()) == 3


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
def test_an_absent_disk_loses_nothing(here: Path) -> None:
    fill_folder(here / "disk", 4)
    fill_folder(here / "photos", 1, first=4)
    run("disk", "photos")
    (here / "disk").rename(here / "unplugged")
    for question in ("is not there now", "is empty now"):
        report = build(store=the_store(), recipe=TINY)  # the rest goes on
        assert counts(report) == {"unchanged": 1, "skipped": 1}
        assert report.skipped[0].path == os.fsencode(here / "disk")
        assert question in report.skipped[0].message and "(4)" in report.skipped[0].message
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


def test_a_store_that_moves_above_its_folders(here: Path) -> None:
    """Folders that were stored absolute now lie below the store's parent."""
    fill_folder(here / "disk/photos", 4)
    run("disk/photos", store="other/store")
    (here / "other/store").rename(here / "disk/store")
    for _ in range(2):
        assert run("disk/photos", store="disk/store") == {"unchanged": 4}
    noise(50).save(here / "disk/photos/new.png")
    (here / "disk/photos/picture0000.png").unlink()
    assert run("disk/photos", store="disk/store") == {
        "added": 1, "embedded": 1, "unchanged": 3, "removed": 1
    }  # fmt: skip
    assert len(everything("disk/store")) == 4


def test_a_link_to_a_store(here: Path) -> None:
    fill_folder(here / "photos", 4)
    run("photos", store="photos/store")
    fill_folder(here / "home", 1, first=9)
    (here / "home/short").symlink_to(here / "photos/store")
    assert run(store="home/short") == {"unchanged": 4}
    assert set(everything("home/short")) == set(everything("photos/store"))


@pytest.mark.usefixtures("anywhere")
def test_times_beyond_64_bits(here: Path) -> None:
    path, *_ = fill_folder(here / "photos", 2)
    far = 13_000_000_000  # the year 2381
    os.utime(path, (far, far))
    if path.stat().st_mtime != far:
        pytest.skip("this file system keeps no such times")
    assert run("photos") == {"added": 2, "embedded": 2}
    assert run("photos") == {"unchanged": 2}


@pytest.mark.usefixtures("anywhere")
def test_a_picture_moved_over_another(here: Path) -> None:
    a, b, *_ = fill_folder(here / "photos", 3)
    noise(500, 51, 37).save(a)
    run("photos")
    a.replace(b)
    assert run("photos") == {"unchanged": 1, "updated": 1, "removed": 1}
    assert len(everything()) == 2


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


def test_named_weights_that_moved(here: Path, home: Path) -> None:
    fill_folder(here / "photos", 3)
    first = tiny.write_weights(here / "wa/w.safetensors", seed=8)
    run("photos", recipe=Recipe("tiny", first))
    second = here / "wb/w.safetensors"
    second.parent.mkdir()
    first.rename(second)
    with Store.open(the_store()) as store, pytest.raises(StoreMismatchError):
        store.query("photos/picture0000.png")
    with Store.open(the_store(), weights=second) as store:
        assert len(store.query("photos/picture0000.png")) == 2
    noise(60).save(here / "photos/new.png")
    assert run("photos", recipe=Recipe("tiny", second)) == {
        "added": 1, "embedded": 1, "unchanged": 3
    }  # fmt: skip
    assert len(everything()) == 4  # the store has learned where they are


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


@pytest.mark.usefixtures("anywhere")
def test_a_store_has_one_maker(here: Path, home: Path) -> None:
    fill_folder(here / "photos", 2)
    run("photos")
    with pytest.raises(StoreMismatchError, match="made with another backbone"):
        run("photos", recipe=Recipe(backbone="tiny2"))
    other = tiny.write_weights(home / "other.safetensors", seed=8)
    with pytest.raises(StoreMismatchError, match="made with another weights"):
        run("photos", recipe=Recipe(weights=other))
    lens = Lens("tiny", 16, adaptation=np.eye(16, dtype=np.float32)[:4])
    with pytest.raises(StoreMismatchError, match="made with another lens"):
        run("photos", recipe=Recipe(lens=lens))
    assert run("photos", recipe=Recipe(lens="none")) == {"unchanged": 2}
    tiny.write_weights(home / "weights/tiny.safetensors", seed=9)
    with pytest.raises(StoreMismatchError, match="another weights"):
        everything()


@pytest.mark.usefixtures("anywhere")
def test_a_lens_and_named_weights_stay_with_the_store(here: Path, home: Path) -> None:
    fill_folder(here / "photos", 5)
    weights = tiny.write_weights(home / "own.safetensors", seed=8)
    lens_file = home / "own.npz"
    Lens("tiny", 16, adaptation=np.eye(16, dtype=np.float32)[:4], relu=True).save(lens_file)
    run("photos", recipe=Recipe("tiny", weights, lens_file))
    lens_file.unlink()
    with Store.open(the_store()) as store:
        assert store.about.dimension == 4 and store.info()["lens"]
        hits = store.query("photos/picture0003.png", k=1, include_self=True)
        assert hits[0].path.endswith("picture0003.png") and hits[0].score > 0.9999


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


# -- processes that are cut short ------------------------------------------------

Spawn = Callable[..., "subprocess.Popen[bytes]"]
BUILD = ("build", "photos", "--backbone", "tiny", "--batch-size", "4")


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.01)


# Not at an address: there, the claim of who was killed is good for another minute.
@pytest.mark.parametrize("anywhere", PLACES, indirect=True)
@pytest.mark.slow
def test_kill_in_the_middle_then_go_on(
    anywhere: str, here: Path, log: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_folder(here / "photos", 60)
    monkeypatch.setenv("TINY_SECONDS", "0.05")
    times = random.Random(4)
    lost = 0
    for kills in (1, 2, 3):
        before = embedded(log)
        process = spawn(*BUILD, "--store", the_store())
        wait_for(lambda before=before: embedded(log) >= before + 8)
        time.sleep(times.random() * 0.1)
        process.kill()
        process.communicate()
        committed = len(everything())  # it opens, and what was committed is found
        lost = embedded(log) - committed
        assert lost <= 4 * kills, "more than the last batch of each was lost"
    process = spawn(*BUILD, "--store", the_store())
    _, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    assert len(everything()) == 60
    assert embedded(log) == 60 + lost
    assert run("photos") == {"unchanged": 60}


@pytest.mark.usefixtures("anywhere")
@pytest.mark.slow_after_first
def test_interrupt_then_go_on(
    here: Path, log: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_folder(here / "photos", 40)
    monkeypatch.setenv("TINY_SECONDS", "0.1")
    process = spawn(*BUILD, "--store", the_store())
    wait_for(lambda: embedded(log) >= 8)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"run the same command again" in err and b"Traceback" not in err
    kept = len(everything())
    assert 4 <= kept < 40 and f"{kept} added".encode() in out
    monkeypatch.setenv("TINY_SECONDS", "0")
    assert run("photos") == {"added": 40 - kept, "embedded": 40 - kept, "unchanged": kept}


def test_readers_during_a_build(
    here: Path, log: Path, spawn: Spawn, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One open store answers throughout: complete batches, more and more, never fewer."""
    fill_folder(here / "photos", 4)
    run("photos")
    fill_folder(here / "photos", 40, first=4)
    monkeypatch.setenv("TINY_SECONDS", "0.05")
    process = spawn(*BUILD, "--store", the_store())
    seen = []
    with Store.open(the_store()) as store:
        while process.poll() is None:
            seen.append(len(store.query("photos/picture0000.png", k=100, include_self=True)))
        assert process.communicate() and process.returncode == 0
        seen.append(len(store.query("photos/picture0000.png", k=100, include_self=True)))
    assert seen == sorted(seen) and seen[0] == 4 and seen[-1] == 44
    assert all(count % 4 == 0 for count in seen) and len(set(seen)) > 3


# -- disks that refuse -------------------------------------------------------------


@pytest.fixture
def small_disk(here: Path) -> Iterator[Path]:
    disk = here / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=800k", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("needs the right to mount a small tmpfs")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)


def test_disk_full(here: Path, small_disk: Path, spawn: Spawn) -> None:
    """A store on a disk of 0.8 MB: the build ends in one line, what was committed stays, and
    goes on once there is room."""
    fill_folder(here / "photos", 1500)
    arguments = ("build", "photos", "--backbone", "tiny", "--store", "disk/store")
    arguments += ("--batch-size", "16", "--quiet")
    process = spawn(*arguments)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    lines = err.decode().strip().splitlines()
    assert len(lines) == 1 and "no room left on the disk" in lines[0], err.decode()
    kept = len(everything("disk/store"))
    assert 16 <= kept < 1500
    remount = ["mount", "-o", "remount,size=64m", str(small_disk)]
    subprocess.run(remount, check=True)
    found = run("photos", store="disk/store")
    assert found == {"added": 1500 - kept, "embedded": 1500 - kept, "unchanged": kept}


def test_file_size_limit(here: Path, spawn: Spawn) -> None:
    """The same by a limit that needs no rights: files may not grow beyond 300 kB."""
    import resource

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))

    fill_folder(here / "photos", 400)
    process = spawn(*BUILD, "--store", "store", "--quiet", preexec_fn=limit)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1
    assert b"make room and run the same command again" in err, err.decode()
    assert err.count(b"\n") == 1, err.decode()
    kept = len(everything())
    assert run("photos") == {"added": 400 - kept, "embedded": 400 - kept, "unchanged": kept}


def test_read_only_disk(here: Path, small_disk: Path) -> None:
    fill_folder(here / "photos", 3)
    run("photos", store="disk/store")
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    assert len(everything("disk/store")) == 3
    noise(77).save(here / "photos/new.png")
    with pytest.raises(StoreError, match="can't be written"):
        run("photos", store="disk/store")
    (small_disk / "store").exists()
    assert len(everything("disk/store")) == 3


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


def test_a_full_temporary_folder_is_one_line(
    here: Path, monkeypatch: pytest.MonkeyPatch, tll_index: Callable[..., Result]
) -> None:
    """A list of many files goes to a file; where that has no room, nothing is indexed or lost."""
    fill_folder(here / "photos", 30)
    run("photos")
    for path in sorted((here / "photos").iterdir())[:20]:
        path.unlink()
    full = open("/dev/full", "r+b", buffering=0)  # noqa: SIM115
    with monkeypatch.context() as patched:
        patched.setattr(spooling, "_IN_MEMORY", 10)
        patched.setattr(spooling.tempfile, "TemporaryFile", lambda *_, **__: full)
        result = tll_index("build", "--store", "store")
    assert result.code == 1 and "TMPDIR" in result.err and "Traceback" not in result.err
    assert result.err.count("\n") == 1 and "No space left" in result.err
    assert full.closed
    assert len(everything()) == 30


def test_the_list_in_a_file_is_as_good(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spooling, "_IN_MEMORY", 10)
    before = os.listdir(tempfile.gettempdir())
    first, *_ = fill_folder(here / "photos/a", 3)
    fill_folder(here / "photos/b", 3, first=3)
    assert run("photos") == {"added": 6, "embedded": 6}
    first.unlink()
    noise(50).save(here / "photos/b/new.png")
    assert run("photos") == {"added": 1, "unchanged": 5, "removed": 1, "embedded": 1}
    assert set(os.listdir(tempfile.gettempdir())) <= set(before)
