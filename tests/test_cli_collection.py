"""`dupes` and `pairs` on the command line: tables, JSON, pages, exit statuses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tiny
from conftest import Result
from pictures import fill_folder
from tll_index import Lens, Recipe, build

Run = Callable[..., Result]
LENS = Lens("tiny", 16, adaptation=np.random.default_rng(4).normal(size=(6, 16)).astype(np.float32))


@pytest.fixture
def photos(here: Path) -> Path:
    """Twelve indexed pictures, one of them twice; the store is `.tll-index` here."""
    paths = fill_folder(here / "photos", 12)
    shutil.copy(paths[2], here / "photos/again.png")
    build(["photos"], recipe=Recipe("tiny", lens=LENS))
    return here / "photos"


def test_dupes_as_a_table(photos: Path, tll_index: Run) -> None:
    done = tll_index("dupes", "--exact")
    assert done.code == 0
    lines = done.out.splitlines()
    assert [line.split()[-2:] for line in lines] == [
        ["best", "photos/again.png"],
        ["equal", "photos/picture0002.png"],
    ]
    assert "1 group; " in done.err and " in 1 file besides" in done.err
    assert "nothing was deleted" in done.err


def test_only_equal_files_are_called_equal(photos: Path, tll_index: Run) -> None:
    with Image.open(photos / "picture0002.png") as image:
        image.resize((80, 60), Image.Resampling.NEAREST).save(photos / "large.png")
    build(["photos"])
    words = [line.split() for line in tll_index("dupes").out.splitlines()]
    assert [word[-1] for word in words] == [
        "photos/large.png",
        "photos/again.png",
        "photos/picture0002.png",
    ]
    assert words[0][-2] == "best" and all(float(word[-2]) > 0.92 for word in words[1:])


def test_dupes_as_json(photos: Path, tll_index: Run) -> None:
    done = tll_index("dupes", "--exact", "--json", "-q")
    (group,) = map(json.loads, done.out.splitlines())
    assert group["exact"] is True
    assert [os.path.basename(copy["path"]) for copy in group["copies"]] == [
        "again.png",
        "picture0002.png",
    ]
    assert group["copies"][0].keys() >= {"sha256", "width", "height", "file_bytes", "likeness"}
    assert done.err == ""


def test_pages_hold_their_pictures(photos: Path, tll_index: Run) -> None:
    for command in ("dupes", "pairs"):
        done = tll_index(command, "--html", f"{command}.html")
        assert (done.code, f"wrote {command}.html" in done.err) == (0, True)
        page = Path(f"{command}.html").read_text("utf-8")
        assert "<script" not in page and "http" not in page.replace("http-equiv", "")
        assert "{{" not in page
        if command == "dupes":
            assert page.count("data:image/jpeg;base64,") == 2
            assert "again.png" in page


def test_pairs_as_table_and_json_agree(photos: Path, tll_index: Run) -> None:
    table, lines = tll_index("pairs", "--top", "3"), tll_index("pairs", "--top", "3", "--json")
    found = [json.loads(line) for line in lines.out.splitlines()]
    assert found and len(table.out.splitlines()) == 3 * len(found)
    for rank, pair in enumerate(found, start=1):
        assert pair["rank"] == rank
        for side in ("left", "right"):
            assert os.path.relpath(pair[side]["paths"][0]) in table.out


def test_pairs_need_a_lens(photos: Path, tll_index: Run) -> None:
    build(["photos"], store="plain.tll", recipe=Recipe("tiny", lens="none"))
    done = tll_index("pairs", "--store", "plain.tll")
    assert (done.code, done.out) == (1, "")
    assert len(done.err.strip().splitlines()) == 1 and "no trained lens" in done.err


@pytest.mark.parametrize("command", ["dupes", "pairs"])
def test_a_page_without_a_place_is_refused_first(
    command: str, photos: Path, tll_index: Run
) -> None:
    done = tll_index(command, "--html", "nowhere/page.html")
    assert done.code == 1 and "nowhere" in done.err


def test_a_threshold_that_can_not_be(photos: Path, tll_index: Run) -> None:
    done = tll_index("dupes", "--threshold", "1.5")
    assert done.code == 2 and "threshold" in done.err


@pytest.mark.parametrize("command", ["dupes", "pairs"])
def test_no_store(command: str, here: Path, tll_index: Run) -> None:
    done = tll_index(command)
    assert done.code == 1 and "tll-index build" in done.err


def test_names_of_any_bytes(here: Path, tll_index: Run) -> None:
    (here / "photos").mkdir()
    for name in (b"photos/\xff.png", b"photos/new\nline.png"):
        Image.linear_gradient("L").save(os.fsdecode(name), "PNG")
    build(["photos"], recipe=Recipe("tiny", lens=LENS))
    table = tll_index("dupes", "--exact")
    assert table.code == 0 and len(table.out.splitlines()) == 2
    (group,) = map(json.loads, tll_index("dupes", "--exact", "--json").out.splitlines())
    assert [os.fsencode(copy["path"]).rpartition(b"/")[2] for copy in group["copies"]] == [
        b"new\nline.png",
        b"\xff.png",
    ]
    assert tll_index("dupes", "--exact", "--html", "page.html").code == 0


def test_ctrl_c_ends_in_order(
    photos: Path, spawn: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = photos.parent / "passes"
    tiny.watch(monkeypatch, log, seconds=60)
    process = spawn("pairs")
    while not log.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=50)
    assert process.returncode in (130, -signal.SIGINT)
    assert out == b"" and err.strip().endswith(b"stopped")
