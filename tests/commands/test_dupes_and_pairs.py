"""`dupes` and `pairs` on the command line: tables, JSON, pages, exit statuses."""

from __future__ import annotations

import csv
import io
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
from sklearn.datasets import load_sample_image

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
    cells = [line.split() for line in tll_index("dupes").out.splitlines()]
    assert [word[-1] for word in cells] == [
        "photos/large.png",
        "photos/again.png",
        "photos/picture0002.png",
    ]
    assert cells[0][-2] == "best" and all(float(word[-2]) > 0.92 for word in cells[1:])


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


@pytest.mark.slow
def test_ctrl_c_ends_in_order(
    photos: Path, spawn: Callable[..., subprocess.Popen[bytes]], monkeypatch: pytest.MonkeyPatch
) -> None:
    log = photos.parent / "passes"
    tiny.watch(monkeypatch, log, seconds=60)
    process = spawn("pairs")
    while not log.exists() and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=500)
    assert process.returncode in (130, -signal.SIGINT)
    assert out == b"" and err.strip().endswith(b"stopped")


@pytest.mark.slow
def test_mirrored_and_turned_copies_are_marked_in_every_format(here: Path, tll_index: Run) -> None:
    (here / "photos").mkdir()
    photo = Image.fromarray(load_sample_image("china.jpg")).resize((320, 214))
    photo.save("photos/best.png")
    small = photo.resize((240, 160))
    small.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save("photos/mirrored.png")
    small.transpose(Image.Transpose.ROTATE_270).save("photos/turned.png")  # clockwise by 90
    build(["photos"], recipe=Recipe("tiny", lens=LENS))
    (group,) = map(json.loads, tll_index("dupes", "--json").out.splitlines())
    lies = {
        os.path.basename(copy["path"]): (copy["mirrored"], copy["turned"])
        for copy in group["copies"]
    }
    assert lies == {"best.png": (False, 0), "mirrored.png": (True, 0), "turned.png": (False, 90)}
    assert json.loads(tll_index("dupes", "--format", "json").out) == [group]
    table = tll_index("dupes", "--html", "page.html").out
    page = Path("page.html").read_text("utf-8")
    for text in (table, page):
        assert ", mirrored" in text and ", turned 90" in text
    rows = list(csv.DictReader(io.StringIO(tll_index("dupes", "--format", "csv").out)))
    assert [(row["group"], row["mirrored"], row["turned"]) for row in rows] == [
        ("1", json.dumps(copy["mirrored"]), str(copy["turned"])) for copy in group["copies"]
    ]


@pytest.mark.parametrize(
    "truth",
    [
        "Group,Note,PATH\na,x,photos/again.png\na,,photos/picture0002.png\n"
        "b,,photos/picture0003.png\nb,,photos/gone.png\n",
        '[["photos/again.png", "photos/picture0002.png"], '
        '["photos/picture0003.png", "photos/gone.png"]]',
        '{"a": ["photos/again.png", "photos/picture0002.png"], '
        '"b": ["photos/picture0003.png", "photos/gone.png"]}',
    ],
)
def test_groups_that_are_known(truth: str, photos: Path, tll_index: Run) -> None:
    Path("truth").write_text(truth)
    done = tll_index("dupes", "--exact", "--evaluate", "truth", "--json", "-q")
    found = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert (found["precision"], found["recall"]) == (1.0, 0.5)
    assert (found["pairs_found"], found["pairs_right"], found["pairs_known"]) == (1, 1, 2)
    gone, other = str(photos / "gone.png"), str(photos / "picture0003.png")
    assert found["missed"] == [[gone, other]] and found["false"] == []
    assert found["not_in_the_store"] == [gone] and found["known_files"] == 4
    table = tll_index("dupes", "--exact", "--evaluate", "truth")
    assert table.code == 0 and "missed" in table.out and "1 of 4 known files" in table.out


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        ("", "names no file"),
        ("path,kind\na.png,1\n", "line 1: the header is path,kind"),
        ("path,group\na.png\n", "line 2: has 1 columns"),
        ("path,group\na.png,\n", "line 2: has no group"),
        ("path,group\na.png,1\na.png,2\n", "line 3: a.png is in two groups"),
        ('[["a.png"], "b.png"]', "group 2: is not a list of paths"),
        ('[["a.png"]', "is not JSON"),
    ],
)
def test_a_truth_that_can_not_be(truth: str, said: str, photos: Path, tll_index: Run) -> None:
    Path("truth").write_text(truth)
    done = tll_index("dupes", "--exact", "--evaluate", "truth")
    assert (done.code, done.out) == (1, "")
    assert said in done.err and len(done.err.strip().splitlines()) == 1
