"""`--faces`: stores with and without, by the networks that come along."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result
from pictures import fill_folder
from tll_index.engine.backbones.registry import DEFAULT, WITHOUT_FACES

Cli = Callable[..., Result]

NOTE = "faces are compared as well, and nothing leaves this machine; --faces off"


def info(tll_index: Cli, store: str = ".tll-index") -> tuple[str, str]:
    """Backbone of the store, and whether faces are compared."""
    facts = json.loads(tll_index("info", "--store", store, "--json").out)
    return facts["backbone"], facts["faces"]


@pytest.fixture
def pictures(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of three, in a session that says nothing of faces."""
    monkeypatch.delenv("TLL_FACES", raising=False)
    fill_folder(here / "photos", 3)
    return here / "photos"


def test_a_store_says_whether_it_compares_faces(pictures: Path, tll_index: Cli) -> None:
    """And `build` says so once, when it makes the store."""
    first = tll_index("build", pictures)
    assert first.code == 0 and first.err.count(NOTE) == 1
    assert info(tll_index) == (DEFAULT, "on")
    assert "compared as well" in tll_index("info").out
    assert NOTE not in tll_index("build").err
    off = tll_index("build", pictures, "--faces", "off", "--store", "off.tll")
    assert off.code == 0 and NOTE not in off.err
    assert info(tll_index, "off.tll") == (WITHOUT_FACES[DEFAULT], "off")
    found = tll_index("query", pictures / "picture0000.png", "--store", "off.tll", "--json")
    assert found.code == 0 and len(found.out.splitlines()) == 2


def test_a_store_keeps_to_what_it_was_made_as(
    pictures: Path, tll_index: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert tll_index("build", pictures, "--faces", "off").code == 0
    refused = tll_index("build", "--faces", "on")
    assert refused.code == 1 and "was made with another backbone" in refused.err
    assert tll_index("build").code == 0  # which says nothing goes on
    monkeypatch.setenv("TLL_FACES", "on")
    assert tll_index("build").code == 0
    assert info(tll_index) == (WITHOUT_FACES[DEFAULT], "off")


def test_new_stores_go_by_the_setting(
    pictures: Path, tll_index: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLL_FACES", "off")
    assert tll_index("build", pictures).code == 0
    assert info(tll_index) == (WITHOUT_FACES[DEFAULT], "off")
    said = tll_index("build", pictures, "--faces", "on", "--store", "on.tll")
    assert said.code == 0 and info(tll_index, "on.tll") == (DEFAULT, "on")


def test_a_backbone_says_it_by_itself(pictures: Path, tll_index: Cli) -> None:
    result = tll_index("build", pictures, "--faces", "off", "--backbone", DEFAULT)
    assert result.code == 2 and "exclude each other" in result.err
    assert tll_index("build", pictures, "--faces", "maybe").code == 2
