"""Duplicates as files are now: what is gone or changed since the build is neither best nor copy."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from linked_files import copies_in, index, uncertain_in
from pictures import encoded, noise
from tll_index import dupes
from tll_index.core.progress import Progress
from tll_index.engine.images.decode import Limits
from tll_index.indexer.analysis.duplicates.groups import ShownImage, grouped
from tll_index.indexer.catalog.records import ImageRecord
from tll_index.indexer.scan.file_states import IndexedPath, states_now
from tll_index.indexer.scan.walk import FileState


class Notes(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("exact", [True, False])
def test_what_is_gone_or_changed_is_neither_best_nor_copy(exact: bool, photos: Path) -> None:
    for name in ("a1", "a2", "a3", "b1"):
        shutil.copy(photos / "best" / f"{name[0]}.png", photos / f"{name}.png")
    index("photos")
    (photos / "a1.png").unlink()
    noise(7, 90, 60).save(photos / "a2.png")
    (photos / "b1.png").unlink()
    notes = Notes()
    found = dupes(exact=exact, progress=notes)
    assert copies_in(found) == [[("photos/a3.png", []), ("photos/best/a.png", [])]]
    assert uncertain_in(found) == {"photos/a1.png": "gone", "photos/a2.png": "changed"}
    assert (
        "left out 3 paths that changed since the last build (1 changed, 2 gone)" in notes.lines[-1]
    )
    assert found[0].exact


def test_a_disk_that_is_absent(here: Path, photos: Path) -> None:
    """The other file is then the only one."""
    shutil.copytree(photos, here / "disk")
    index("disk", "photos")
    assert len(dupes(exact=True)) == 2
    (here / "disk").rename(here / "away")
    (here / "disk").mkdir()
    notes = Notes()
    assert dupes(exact=True, progress=notes) == ()
    assert "2 gone" in notes.lines[-1]


def test_what_was_made_one_file_since(photos: Path) -> None:
    """As tools do that replace copies by links."""
    shutil.copy2(photos / "best/a.png", photos / "a.png")
    index("photos")
    assert len(dupes(exact=True)) == 1
    (photos / "best/a.png").unlink()
    (photos / "best/a.png").hardlink_to(photos / "a.png")
    assert dupes(exact=True) == ()
    (photos / "best/a.png").unlink()
    (photos / "best/a.png").symlink_to("../a.png")
    assert dupes(exact=True) == ()


def test_a_file_that_was_young_at_the_build_is_read(photos: Path) -> None:
    """Another content, of the same size, within the step of the clock: nothing else tells."""
    ahead = time.time_ns() + 60 * 10**9  # a clock that is ahead keeps them young
    for name in ("x", "y", "z"):
        (photos / f"{name}.bmp").write_bytes(encoded(noise(5), "BMP"))
        os.utime(photos / f"{name}.bmp", ns=(ahead, ahead))
    index("photos")
    assert len(dupes(exact=True)[0].copies) == 3
    changed = photos / "y.bmp"
    times = changed.stat()
    changed.write_bytes(encoded(noise(6), "BMP"))
    os.utime(changed, ns=(times.st_atime_ns, times.st_mtime_ns))
    found = dupes(exact=True)
    assert copies_in(found) == [[("photos/x.bmp", []), ("photos/z.bmp", [])]]
    assert uncertain_in(found) == {"photos/y.bmp": "changed"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_no_copy(photos: Path) -> None:
    shutil.copy(photos / "best/a.png", photos / "a.png")
    index("photos")
    (photos / "a.png").chmod(0)
    assert dupes(exact=True) == ()


def test_a_folder_in_the_place_of_a_file(photos: Path) -> None:
    for name in ("x", "y"):
        shutil.copy(photos / "best/a.png", photos / f"{name}.png")
    index("photos")
    (photos / "x.png").unlink()
    (photos / "x.png").mkdir()
    assert uncertain_in(dupes(exact=True)) == {"photos/x.png": "changed"}


def test_a_group_whose_best_is_gone_since(photos: Path) -> None:
    """The others were only held against that one, which may be gone while they are read."""
    images = []
    for number, names in enumerate((["gone"], ["one", "two"], ["other"])):
        entries = []
        for name in names:
            path = photos / f"{name}.png"
            noise(number).save(path)
            status = path.stat()
            state = FileState.of(status.st_size, status.st_mtime_ns)
            entries.append(IndexedPath(os.fsencode(path), state, f"{number}"))
        images.append(
            ShownImage(ImageRecord(f"{number}", 4, 3, "PNG", 10), entries, 0.95, True, 90)
        )
    (photos / "gone.png").unlink()
    now = states_now([one for image in images for one in image.entries], Limits())
    found = tuple(grouped(images, now))
    assert copies_in(found) == [[("photos/one.png", []), ("photos/two.png", [])]]
    assert [copy.likeness for copy in found[0].copies] == [1, 1]
    assert not any(copy.mirrored or copy.turned for copy in found[0].copies)
