"""file: URLs wherever a path is taken; our own hyperlinks are such."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

import pytest

import tiny
from conftest import Result
from pictures import fill_folder
from tll_index import Recipe, Store, build, forget, why
from tll_index.core.errors import UsageError
from tll_index.core.file_urls import is_file_url, path_of, pattern_of_url, url_of
from tll_index.core.location import located
from tll_index.core.paths import named
from tll_index.engine.lens.lens import Lens

Run = Callable[..., Result]
HOST = os.uname().nodename
ODD = "ä b#?%41;[x]*'\"&=1"
"""A name that needs all the care there is."""


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("file:///photos/my%20cat.jpg", b"/photos/my cat.jpg"),
        ("FILE:///photos", b"/photos"),
        ("file:/photos/a.jpg", b"/photos/a.jpg"),
        ("file://localhost/photos", b"/photos"),
        ("file://LocalHost/photos", b"/photos"),
        (f"file://{HOST}/photos", b"/photos"),
        (f"file://{quote(HOST.upper())}/photos", b"/photos"),
        (f"file://{HOST.partition('.')[0]}/photos", b"/photos"),
        ("file://127.0.0.1/photos", b"/photos"),
        ("file:////photos//a.jpg", b"/photos//a.jpg"),
        ("file:///photos/%C3%A4%FF.jpg", b"/photos/\xc3\xa4\xff.jpg"),
        ("file:///photos/ä b.jpg", "/photos/ä b.jpg".encode()),
        ("file:///100%.jpg", b"/100%.jpg"),
        ("file:///a#1?.jpg", b"/a#1?.jpg"),
        ("file:///C:/photos", b"/C:/photos"),
    ],
)
def test_what_path_a_url_names(url: str, path: bytes) -> None:
    assert is_file_url(url) and path_of(url) == path == path_of(url.encode())
    assert os.fsencode(named(url)) == os.path.normpath(path) or b"//" in path


@pytest.mark.parametrize("text", ["file", "file:x", "./file:/x", "files:/x", "/file:/x", "x", ""])
def test_what_is_none(text: str) -> None:
    assert not is_file_url(text) and named(text) == Path(text)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("file://elsewhere/photos", "elsewhere.* another machine"),
        ("file://me:secret@elsewhere/photos", "elsewhere.* another machine"),
        ("file://", "names no path"),
        ("file://localhost", "names no path"),
        ("file:///a%00b", "null"),
    ],
)
def test_what_names_no_path_of_this_machine(url: str, says: str) -> None:
    with pytest.raises(UsageError, match=says) as refused:
        path_of(url)
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.parametrize("path", [f"/photos/{ODD}", b"/photos/\xff\n\x1b.jpg", "/"])
def test_a_hyperlink_leads_back(path: str | bytes) -> None:
    url = url_of(path)
    assert path_of(url) == os.fsencode(path) and url.isascii() and url.isprintable()
    assert os.fsdecode(path_of(Path(url_of("/photos").replace(HOST, "")))) == "/photos"


def test_a_pattern_stands_for_what_is_not_escaped() -> None:
    assert pattern_of_url("file:///photos/*/a%5B1%5D%2A.jpg") == "/photos/*/a[[]1][*].jpg"


def test_stores_and_weights(here: Path) -> None:
    assert located(f"file://{here}/S") == here / "S"


@pytest.fixture
def odd(here: Path) -> Path:
    """Pictures in a folder of an odd name."""
    folder = here / ODD
    fill_folder(folder, 6)
    return folder


def test_each_command_takes_one(odd: Path, here: Path, tll_index: Run) -> None:
    first, second = (odd / f"picture000{at}.png" for at in range(2))
    store = ("--store", url_of(str(here / f"S {ODD}")))
    again = here / f"S {ODD}"
    tiny.asked_and_answered().save(here / "lens.npz")

    def done(*arguments: object) -> str:
        result = tll_index(*arguments)
        assert result.code == 0, (arguments, result)
        return result.out

    lens = ("--lens", url_of(str(here / "lens.npz")))
    weights = Path(os.environ["TLL_HOME"]) / "weights/tiny.safetensors"
    made = ("--backbone", "tiny", "--weights", url_of(str(weights)), *lens)
    done("build", url_of(str(odd)), *store, *made, "--report", url_of(str(here / "report")))
    assert again.is_dir() and (here / "report").exists()
    assert "6 different" in done("info", *store)
    assert len(done("query", url_of(str(first)), *store, "-k", 3, "--paths").splitlines()) == 3
    plus = f"{url_of(str(second))}=2"
    out = done(
        "query", url_of(str(first)), "--plus", plus, *store, "--html", url_of(str(here / "p"))
    )
    assert "2" in out and (here / "p").exists()
    only = done("query", url_of(str(first)), *store, "--paths", "--filter", url_of(str(second)))
    assert only.splitlines() == [str(second)]
    done("why", url_of(str(first)), url_of(str(second)), *store)
    done("why", url_of(str(first)), url_of(str(second)), "--backbone", "tiny", *lens)
    done("export", url_of(str(here / "all.npz")), *store)
    done("backup", url_of(str(here / "B")), *store)
    done("copy", url_of(str(here / "B")), url_of(str(here / "C")))
    done("merge", url_of(str(here / "C")), "--store", url_of(str(here / "D")))
    assert all((here / name).exists() for name in ("all.npz", "B", "C", "D"))
    done("dupes", *store)
    done("verify", *store)
    assert "forgot 1 path," in done("forget", url_of(str(first)), *store)
    assert not [name for name in os.listdir(here) if name.lower().startswith("file:")]


def test_learning_takes_one(here: Path, tll_index: Run) -> None:
    for side in ("left", "right"):
        fill_folder(here / "pairs" / side, 8)
    out, data = url_of(str(here / "lens.npz")), url_of(str(here / "pairs"))
    small = ("--epochs", 1, "--pca", 4, "--outputs", 4)
    trained = tll_index("train", data, "--out", out, "--backbone", "tiny", *small)
    assert trained.code == 0, trained
    assert (here / "lens.npz").is_file()
    assert tll_index("eval", data, "--lens", out, "--backbone", "tiny").code == 0


@pytest.mark.parametrize(
    "command",
    [
        ("build", "URL"),
        ("query", "URL"),
        ("query", "x", "--plus", "URL"),
        ("query", "x", "--filter", "URL"),
        ("why", "URL", "x"),
        ("forget", "URL"),
        ("info", "--store", "URL"),
        ("copy", "URL", "x"),
        ("merge", "URL"),
        ("backup", "URL"),
        ("export", "URL"),
        ("import", "URL"),
        ("eval", "URL"),
        ("serve", "--token-file", "URL"),
    ],
)
def test_another_machine_is_one_clear_line(
    command: tuple[str, ...], odd: Path, here: Path, tll_index: Run
) -> None:
    build([odd], store=".tll-index", recipe=Recipe("tiny", lens="none"))
    shutil.copy(odd / "picture0000.png", "x")
    result = tll_index(*(word.replace("URL", "file://elsewhere/a.jpg") for word in command))
    assert result.code == 2 and result.err.count("\n") == 1
    assert "file of another machine" in result.err and result.out == ""


def test_in_python(odd: Path, here: Path) -> None:
    store = url_of(str(here / "S"))
    pictures = [url_of(str(odd / f"picture000{at}.png")) for at in range(2)]
    build([url_of(str(odd))], store=store, recipe=Recipe("tiny", lens="none"))
    with Store.open(store) as opened:
        (hit,) = opened.query(pictures[0], 1)
        (only,) = opened.query(pictures[1], filter=[pictures[0]])
        assert only.path == opened.encode_query(pictures[0]).name == str(odd / "picture0000.png")
        assert why(*pictures, store=opened).facts()
    tiny.asked_and_answered().save(here / "lens.npz")
    assert Lens.load(url_of(str(here / "lens.npz"))).backbone == "tiny"
    assert forget([pictures[0]], store=store).paths == 1
    assert hit.path


def test_every_hyperlink_can_be_given_back(odd: Path, here: Path, tll_index: Run) -> None:
    build([odd], store=".tll-index", recipe=Recipe("tiny", lens="none"))
    shown = tll_index("query", odd / "picture0000.png", "--hyperlinks", "always", "-k", 5).out
    links = re.findall(r"\x1b]8;;([^\x1b]+)\x1b\\", shown)
    assert len(links) == 5
    for link in links:
        assert link.startswith(f"file://{HOST}/")
        assert tll_index("query", link, "--paths", "-k", 1).code == 0
        assert tll_index("forget", link, "-q").code == 0
