"""One file is one file: whatever paths lead to it, it is no copy of itself."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from conftest import Result
from linked_files import copies_in, index, mounted, uncertain_in
from pictures import fill_folder, noise
from tll_index import Lens, Recipe, Store, build, dupes
from tll_index.indexer.scan.walk import Rules
from tll_index.indexer.store import info as describing

Run = Callable[..., Result]

SIDES = ("left", "right")


@pytest.mark.usefixtures("anywhere")
@pytest.mark.parametrize("exact", [True, False])
def test_links_are_no_copies(exact: bool, photos: Path) -> None:
    (photos / "album/a_link.png").symlink_to("../best/a.png")
    (photos / "album/b_hard.png").hardlink_to(photos / "best/b.png")
    index("photos")
    assert dupes(exact=exact) == ()


@pytest.mark.usefixtures("anywhere")
def test_links_are_listed_below_the_file(photos: Path) -> None:
    (photos / "a_link.png").symlink_to("best/a.png")  # sorts before the file
    (photos / "album/a_hard.png").hardlink_to(photos / "best/a.png")
    shutil.copy(photos / "best/a.png", photos / "copy.png")
    index("photos")
    (group,) = found = dupes(exact=True)
    assert copies_in(found) == [
        [
            ("photos/album/a_hard.png", ["photos/a_link.png", "photos/best/a.png"]),
            ("photos/copy.png", []),
        ]
    ]
    best, other = group.copies
    size = os.path.getsize(photos / "copy.png")
    assert [(one.nlink, one.freed_bytes, one.link) for one in group.copies] == [
        (2, size, False),
        (1, size, False),
    ]
    assert None not in (best.same_file, other.same_file) and best.same_file != other.same_file


def test_a_folder_under_two_names(here: Path, photos: Path) -> None:
    (here / "again").symlink_to("photos")
    (photos / "album/way").symlink_to("../best")
    index("photos", "again")
    assert dupes(exact=True) == ()
    shutil.copy(photos / "best/a.png", photos / "album/z.png")
    index("photos", "again", "photos/best")
    assert copies_in(dupes(exact=True)) == [
        [
            ("photos/album/z.png", ["again/album/z.png"]),
            (
                "photos/best/a.png",
                [path for path in told_paths("a.png") if "photos/best" not in path],
            ),
        ]
    ]


def told_paths(name: str) -> list[str]:
    """All indexed paths of that name."""
    with Store.open() as store, store.catalog.reading() as reader:
        paths = [
            os.fsdecode(path)
            for number in reader.image_numbers().tolist()
            for path in reader.paths_of(number)
        ]
    return sorted(os.path.relpath(path) for path in paths if path.endswith(f"/{name}"))


def test_a_root_that_is_a_link(here: Path, photos: Path) -> None:
    shutil.copy(photos / "best/a.png", photos / "album/a.png")
    (here / "way").symlink_to("photos")
    index("way")
    (group,) = found = dupes(exact=True)
    assert copies_in(found) == [[("way/album/a.png", []), ("way/best/a.png", [])]]
    assert all(copy.link and copy.freed_bytes for copy in group.copies)


def test_a_bind_mount(here: Path, photos: Path) -> None:
    (here / "bound").mkdir()
    with mounted("--bind", photos, here / "bound"):
        index("photos", "bound")
        assert dupes(exact=True) == () == dupes()
        shutil.copy(photos / "best/a.png", photos / "a.png")
        index("photos", "bound")
        (group,) = dupes(exact=True)
        assert len(group.copies) == 2 and all(len(copy.links) == 1 for copy in group.copies)
        assert all(copy.freed_bytes for copy in group.copies)


def test_one_file_through_two_file_systems(here: Path, photos: Path) -> None:
    """As of a pool of disks and one of its disks: other devices, other numbers, one file."""
    for name in ("pool", "upper", "work"):
        (here / name).mkdir()
    layers = f"lowerdir={photos},upperdir={here}/upper,workdir={here}/work"
    with mounted("-t", "overlay", "overlay", "-o", layers, here / "pool"):
        index("photos", "pool")
        assert dupes(exact=True) == ()


def test_the_same_name_in_other_letters(here: Path) -> None:
    """Where a file system takes no notice of capitals."""
    (here / "photos").mkdir()
    noise(1).save(here / "photos/a.png")
    if not (here / "photos/A.png").exists():
        (here / "photos/A.png").hardlink_to(here / "photos/a.png")  # what it would look like
    index("photos")
    assert dupes(exact=True) == ()


def test_space_is_what_would_be_freed(photos: Path, here: Path, tll_index: Run) -> None:
    shutil.copy(photos / "best/a.png", photos / "z_copy.png")
    (here / "elsewhere.png").hardlink_to(photos / "z_copy.png")
    index("photos")
    ((best, other),) = [group.copies for group in dupes(exact=True)]
    assert (best.path, best.nlink, other.nlink) == (str(photos / "best/a.png"), 1, 2)
    assert best.freed_bytes == best.file_bytes and other.freed_bytes == 0
    done = tll_index("dupes", "--exact")
    assert "1 group; 0.0 kB in 1 file besides" in done.err
    assert "1 of them has hard links elsewhere" in done.err
    assert "z_copy.png  (has hard links elsewhere)" in done.out


def test_a_file_outside_is_no_copy_to_delete(here: Path, photos: Path) -> None:
    """What the store knows by links only."""
    (here / "outside").mkdir()
    shutil.copy(photos / "best/a.png", here / "outside/real.png")
    shutil.copy(photos / "best/b.png", here / "outside/first.png")
    shutil.copy(photos / "best/b.png", here / "outside/second.png")
    (photos / "best/b.png").unlink()
    for name in ("real", "first", "second"):
        (photos / f"album/{name}_link.png").symlink_to(here / f"outside/{name}.png")
    index("photos")
    assert dupes(exact=True) == ()
    shutil.copy(photos / "best/a.png", photos / "more.png")
    index("photos")
    found = dupes(exact=True)
    assert copies_in(found) == [[("photos/best/a.png", []), ("photos/more.png", [])]]
    assert uncertain_in(found) == {"outside/real.png": "outside"}
    assert [one.links for one in found[0].uncertain] == [(str(photos / "album/real_link.png"),)]


@pytest.mark.usefixtures("anywhere")
def test_info_and_builds_count_files(here: Path, photos: Path, tll_index: Run) -> None:
    (photos / "album/b_hard.png").hardlink_to(photos / "best/b.png")
    shutil.copy(photos / "best/b.png", photos / "b_copy.png")
    (here / "again").symlink_to("photos")
    done = tll_index("build", "photos", "again", "--follow-links", "--backbone", "tiny")
    assert "8 added" in done.out  # each name is indexed
    lines = done.out.splitlines()
    assert "1 of the added is a copy of a picture indexed before, " in lines[1]
    assert "5 are other paths to files indexed before" in lines[1]
    assert "2 different, at 8 paths of 3 files" in tll_index("info").out
    facts = json.loads(tll_index("info", "--format", "json").out)
    assert (facts["images"], facts["paths"], facts["files"]) == (2, 8, 3)


def test_many_links_are_not_counted(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (photos / "album/b_hard.png").hardlink_to(photos / "best/b.png")
    index("photos")
    monkeypatch.setattr(describing, "_MOST_PATHS", 2)
    with Store.open() as store:
        assert store.info()["files"] is None


def test_a_file_is_no_pair_with_itself(here: Path, tll_index: Run) -> None:
    """Nor with what was another picture at the last build, and is a link to it now."""
    paths = fill_folder(here / "photos", 8)
    for number, path in enumerate(paths[:4]):
        (here / f"photos/link{number}.png").symlink_to(path.name)
        (here / f"photos/hard{number}.png").hardlink_to(path)
    lens = Lens("tiny", 16, adaptation=np.eye(16, dtype=np.float32)[:6])
    build(["photos"], rules=Rules(follow_links=True), recipe=Recipe("tiny", lens=lens))
    paths[7].unlink()
    paths[7].symlink_to(paths[0].name)
    done = tll_index("pairs", "--json")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert found and "gone or changed" in done.err
    for pair in found:
        left, right = ({os.stat(path).st_ino for path in pair[side]["paths"]} for side in SIDES)
        assert not left & right


def test_hits_tell_of_other_paths_not_of_copies(photos: Path, tll_index: Run) -> None:
    (photos / "album/b_hard.png").hardlink_to(photos / "best/b.png")
    index("photos")
    assert "(and 1 other path)" in tll_index("query", "photos/best/a.png").out


def test_as_csv_and_as_a_page(photos: Path, tll_index: Run) -> None:
    (photos / "album/a_hard.png").hardlink_to(photos / "best/a.png")
    for name in ("x", "y"):
        shutil.copy(photos / "best/a.png", photos / f"{name}.png")
    index("photos")
    (photos / "y.png").unlink()
    done = tll_index("dupes", "--exact", "--format", "csv", "--html", "dupes.html")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert [(row["group"], row["role"], row["state"], row["nlink"]) for row in rows] == [
        ("1", "best", "ok", "2"),
        ("1", "copy", "ok", "1"),
        ("1", "uncertain", "gone", ""),
    ]
    assert json.loads(rows[0]["links"]) == [str(photos / "best/a.png")]
    page = Path("dupes.html").read_text("utf-8")
    assert "1 picture that is here more than once" in page
    assert "same file: photos/best/a.png" in page and "gone" in page
    table = tll_index("dupes", "--exact").out.splitlines()
    assert [line.split()[-2:] for line in table] == [
        ["best", "photos/album/a_hard.png"],
        ["file", "photos/best/a.png"],
        ["equal", "photos/x.png"],
        ["gone", "photos/y.png"],
    ]


class Unhelpful:
    """`os.stat` of a file system without numbers of files, or with another each time."""

    def __init__(self, below: Path, steady: bool) -> None:
        self.below, self.steady, self.calls = os.fsencode(below), steady, 0
        self.stat = os.stat

    def __call__(self, path: bytes | str, **options: bool) -> os.stat_result:
        status = self.stat(path, **options)
        if not os.fsencode(path).startswith(self.below):
            return status
        self.calls += 1
        names = ("st_atime_ns", "st_mtime_ns", "st_ctime_ns")
        values = list(status)
        values[1] = 0 if self.steady else self.calls
        return os.stat_result(values, {name: getattr(status, name) for name in names})


@pytest.mark.parametrize("steady", [True, False])
def test_where_files_have_no_numbers(
    steady: bool, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such file systems can't be mounted here: what the system says is replaced."""
    (photos / "a_link.png").symlink_to("best/a.png")
    shutil.copy(photos / "best/a.png", photos / "copy.png")
    index("photos")
    monkeypatch.setattr(os, "stat", Unhelpful(photos, steady))
    (group,) = found = dupes(exact=True)
    assert copies_in(found) == [[("photos/best/a.png", ["photos/a_link.png"])]]
    assert uncertain_in(found) == {"photos/copy.png": "unknown"}
    assert group.copies[0].same_file is None
