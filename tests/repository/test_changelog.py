"""CHANGELOG.md has a section for each release, the newest first, and one for what comes."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

from tll_index import __version__

CHANGELOG = Path(__file__).resolve().parents[2] / "CHANGELOG.md"


def test_releases_come_newest_first() -> None:
    first, *rest = re.findall(r"^## (.*)$", CHANGELOG.read_text(), re.MULTILINE)
    assert first == "Unreleased"
    releases = []
    for heading in rest:
        found = re.fullmatch(r"(\d+)\.(\d+)\.(\d+) \((\d{4}-\d\d-\d\d)\)", heading)
        assert found is not None, heading
        releases.append((tuple(map(int, found.groups()[:3])), date.fromisoformat(found[4])))
    assert releases == sorted(releases, reverse=True)
    numbers = [number for number, _ in releases]
    assert len(set(numbers)) == len(numbers)
    assert ".".join(map(str, numbers[0])) == __version__  # of core/version.py
