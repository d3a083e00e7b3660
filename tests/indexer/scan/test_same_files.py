"""One file is one file: whatever paths lead to it, no advice of `dupes` costs the only one."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, reject, settings
from hypothesis import strategies as st

from conftest import Result
from pictures import encoded, fill_folder, noise
from tll_index import Group, Lens, Recipe, Store, build, dupes
from tll_index.core.errors import NoPicturesError
from tll_index.core.progress import Progress
from tll_index.engine.images.decode import Limits
from tll_index.indexer.analysis.duplicates.groups import ShownImage, grouped
from tll_index.indexer.catalog.records import ImageRecord
from tll_index.indexer.scan.file_states import IndexedPath, states_now
from tll_index.indexer.scan.walk import FileState, Rules
from tll_index.indexer.store import info as describing
from tll_index.rendering.formats import rows_as
from tll_index.rendering.groups import group_rows

Run = Callable[..., Result]
SIDES = ("left", "right")
needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq")
DOCUMENTED = (".copies[1:][].path", ".copies[1:][] | .path, .links[]")
"""What docs/collection.md tells people to delete by."""


def index(*roots: str) -> None:
    build(list(roots), rules=Rules(follow_links=True), recipe=Recipe("tiny"))


def told(found: tuple[Group, ...]) -> list[list[tuple[str, list[str]]]]:
    """Each group's copies: path, and the other paths of the same file, from here."""
    return [
        [
            (os.path.relpath(copy.path), [os.path.relpath(path) for path in copy.links])
            for copy in group.copies
        ]
        for group in found
    ]


def uncertain(found: tuple[Group, ...]) -> dict[str, str]:
    return {os.path.relpath(one.path): one.state for group in found for one in group.uncertain}


class Notes(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, line: str) -> None:
        self.lines.append(line)


@pytest.fixture
def photos(here: Path) -> Path:
    """`photos/best/a.png` and `b.png`, two pictures; the folder `photos/album` is empty."""
    for name, seed in (("a", 1), ("b", 2)):
        path = here / "photos/best" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(seed).save(path)
    (here / "photos/album").mkdir()
    return here / "photos"


@contextmanager
def mounted(*arguments: object) -> Iterator[None]:
    """Something mounted at the last of the arguments."""
    done = subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"can't mount here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", str(arguments[-1])], check=True)


# -- one file under several paths ----------------------------------------------


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
    assert told(found) == [
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
    assert told(dupes(exact=True)) == [
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
    assert told(found) == [[("way/album/a.png", []), ("way/best/a.png", [])]]
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
    assert told(found) == [[("photos/best/a.png", []), ("photos/more.png", [])]]
    assert uncertain(found) == {"outside/real.png": "outside"}
    assert [one.links for one in found[0].uncertain] == [(str(photos / "album/real_link.png"),)]


# -- what else counts files --------------------------------------------------------


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


# -- as things are now -----------------------------------------------------------


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
    assert told(found) == [[("photos/a3.png", []), ("photos/best/a.png", [])]]
    assert uncertain(found) == {"photos/a1.png": "gone", "photos/a2.png": "changed"}
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
    assert told(found) == [[("photos/x.bmp", []), ("photos/z.bmp", [])]]
    assert uncertain(found) == {"photos/y.bmp": "changed"}


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
    assert uncertain(dupes(exact=True)) == {"photos/x.png": "changed"}


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
    assert told(found) == [[("photos/one.png", []), ("photos/two.png", [])]]
    assert [copy.likeness for copy in found[0].copies] == [1, 1]
    assert not any(copy.mirrored or copy.turned for copy in found[0].copies)


# -- systems that don't say which file it is ---------------------------------------


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
    assert told(found) == [[("photos/best/a.png", ["photos/a_link.png"])]]
    assert uncertain(found) == {"photos/copy.png": "unknown"}
    assert group.copies[0].same_file is None


# -- what people delete by -----------------------------------------------------------


def contents(*folders: Path) -> dict[str, int]:
    """How many real files there are of each content."""
    found: dict[tuple[int, int], str] = {}
    for folder in folders:
        for path in folder.rglob("*"):  # enters no links
            if path.is_file() and not path.is_symlink():
                status = path.stat()
                digest = hashlib.sha256(path.read_bytes()).hexdigest()
                found[status.st_dev, status.st_ino] = digest
    return dict(Counter(found.values()))


def free_bytes(*folders: Path) -> int:
    """What real files take, each counted once."""
    sizes = {}
    for folder in folders:
        for path in folder.rglob("*"):
            if path.is_file() and not path.is_symlink():
                sizes[path.stat().st_dev, path.stat().st_ino] = path.stat().st_size
    return -sum(sizes.values())


def listed_by(jq: str, groups: tuple[Group, ...]) -> list[str]:
    """What the documented command lists of the command's own rows."""
    lines = rows_as("jsonl", group_rows(groups))
    done = subprocess.run(["jq", "-r", jq], input=lines, capture_output=True, check=True)
    return os.fsdecode(done.stdout).splitlines()


def test_the_documented_commands_are_those_that_are_tried_here() -> None:
    docs = Path(__file__).resolve().parents[2] / "docs"
    told = (docs / "collection.md").read_text() + (docs / "recipes.md").read_text()
    lines = [line for line in told.splitlines() if "dupes" in line and "jq -r" in line]
    assert {line.split("'")[1] for line in lines} == set(DOCUMENTED)


@needs_jq
@pytest.mark.parametrize("jq", DOCUMENTED)
def test_deleting_what_is_listed_costs_no_picture(
    jq: str, here: Path, photos: Path, tll_index: Run
) -> None:
    """Every kind of link at once, through the command line, as the docs say it."""
    (photos / "a_link.png").symlink_to("best/a.png")
    (photos / "album/b_hard.png").hardlink_to(photos / "best/b.png")
    (photos / "way").symlink_to("best")
    (here / "again").symlink_to("photos")
    (here / "outside").mkdir()
    noise(3).save(here / "outside/c.png")
    (photos / "c_link.png").symlink_to("../outside/c.png")
    shutil.copy(here / "outside/c.png", photos / "c.png")
    for name in ("a", "b"):
        shutil.copy(photos / f"best/{name}.png", photos / f"{name}_copy.png")
    (photos / "album/a_copy_hard.png").hardlink_to(photos / "a_copy.png")
    (here / "bound").mkdir()
    with mounted("--bind", photos / "best", here / "bound"):
        done = tll_index("build", "photos", "again", "bound", "photos/album", "--follow-links")
        assert done.code == 0
        before = contents(photos, here / "outside")
        rows = tll_index("dupes", "--exact", "--json", "-q").out
        listed = subprocess.run(
            ["jq", "-r", jq], input=rows, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        assert listed
        for path in listed:
            Path(path).unlink(missing_ok=True)
    after = contents(photos, here / "outside")
    assert after.keys() == before.keys()
    assert after[hashlib.sha256((photos / "c.png").read_bytes()).hexdigest()] == 2


NAMES = [f"{name}.png" for name in "ab"]
FOLDERS = ["r/x", "r/y", "s", "out"]
ROOTS = ["r", "r/x", "s", "way", "s/loop"]
_STEPS = st.one_of(
    st.tuples(
        st.just("write"), st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.integers(0, 2)
    ),
    st.tuples(
        st.sampled_from(("hard", "soft", "copy")),
        st.sampled_from(FOLDERS),
        st.sampled_from(NAMES),
        st.tuples(st.sampled_from(FOLDERS), st.sampled_from(NAMES)),
    ),
    st.tuples(st.just("folder"), st.sampled_from(FOLDERS), st.just("d"), st.sampled_from(FOLDERS)),
)
_LATER = st.one_of(
    _STEPS,
    st.tuples(st.just("delete"), st.sampled_from(FOLDERS), st.sampled_from(NAMES), st.none()),
)


def do(here: Path, pictures: list[bytes], step: tuple[str, str, str, object]) -> None:
    """One step of making a tree, unless it can't be done."""
    what, folder, name, of = step
    path = here / folder / name
    if what != "write" and what != "delete" and (path.exists() or path.is_symlink()):
        return
    if what == "write":
        path.unlink(missing_ok=True)
        path.write_bytes(pictures[int(of)])  # type: ignore[call-overload]
    elif what == "delete":
        path.unlink(missing_ok=True)
    elif what == "folder":
        path.symlink_to(here / str(of), target_is_directory=True)
    else:
        source = here.joinpath(*of)  # type: ignore[misc]
        if what == "soft" and source != path:
            path.symlink_to(source)
        elif source.is_file() and what == "hard":
            path.hardlink_to(source.resolve())
        elif source.is_file() and what == "copy":
            shutil.copy2(source, path)


@pytest.mark.slow
@needs_jq
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    tree=st.lists(_STEPS, min_size=2, max_size=12),
    roots=st.sets(st.sampled_from(ROOTS), min_size=1),
    since=st.lists(_LATER, max_size=5),
    jq=st.sampled_from(DOCUMENTED),
)
def test_in_any_tree(
    tree: list[tuple[str, str, str, object]],
    roots: set[str],
    since: list[tuple[str, str, str, object]],
    jq: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """Files, copies, hard links, links to files and folders, roots in each other, files that
    changed since: after deleting what is listed, every content is left in a real file, and as much
    space is free as was told."""
    here = tmp_path_factory.mktemp("tree")
    for folder in FOLDERS:
        (here / folder).mkdir(parents=True)
    (here / "way").symlink_to("r")
    (here / "s/loop").symlink_to(here / "r/y")
    pictures = [encoded(noise(seed, 20 + seed, 20), "PNG") for seed in range(3)]
    for path in ("r/x/a.png", "r/y/b.png", "s/a.png"):
        (here / path).write_bytes(pictures[0])
    for step in tree:
        do(here, pictures, step)
    store, everywhere = here / "store", [here / root for root in sorted(roots)]
    try:
        build(everywhere, store=store, rules=Rules(follow_links=True), recipe=Recipe("tiny"))
    except NoPicturesError:
        reject()
    for step in since:
        do(here, pictures, step)
    found = dupes(store, exact=True)
    event(f"{len(found)} groups")
    for group in found:
        inodes = [os.stat(copy.path).st_ino for copy in group.copies]
        assert len(set(inodes)) == len(inodes) > 1
        for copy in group.copies:
            assert not os.path.islink(copy.path)
            assert {os.stat(path).st_ino for path in copy.links} <= {os.stat(copy.path).st_ino}
    places = [here / folder for folder in ("r", "s", "out")]
    before, taken = contents(*places), free_bytes(*places)
    for path in listed_by(jq, found):
        Path(path).unlink(missing_ok=True)
    after = contents(*places)
    assert after.keys() == before.keys()
    freed = free_bytes(*places) - taken
    promised = sum(copy.freed_bytes for group in found for copy in group.copies[1:])
    assert freed == promised if ".links" in jq else freed <= promised
