"""`tll-index why`: what it prints and writes, through a store and without, and how it fails."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

import tiny_layers
from conftest import Result
from pictures import fill_folder
from tiny import lens_with_csls
from tll_index import why

pytestmark = pytest.mark.usefixtures("one_thread", "by_torch")

Cli = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[bytes]"]


@pytest.fixture
def photos(here: Path, home: Path, tll_index: Cli) -> list[Path]:
    """Three pictures; their store is `.tll-index` in the current folder."""
    tiny_layers.install(home / "weights")
    paths = fill_folder(here / "photos", 3)
    assert tll_index("build", "photos", "--backbone", "tiny-layers", "--quiet").code == 0
    return paths


def test_it_says_where_and_draws_it(photos: list[Path], tll_index: Cli) -> None:
    found = why(photos[0], photos[1], store=".tll-index")
    result = tll_index("why", "photos/picture0000.png", photos[1], "--out", "why.png")
    assert result.code == 0 and result.err == "wrote why.png\n"
    lines = result.out.splitlines()
    assert lines[0] == f"score {found.score:.3f}"
    assert lines[2] == "A  photos/picture0000.png"
    assert lines[3] == f"hottest: {found.a.where}, with {found.a.thirds.max():.0%} of the heat"
    assert [int(share.rstrip("%")) for line in lines[4:7] for share in line.split()] == [
        round(100 * share) for share in found.a.thirds.ravel()
    ]
    assert lines[8] == "B  photos/picture0001.png" and len(lines) == 13
    with Image.open("why.png") as image:
        assert image.size == found.image().size


def test_what_is_lost_to_hubs_is_said(photos: list[Path], tll_index: Cli) -> None:
    lens_with_csls().save("hubs.npz")
    result = tll_index("why", *photos[:2], "--backbone", "tiny", "--lens", "hubs.npz")
    found = why(*photos[:2], backbone="tiny", lens="hubs.npz")
    assert abs(found.score - found.cosine) > 0.01
    assert result.out.splitlines()[0] == (
        f"score {found.score:.3f} (cosine {found.cosine:.3f}; {found.score - found.cosine:+.3f} "
        "for how near B is to many pictures)"
    )


def test_json_and_methods(photos: list[Path], tll_index: Cli) -> None:
    for method in ("sum", "mask"):
        result = tll_index("why", *photos[:2], "--method", method, "--json")
        facts = json.loads(result.out)
        wanted = why(*photos[:2], store=".tll-index", method=method).facts()
        assert facts == wanted and facts["method"] == method
        assert facts["a"]["picture"] == str(photos[0])


@pytest.mark.slow
def test_one_from_standard_input(photos: list[Path], spawn: Spawn) -> None:
    arguments = ("why", photos[0], "-", "--backbone", "tiny", "--json")
    process = spawn(*arguments, stdin=subprocess.PIPE)
    out, err = process.communicate(photos[1].read_bytes(), timeout=500)
    facts = json.loads(out)
    assert process.returncode == 0 and facts["b"]["picture"] == "-", err
    assert facts["b"]["heat"] == why(*photos[:2], backbone="tiny").facts()["b"]["heat"]
    process = spawn(*arguments, stdin=subprocess.PIPE)
    _, err = process.communicate(b"not a picture", timeout=500)
    assert process.returncode == 1
    assert err == b"tll-index: standard input: is not a picture of a format known here\n"


def test_without_a_store_the_bundled_backbone(here: Path, tll_index: Cli) -> None:
    a, b = fill_folder(here, 2)
    result = tll_index("why", a, b, "--json")
    assert result.code == 0
    assert result.err == "no store here: using the bundled backbone and its lens\n"
    assert json.loads(result.out)["backbone"].startswith("efficientnet_lite0")


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("a.png", "photos/picture0001.png"), 1, "a.png: no such file"),
        (("-", "-"), 2, "standard input holds one picture: name '-' once"),
        (("{}", "{}", "--out", "why.gif"), 2, "why.gif: the name must end in one of .png, .jpg"),
        (("{}", "{}", "--out", "no/why.png"), 1, "there is no folder"),
        (("{}", "{}", "--out", "-"), 2, "standard output is for the results"),
        (
            ("{}", "{}", "--store", ".tll-index", "--lens", "none"),
            2,
            "--store brings its own backbone",
        ),
        (("{}", "{}", "--store", "elsewhere"), 1, "elsewhere"),
        (("{}", "{}", "--backbone", "nix"), 2, "unknown backbone 'nix'"),
        (("{}", "{}", "--backbone", "tiny", "--method", "sum"), 2, "does not say what it pools"),
        (("{}",), 2, "B is missing"),
    ],
)
def test_failures_are_one_line(
    photos: list[Path], tll_index: Cli, arguments: tuple[str, ...], code: int, says: str
) -> None:
    result = tll_index("why", *(one.format(photos[0]) for one in arguments))
    assert result.code == code and says in result.err and not result.out
    assert "Traceback" not in result.err
    assert not Path("why.gif").exists()
