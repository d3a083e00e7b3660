"""What changes between builds: bytes, times, names; only what is new is opened and embedded."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from builds import aged, embedded, everything, opened, run
from conftest import Result, the_store
from pictures import encoded, fill_folder, noise
from tll_index import Store, build
from tll_index.core.progress import Progress


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
