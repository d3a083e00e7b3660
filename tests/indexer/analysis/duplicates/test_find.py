"""Duplicates: equal files, copies and parts; not what only looks alike."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFilter, ImageOps
from sklearn.datasets import load_sample_image

from pictures import encoded
from tll_index import Group, Recipe, build, dupes
from tll_index.core.errors import NoStoreError, UsageError
from tll_index.core.progress import Progress


def scene(seed: int, width: int = 160, height: int = 120) -> Image.Image:
    """A picture with details of all sizes, like no other."""
    random = np.random.default_rng(seed)
    image = Image.new("RGB", (width, height))
    for size in (4, 9, 20):
        blocks = random.integers(0, 256, (size, size, 3), dtype=np.uint8)
        layer = Image.fromarray(blocks).resize((width, height), Image.Resampling.BICUBIC)
        image = Image.blend(image, layer, 0.5)
    return image.filter(ImageFilter.SMOOTH)


@pytest.fixture
def photos(here: Path) -> Path:
    """Five different scenes, `scene0.png` to `scene4.png`."""
    folder = here / "photos"
    folder.mkdir()
    for seed in range(5):
        scene(seed).save(folder / f"scene{seed}.png")
    return folder


def names(found: tuple[Group, ...]) -> list[list[str]]:
    return [[os.path.basename(copy.path) for copy in group.copies] for group in found]


class Notes(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


def index() -> None:
    build(["photos"], recipe=Recipe("tiny"))


@pytest.mark.usefixtures("anywhere")
@pytest.mark.slow_after_first
def test_copies_of_all_kinds_are_one_group_the_best_first(photos: Path) -> None:
    first = scene(0)
    first.resize((320, 240)).save(photos / "larger.png")
    first.resize((80, 60)).save(photos / "smaller.png")
    (photos / "hard.jpg").write_bytes(encoded(first, "JPEG", quality=20))
    (photos / "web.webp").write_bytes(encoded(first, "WEBP", quality=40))
    first.crop((12, 9, 150, 112)).save(photos / "part.png")
    shutil.copy(photos / "scene0.png", photos / "again.png")
    index()
    (group,) = dupes()
    assert names((group,))[0][0] == "larger.png"
    assert {*names((group,))[0]} == {
        *("larger.png", "smaller.png", "hard.jpg", "web.webp", "part.png"),
        *("scene0.png", "again.png"),
    }
    assert not group.exact
    assert group.copies[0].likeness == 1 and (group.copies[0].width, group.copies[0].height) == (
        320,
        240,
    )
    assert all(0.92 <= copy.likeness <= 1 for copy in group.copies)
    sizes = [(-copy.width * copy.height, -copy.file_bytes) for copy in group.copies]
    assert sizes == sorted(sizes)
    assert all(copy.file_bytes == os.path.getsize(copy.path) for copy in group.copies)


def test_different_pictures_are_no_group(photos: Path) -> None:
    index()
    assert dupes() == ()


def test_exact_is_equal_content_and_opens_nothing(photos: Path) -> None:
    shutil.copy(photos / "scene3.png", photos / "another.png")
    scene(1).resize((80, 60)).save(photos / "smaller.png")
    for path in photos.iterdir():  # else each is young, and read again
        os.utime(path, (1e9, 1e9))
    index()
    for path in photos.iterdir():
        times = path.stat()
        path.write_bytes(b"?" * times.st_size)
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    found = dupes(exact=True)
    assert names(found) == [["another.png", "scene3.png"]]
    assert found[0].exact and {copy.likeness for copy in found[0].copies} == {1.0}
    assert names(dupes()) == names(found)  # what can't be read is only known to be equal


def test_nothing_is_deleted_or_changed(photos: Path) -> None:
    shutil.copy(photos / "scene3.png", photos / "another.png")
    index()
    before = {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    dupes()
    after = {path: path.read_bytes() for path in Path.cwd().rglob("*") if path.is_file()}
    locks = {path for path in after if path.name.endswith("-lock")}  # LMDB's table of readers
    assert {p: b for p, b in before.items() if p not in locks} == {
        p: b for p, b in after.items() if p not in locks
    }


@pytest.mark.slow
def test_chains_are_cut(here: Path) -> None:
    """Each frame of a pan is like the next; the last has nothing of the first."""
    folder = here / "photos"
    folder.mkdir()
    wide = Image.fromarray(load_sample_image("china.jpg"))
    for step in range(12):
        left = 20 * step
        wide.crop((left, 0, left + 300, 427)).save(folder / f"frame{step:02}.png")
    # What lets each be found in the next: a picture of what both show.
    for step in range(11):
        left = 20 * step + 20
        wide.crop((left, 0, left + 280, 427)).save(folder / f"joint{step:02}.png")
    index()
    found = names(dupes())
    assert found
    for group in found:
        steps = [int(name[5:7]) for name in group]
        assert max(steps) - min(steps) <= 5, group
    together = [name for group in found for name in group]
    assert len(together) == len(set(together))


def test_files_that_are_gone_or_changed_are_left_out_and_said(photos: Path) -> None:
    for seed in range(3):
        scene(seed).resize((80, 60)).save(photos / f"small{seed}.png")
    index()
    (photos / "small0.png").unlink()
    scene(9).save(photos / "small1.png")
    notes = Notes()
    assert names(dupes(progress=notes)) == [["scene2.png", "small2.png"]]
    assert len(notes.lines) == 1 and "2 pictures" in notes.lines[0]


def test_a_copy_stands_in_for_a_path_that_is_gone(photos: Path) -> None:
    shutil.copy(photos / "scene0.png", photos / "a-copy.png")
    scene(0).resize((80, 60)).save(photos / "small.png")
    index()
    (photos / "a-copy.png").unlink()
    (group,) = dupes()
    assert names((group,)) == [["scene0.png", "small.png"]]
    assert [(os.path.basename(one.path), one.state) for one in group.uncertain] == [
        ("a-copy.png", "gone")
    ]


@pytest.mark.parametrize("count", [0, 1])
def test_stores_of_none_and_one(count: int, photos: Path) -> None:
    index()
    for path in sorted(photos.iterdir())[count:]:
        path.unlink()
    build(allow_empty=True)
    assert dupes() == () == dupes(exact=True)


@pytest.mark.parametrize("threshold", [0, -1, 1.01, float("nan")])
def test_thresholds_that_can_not_be(threshold: float) -> None:
    with pytest.raises(UsageError, match="threshold"):
        dupes(threshold=threshold)


def test_the_threshold_counts(photos: Path) -> None:
    (photos / "hard.jpg").write_bytes(encoded(scene(0), "JPEG", quality=5))
    index()
    assert names(dupes(threshold=0.5)) == [["scene0.png", "hard.jpg"]]
    assert dupes(threshold=1.0) == ()


def test_no_store(here: Path) -> None:
    with pytest.raises(NoStoreError):
        dupes()


def framed(image: Image.Image, share: float, colour: str) -> Image.Image:
    """With a frame all around, a share of its width wide."""
    return ImageOps.expand(image, round(share * image.width), colour)


@pytest.mark.slow
def test_a_third_better_partner_takes_no_copy_away(here: Path) -> None:
    folder = here / "photos"
    folder.mkdir()
    scene(0).save(folder / "original.png")
    framed(scene(0), 0.01, "white").save(folder / "border.png")
    index()
    assert [set(group) for group in names(dupes())] == [{"original.png", "border.png"}]
    framed(scene(0), 0.1, "black").save(folder / "bars.png")
    index()
    assert {name for group in names(dupes()) for name in group} >= {"original.png", "border.png"}
