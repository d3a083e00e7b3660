"""--quality as people meet it: a lens for the better networks, a store of theirs, and no mixing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result
from pictures import fill_folder
from tll_index.engine.backbones.registry import BEST, DEFAULT, QUALITIES, WITHOUT_FACES
from tll_index.engine.lens.lens import Lens
from training import draw_pairs, one_line, scored

Cli = Callable[..., Result]

SMALL = ("--pca", 8, "--outputs", 4, "--epochs", 1, "--folds", 0, "-q")


def test_from_pairs_to_a_search(here: Path, tll_index: Cli) -> None:
    draw_pairs(here / "pairs")
    fill_folder(here / "photos", 3)
    common = ("pairs", "--quality", "best")
    assert tll_index("train", *common, "--out", "my.npz", *SMALL).code == 0
    lens = Lens.load("my.npz")
    assert (lens.backbone, lens.dimension) == (BEST, 6)
    judged = scored(tll_index("eval", *common, "--lens", "my.npz", "--split", "all", "--json"))
    assert judged["backbone"] == BEST and judged["lens"] == "my.npz"
    built = tll_index("build", "photos", "--quality", "best", "--lens", "my.npz")
    assert built.code == 0 and f"backbone: {BEST}" in built.err
    info = json.loads(tll_index("info", "--json").out)
    assert (info["backbone"], info["quality"], info["dimension"]) == (BEST, "best", 6)
    assert f"{BEST} (--quality best; weights " in tll_index("info").out
    found = tll_index("query", "photos/picture0001.png", "--include-self", "-k", 1, "--json").out
    assert json.loads(found)["path"].endswith("picture0001.png")
    # A store keeps what made it.
    for again in ((), ("--quality", "best")):
        assert tll_index("build", *again).out.startswith("0 added, 0 updated, 3 unchanged")
    message = one_line(tll_index("build", "--quality", "default"), 1)
    assert f"was made with another backbone ({BEST}, asked for {DEFAULT})" in message
    assert "or build another with --store" in message


def test_the_default_is_called_so_too(here: Path, tll_index: Cli) -> None:
    fill_folder(here / "photos", 2)
    assert tll_index("build", "photos", "--backbone", "tiny").code == 0
    assert tll_index("build", "photos", "--quality", "default", "--store", "d.tll").code == 0
    info = json.loads(tll_index("info", "--store", "d.tll", "--json").out)
    assert (info["backbone"], info["quality"]) == (DEFAULT, "default")
    message = one_line(tll_index("build", "--quality", "best", "--store", "d.tll"), 1)
    assert f"was made with another backbone ({DEFAULT}, asked for {BEST})" in message
    assert "quality" not in json.loads(tll_index("info", "--json").out)  # of another backbone


def test_backbones_says_which_they_are(tll_index: Cli) -> None:
    rows = [json.loads(line) for line in tll_index("backbones", "--json").out.splitlines()]
    named = {row["name"]: row["quality"] for row in rows if row["quality"]}
    wanted = {row: quality for quality, row in QUALITIES.items()}
    assert named == {**wanted, **{WITHOUT_FACES[row]: quality for row, quality in wanted.items()}}
    listed = tll_index("backbones").out
    assert "and faces (bundled); --quality best; " in listed


def test_the_best_goes_without_faces_as_well(here: Path, tll_index: Cli) -> None:
    fill_folder(here / "photos", 2)
    assert tll_index("build", "photos", "--quality", "best", "--faces", "off").code == 0
    info = json.loads(tll_index("info", "--json").out)
    assert (info["backbone"], info["quality"]) == (WITHOUT_FACES[BEST], "best")


@pytest.mark.parametrize("command", ["build photos", "train photos --out x.npz", "eval photos"])
def test_a_quality_is_a_backbone(command: str, here: Path, tll_index: Cli) -> None:
    fill_folder(here / "photos", 1)
    both = tll_index(*command.split(), "--quality", "best", "--backbone", "vgg16")
    assert "--quality and --backbone exclude each other" in one_line(both, 2)
    assert "'worst' is not one of" in one_line(tll_index(*command.split(), "--quality", "worst"), 2)
