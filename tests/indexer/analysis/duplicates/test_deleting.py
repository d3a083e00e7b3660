"""Deleting what `dupes` lists, in the ways that the documents say, costs no picture."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, event, given, reject, settings
from hypothesis import strategies as st

from conftest import Result
from linked_files import mounted
from pictures import encoded, noise
from tll_index import Group, Recipe, build, dupes
from tll_index.core.errors import NoPicturesError
from tll_index.indexer.scan.walk import Rules
from tll_index.rendering.formats import rows_as
from tll_index.rendering.groups import group_rows

Run = Callable[..., Result]

needs_jq = pytest.mark.skipif(shutil.which("jq") is None, reason="there is no jq")

DOCUMENTED = (".copies[1:][].path", ".copies[1:][] | .path, .links[]")
"""What docs/collection.md tells people to delete by."""


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
    docs = Path(__file__).resolve().parents[4] / "docs"
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
    folders = [here / folder for folder in ("r", "s", "out")]
    before, taken = contents(*folders), free_bytes(*folders)
    for path in listed_by(jq, found):
        Path(path).unlink(missing_ok=True)
    after = contents(*folders)
    assert after.keys() == before.keys()
    freed = free_bytes(*folders) - taken
    promised = sum(copy.freed_bytes for group in found for copy in group.copies[1:])
    assert freed == promised if ".links" in jq else freed <= promised
