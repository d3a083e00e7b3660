"""What the documents claim is there, is there; what they say twice, they say alike."""

from __future__ import annotations

import re
import sys
from dataclasses import fields
from pathlib import Path
from typing import NamedTuple

import pytest

from documents import PAGES, ROOT, name_of, without_blocks
from floors import ORDER, arrows
from tll_index import Settings

sys.path.insert(0, str(ROOT / "examples"))
from architecture_figures import ROOMS, figures

DOCS = ROOT / "docs"
MOST_WORDS = 900
MOST_LINES = 150


def test_every_promise_names_tests_that_exist() -> None:
    text = (ROOT / "docs/reliability.md").read_text()
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    promises, limits = text.split("## What we don't promise")
    for promise in re.findall(r"^- (.+?)(?=^- |^#|\Z)", promises, re.MULTILINE | re.DOTALL):
        named = re.findall(r"`(test_\w+)`", promise)
        assert named, promise
        for name in named:
            assert f"def {name}(" in tests, name
    assert limits.count("- **") >= 4


def test_the_first_pages_are_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= MOST_WORDS
    assert len((ROOT / "CONTRIBUTING.md").read_text().splitlines()) <= MOST_LINES


@pytest.mark.parametrize("page", [*PAGES, ROOT / "CONTRIBUTING.md"], ids=name_of)
def test_links_lead_to_what_is_there(page: Path) -> None:
    text = without_blocks(page.read_text())
    targets = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r"(?m)^\[.+\]: (\S+)$", text)
    for target in targets:
        path, _, anchor = target.partition("#")
        if "://" in target:
            continue
        there = page.parent / path if path else page
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def anchors(page: Path) -> set[str]:
    """What the headings of a page are called in addresses."""
    titles = re.findall(r"(?m)^#+ (.+)$", without_blocks(page.read_text()))
    return {
        re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", title).strip().lower()) for title in titles
    }


class Figure(NamedTuple):
    """A number that several pages say."""

    owner: str
    """The page that says where it comes from."""
    there: str
    """How it stands there,"""
    elsewhere: str
    """and on any page that repeats it: the group is to be the same."""


FIGURES = {
    "pictures a second through build": Figure(
        "speed.md",
        r"through the whole of `build` \| (\d+) pictures a second",
        r"([\d.]+) pictures a second(?! and core)",
    ),
    "a query from the shell": Figure(
        "speed.md",
        r"a query from the shell \| (a third of a second)",
        r"query\s+(?:from\s+the\s+shell\s+)?takes\s+([\w ]+?)[\],.;\s]*(?:here\b|\n|\()",
    ),
    "top-2 of the shipped recipe": Figure(
        "lens.md",
        r"\*\*the default, with faces\*\* \|.*?\| \*\*(0\.\d+)\*\*",
        r"two\s+best of 20 in\s+(0\.\d+)",
    ),
    "top-2 of plain features": Figure(
        "lens.md", r"plain cosine of the features \|.*?\| (0\.\d+) ±", r"network alone in (0\.\d+)"
    ),
    "bytes of an index": Figure(
        "speed.md", r"index takes (\d+) bytes a vector", r"its index (\d+) bytes more"
    ),
    "disk of an installation": Figure(
        "start.md", r"takes (\d+ MB) of disk", r"takes (\d+ MB) of disk"
    ),
    "memory of a decoder": Figure(
        "limits.md",
        r"A decoder may take up to (\S+ GB)",
        r"decoder may (?:take|need) up to (\S+ GB)",
    ),
}


@pytest.mark.parametrize("name", FIGURES)
def test_pages_say_the_same_number(name: str) -> None:
    owner, there, elsewhere = FIGURES[name]
    said = re.search(there, (DOCS / owner).read_text())
    assert said, f"{owner} has no {name}"
    repeated = 0
    for page in PAGES:
        if page == DOCS / owner:
            continue
        for match in re.finditer(elsewhere, page.read_text()):
            value = next(group for group in match.groups() if group)
            assert value == said[1], f"{name_of(page)}: {match[0]!r}, but {owner} says {said[1]}"
            repeated += 1
    assert repeated, f"no page repeats {name}: look whether its pattern still fits"


def test_every_setting_is_described() -> None:
    """Each with its variable, its key, and its default where that is a value."""
    text = (DOCS / "settings.md").read_text()
    for field in fields(Settings):
        row = re.search(rf"(?m)^\| `TLL_{field.name.upper()}` \| `{field.name}` \|(.+)$", text)
        assert row, field.name
        if field.default and isinstance(field.default, (str, int)):
            assert str(field.default) in row[1], field.name


def test_every_decision_has_a_date_and_a_reason() -> None:
    for page in (DOCS / "decisions").glob("*.md"):
        if page.stem == "index":
            continue
        assert f"({page.name})" in (DOCS / "decisions/index.md").read_text()
        for decision in page.read_text().split("\n## ")[1:]:
            _, _, body = decision.partition("\n\n")
            assert re.match(r"\*20\d\d-\d\d-\d\d\.\* \S", body), decision


def test_the_architecture_names_every_room() -> None:
    page = (DOCS / "architecture.md").read_text()
    svg = figures()["architecture_rooms.svg"]
    for room in ORDER[:-1]:
        name = room.rpartition(".")[2]
        assert re.search(rf"\b{name}\b", svg), room
        assert re.search(rf"`[\w.]*\b{name}`", page), room


def test_the_figure_of_the_rooms_has_them_in_order() -> None:
    """A room imports from rooms in its own row and in rows below."""
    row = {name: number for number, (*_, rooms) in enumerate(ROOMS) for name, _ in rooms}

    def row_of(room: str) -> int:
        return next(row[part] for part in room.split(".") if part in row)

    for room, others in arrows().items():
        for other in {room, *others} - {"."}:
            assert room == "." or row_of(other) >= row_of(room), f"{room} imports {other}"


@pytest.mark.parametrize("name", figures())
def test_figures_are_what_their_program_draws(name: str) -> None:
    """`python examples/architecture_figures.py docs/images` draws them again."""
    assert (DOCS / "images" / name).read_text() == figures()[name]
