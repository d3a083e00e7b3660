"""The judgement by eye: the page is blind, a person clicks through it, and the score is theirs."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from chromium import Visit, chromium
from pictures import noise
from tiny import SPEC
from tll_index import Recipe, build
from tll_index.core.errors import DataError
from tll_index.engine.lens.lens import Lens

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[2]
EACH = 14
"""Pictures of either side of the test split; all left ones are queries."""


@pytest.fixture
def judge(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    import benchmarks.lens.judge

    return benchmarks.lens.judge


@pytest.fixture
def out(judge: ModuleType, here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the page of a store and of a lens."""
    for number, side in enumerate(("left", "right")):
        folder = here / "tll/test" / side
        folder.mkdir(parents=True)
        for picture in range(EACH):
            noise(100 * number + picture).save(folder / f"{picture:02}.jpg")
    build([here / "tll"], store=here / "plain.tll", recipe=Recipe("tiny", lens="none"))
    turned = np.random.default_rng(0).normal(size=(12, SPEC.dimension)).astype(np.float32)
    replace(Lens.plain(SPEC), adaptation=turned).save(here / "turned.npz")
    monkeypatch.setenv("TLL_ROOT", str(here / "tll"))
    run(judge, monkeypatch, here / "plain.tll", here / "turned.npz", "--out", here / "out")
    return here / "out"


def run(judge: ModuleType, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["judge", *map(str, arguments)])
    judge.main()


def data_of(out: Path) -> dict[str, Any]:
    text = (out / "judge.html").read_text()
    found = re.search(r'<script type="application/json" id="data">(.*)</script>', text)
    assert found is not None
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_page_does_not_say_whose_is_which(out: Path) -> None:
    text, data = (out / "judge.html").read_text(), data_of(out)
    key = json.loads((out / "key.json").read_text())
    assert (
        "plain" not in text
        and "turned" not in text
        and "http" not in text.replace("http-equiv", "")
    )
    assert [Path(name).name for name in key["systems"]] == ["plain.tll", "turned.npz"]
    assert len(data["rows"]) == len(key["queries"]) == EACH
    sides = set()
    for row in data["rows"]:
        first, second = key["queries"][row["query"]]
        assert sorted([row["left"], row["right"]]) == sorted([first, second])
        assert len(set(first)) == len(set(second)) == 10 and row["query"] not in first + second
        sides.add(row["left"] == first)
    assert sides == {True, False}


def test_what_is_scored(judge: ModuleType) -> None:
    key = {
        "contest": "abc",
        "systems": ["a", "b"],
        "queries": {
            "left/1": [["x", "y"], ["y", "z"]],
            "left/2": [["x", "v"], ["w", "z"]],
            "left/3": [["x"], ["y"]],
        },
    }
    judged = {"left/1": ["x", "y"], "left/2": ["v", "x"]}
    found = judge.scored(key, {"contest": "abc", "judged": judged})
    assert [one["of_ten"] for one in found["systems"]] == [2, 0.5]
    assert found["difference"] == [1.5, 1, 2] and found["wins"] == [2, 0]
    text = judge.table(found)
    assert "2 of 3 queries judged." in text and "| a | 2.00 | 2 queries |" in text
    assert "+1.50 (+1.00 to +2.00)" in text
    for results in (
        {"contest": "other", "judged": judged},
        {"contest": "abc", "judged": {}},
        {"contest": "abc", "judged": {"left/9": []}},
        {"contest": "abc"},
    ):
        with pytest.raises(DataError):
            judge.scored(key, results)


def test_queries_and_sides_stay_the_same(judge: ModuleType) -> None:
    pictures = tuple(Path(f"left/{number}.jpg") for number in range(60))
    one = judge.Contest(("a", "b"), pictures, ([], []))
    other = judge.Contest(("c", "d"), pictures, ([], []))
    assert one.on_the_left() == other.on_the_left()
    assert 20 <= sum(one.on_the_left()) <= 40 and one.id != other.id


def test_a_lens_that_is_not_there(
    judge: ModuleType, out: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(SystemExit, match=r"nowhere\.npz is no lens and no store"):
        run(judge, monkeypatch, "nowhere.npz", "none", "--out", out)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    visit = Visit(browser)
    yield visit
    visit.close()
    assert not visit.faults and not visit.said


def place(page: Page) -> str:
    return page.locator("#place").inner_text()


@pytest.mark.browser
def test_a_person_clicks_through(
    judge: ModuleType,
    out: Path,
    visit: Visit,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = data_of(out)["rows"]
    url = (out / "judge.html").as_uri()
    page = visit.open(url)
    expect(page.locator(".tile")).to_have_count(20)
    assert page.evaluate("[...document.images].every(one => one.complete && one.naturalWidth)")
    first, both = rows[0]["left"][0], set(rows[0]["left"]) & set(rows[0]["right"])
    page.locator("#left .tile").first.click()
    expect(page.locator(f'#left .tile[data-name="{first}"]')).to_have_attribute(
        "aria-pressed", "true"
    )
    expect(page.locator(".tile[aria-pressed=true]")).to_have_count(1 + (first in both))
    page.keyboard.press("w")
    second = rows[0]["right"][1]
    page.keyboard.press("w")  # and off again
    expect(page.locator(f'#right .tile[data-name="{second}"]')).to_have_attribute(
        "aria-pressed", str(second == first).lower()
    )
    page.keyboard.press("ArrowRight")
    assert place(page) == f"Query 2 of {EACH}, 1 judged"
    page.get_by_role("button", name="Next").click()
    page.keyboard.press("ArrowLeft")
    assert place(page) == f"Query 2 of {EACH}, 2 judged"
    page.reload()  # what was marked is kept, and it goes on where nothing is yet
    expect(page.locator("#place")).to_have_text(f"Query 3 of {EACH}, 2 judged")
    for _ in range(EACH - 2):
        page.keyboard.press("1")
        page.keyboard.press("ArrowRight")
    expect(page.locator("#place")).to_have_text(f"Query {EACH} of {EACH}, {EACH} judged")
    with page.expect_download() as download:
        page.get_by_role("button", name="Save results.json").click()
    saved = out / "results.json"
    download.value.save_as(saved)
    judged = json.loads(saved.read_text())["judged"]
    assert judged[rows[0]["query"]] == [first] and judged[rows[1]["query"]] == []
    assert all(judged[row["query"]] == [row["left"][0]] for row in rows[2:])
    capsys.readouterr()
    run(judge, monkeypatch, "--score", saved, "--out", out)
    assert f"{EACH} of {EACH} queries judged." in capsys.readouterr().out
    assert json.loads((out / "score.json").read_text())["judged"] == EACH
