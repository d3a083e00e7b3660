"""Pictures out of pipes, and stores that are no folders: done, or said what to do."""

from __future__ import annotations

import os
import pty
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import tiny
from conftest import Result
from pictures import fill_folder
from tll_index import Recipe, build

Run = Callable[..., Result]
TLL = f'tll() {{ {shlex.quote(sys.executable)} {shlex.quote(tiny.__file__)} "$@"; }}'


@pytest.fixture
def photos(here: Path) -> list[Path]:
    paths = fill_folder(here / "photos", 5)
    build(["photos"], recipe=Recipe("tiny", lens="none"))
    return paths


def in_shell(
    line: str, more: dict[str, str] | None = None, **options: Any
) -> subprocess.CompletedProcess[str]:
    """A line of bash, in which tll is the command, $A and $B are pictures."""
    return subprocess.run(
        ["bash", "-c", f"{TLL}; {line}"],
        env={
            **os.environ,
            "A": "photos/picture0001.png",
            "B": "photos/picture0002.png",
            **(more or {}),
        },
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
        **options,
    )


@pytest.mark.parametrize(
    "line",
    [
        "tll query - --paths -k 2 < $A",
        "cat $A | tll query - --paths -k 2",
        "cat $A | tll query /dev/stdin --paths -k 2",
        "tll query /dev/stdin --paths -k 2 < $A",
        "cat $A | tll query /dev/fd/0 --paths -k 2",
        "tll query <(cat $A) --paths -k 2",
        "tll query --plus <(cat $A) --minus <(cat $B) --paths -k 2",
        "cat $A | tll why - $B --json",
        "tll why <(cat $A) <(cat $B) --json",
        "tll why $A <(cat $B) --json",
        "tll query <(cat $A) --paths -k 2 --html page.html",
    ],
)
@pytest.mark.slow_after_first
def test_pictures_out_of_pipes(photos: list[Path], line: str) -> None:
    done = in_shell(line)
    assert done.returncode == 0 and done.stdout, done
    if "query" in line:
        assert len(done.stdout.splitlines()) == 2
    if "--html" in line:
        assert Path("page.html").read_text().count("data:image/") == 3  # asked with, found


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("tll query <(head -c 3000000 /dev/zero)", "has more than 1 MiB"),
        ("tll query - < /dev/zero", "standard input: has more than 1 MiB"),
        ("yes | tll query /dev/stdin", "/dev/stdin: has more than 1 MiB"),
        ("echo hello | tll query -", "standard input: is not a picture"),
        ("tll query <(echo hello)", "/dev/fd/"),
        ("tll why photos/picture0001.png <(echo hello)", "/dev/fd/"),
        ("true | tll query -", "is empty"),
        ("tll query - <&-", "standard input: is closed"),
        ("tll query /dev/fd/9", "/dev/fd/9: is closed"),
        (
            "mkfifo pipe && tll query pipe",
            "is a pipe, not a file; pass its picture by standard input",
        ),
        ("tll query /dev/null", "not a regular file"),
    ],
)
def test_what_no_picture_comes_out_of(photos: list[Path], line: str, says: str) -> None:
    done = in_shell(f"export TLL_MAX_MEGABYTES=1; {line}")
    assert done.returncode == 1 and not done.stdout, done
    assert says in done.stderr and done.stderr.count("\n") == 1, done.stderr


def test_a_terminal_is_no_picture(photos: list[Path]) -> None:
    """Nobody types one; so it isn't waited for."""
    ours, theirs = pty.openpty()
    try:
        done = in_shell("tll query -", stdin=theirs)
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == 2 and "query - < photo.jpg" in done.stderr


@pytest.mark.parametrize("command", ["info", "query", "build", "verify", "forget", "serve"])
@pytest.mark.parametrize(
    ("named", "says"),
    [
        (".tll-index/store.json", "is a part of the store HERE/.tll-index: name that folder"),
        (".tll-index/catalog.mdb", "is a part of the store HERE/.tll-index: name that folder"),
        (".tll-index/new", "is a part of the store HERE/.tll-index: name that folder"),
        ("photos/picture0001.png", "is a file, and a store is a folder"),
    ],
)
def test_a_store_is_a_folder(
    photos: list[Path], here: Path, tll_index: Run, command: str, named: str, says: str
) -> None:
    rest = {"query": [photos[0]], "forget": [photos[0]], "build": ["photos"]}.get(command, [])
    before = sorted(os.listdir(here / ".tll-index"))
    result = tll_index(command, *rest, "--store", named)
    assert result.code == 2 and result.err.count("\n") == 1
    assert says.replace("HERE", str(here)) in result.err
    assert sorted(os.listdir(here / ".tll-index")) == before


def test_the_folder_of_the_pictures_is_not_their_store(photos: list[Path], tll_index: Run) -> None:
    (Path("photos") / ".tll-index").symlink_to("../.tll-index")
    result = tll_index("info", "--store", "photos")
    assert result.code == 1 and "name the one of its pictures: --store " in result.err
    assert tll_index("info", "--store", result.err.split("--store ")[1].strip()).code == 0


def test_forget_says_what_the_next_build_does(photos: list[Path], tll_index: Run) -> None:
    result = tll_index("forget", photos[0])
    assert "still there: 1 file (" in result.err and "no longer built" not in result.err
    assert "1 added" in tll_index("build").out
    result = tll_index("forget", "photos")
    assert "still there" not in result.err
    assert f"no longer built from {photos[0].parent}" in result.err
    assert result.out == "forgot 5 paths, 5 pictures\n"
    nothing = tll_index("build")
    assert nothing.code == 2 and "name at least one folder" in nothing.err
    assert "5 added" in tll_index("build", "photos").out
    for path in photos:
        path.unlink()
    tll_index("build", "--allow-empty")
    gone = tll_index("forget", "photos")
    assert gone.code == 0 and "no longer built from" in gone.err


def test_forget_below_and_above_a_folder_of_the_store(here: Path, tll_index: Run) -> None:
    fill_folder(here / "all/deep", 2)
    fill_folder(here / "all", 1, first=7)
    build(["all", "all/deep"], recipe=Recipe("tiny", lens="none"))
    result = tll_index("forget", "all/deep")
    assert "still there: 2 files (" in result.err  # below `all`, which is left
    assert f"no longer built from {here}/all/deep" in result.err
    assert "2 added" in tll_index("build").out
