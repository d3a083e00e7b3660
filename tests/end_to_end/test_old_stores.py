"""Stores and lenses of older versions, kept as they wrote them: whatever is renamed or moved in the
code, a store opens, answers what it answered, is whole, and goes on. `data/old_stores/make.py` says
how they were made."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import old_stores
from conftest import Result
from old_stores import DATA, STORE, Run, answers, differences, go_on, lens_answers, unpack
from tll_index import Lens, Store

LENSES: dict[str, Any] = json.loads((DATA / "lenses.json").read_text("utf-8"))


@pytest.fixture
def run(tll_index: Callable[..., Result]) -> Run:
    def to_the_end(*arguments: object) -> str:
        done = tll_index(*arguments)
        assert done.code == 0, done.err
        return done.out

    return to_the_end


def wanted(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    return found


def only_written(here: Path) -> dict[str, bytes]:
    """The files of a store that only a writer changes. (LMDB's gets empty tables from whoever opens
    a store of a version that did not have them.)"""
    names = ("store.json", "lens.npz", "vectors.faiss", "words.faiss")
    return {name: path.read_bytes() for name in names if (path := here / STORE / name).exists()}


def kinds() -> list[Any]:
    """Their names; one of each format is fast, and of large networks none."""
    fast = ("format_1", "format_2", "format_4", "format_4_text", "imported", "milvus_lite")
    marks = {name: [pytest.mark.slow] * (name not in fast) for name in old_stores.names()}
    return [pytest.param(name, marks=marks[name], id=name) for name in marks]


@pytest.mark.parametrize("name", kinds())
def test_an_old_store_answers_as_ever_and_goes_on(
    name: str, here: Path, home: Path, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    once = wanted(name)
    if once["asked"]["texts"]:
        monkeypatch.setenv("TLL_RUNTIME", "torch")
        old_stores.as_a_user(home)
    monkeypatch.setenv("TLL_STORE", once["asked"]["store"])
    unpack(name, here)
    before = only_written(here)
    assert not differences(once["before"], answers(run, once["asked"]))
    assert only_written(here) == before, "who asks writes nothing"
    go_on(run, once["then"])
    after = answers(run, once["asked_after"])
    if name.endswith("bundled"):
        # The same weights are another graph by now: what is new differs in the last bit of a half.
        # Which hits it gives, and their scores, are compared all the same.
        for said in (after, once["after"]):
            known = once["before"]["vectors"]
            said["vectors"] = {one: row for one, row in said["vectors"].items() if one in known}
        assert after["vectors"]
    assert not differences(once["after"], after)
    if once["asked"]["store"] == STORE:
        assert once["after"]["whole"], "whatever it was before"
        run("verify", "-q")


@pytest.mark.parametrize("name", LENSES)
def test_an_old_lens_gives_the_same_vectors(name: str, here: Path, run: Run) -> None:
    once = LENSES[name]
    unpack("format_2", here)
    found = lens_answers(run, DATA / f"lenses/{name}.npz", "tiny")
    assert not differences({key: once[key] for key in found}, found)


@pytest.mark.parametrize("name", LENSES)
def test_an_old_lens_is_written_as_a_lens_of_the_same_digest(name: str, here: Path) -> None:
    lens = Lens.load(DATA / f"lenses/{name}.npz")
    lens.save(here / "again.npz")
    again = Lens.load(here / "again.npz")
    assert lens.digest == again.digest == LENSES[name]["lens"]
    assert lens.provenance == again.provenance


def test_every_format_is_here() -> None:
    formats = [wanted(name)["before"]["info"]["format"] for name in old_stores.names()]
    assert set(formats) == {1, 2, 3, 4}
    assert len(formats) >= 14


def test_a_changed_score_is_noticed(here: Path) -> None:
    unpack("format_4", here)
    once = wanted("format_4")
    picture = once["asked"]["pictures"][0]
    with Store.open(STORE) as store:
        found = [[os.path.relpath(hit.path), hit.score] for hit in store.query(picture, 8)]
    assert not differences(once["before"]["hits"][picture], found)
    for digit in range(1, 6):
        changed = copy.deepcopy(once["before"]["hits"][picture])
        changed[3][1] = round(changed[3][1] + 10**-digit, 6)
        assert len(differences(changed, found)) == 1
    changed = [*found[1::-1], *found[2:]]
    assert differences(changed, found), "nor may hits change places"
    assert differences(found[:-1], found)
