"""Progress as people see it: bars on a terminal, hardly anything elsewhere."""

from __future__ import annotations

import json
import sys
import time

import pytest

from tll_index.core.child_processes import SpokenProgress, relay
from tll_index.core.progress import Progress
from tll_index.rendering.progress import Bars


def bars_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> Bars:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    return Bars()


def work(progress: Progress) -> None:
    progress.start("scanning", None, "files")
    for _ in range(3):
        progress.advance(2)
    progress.start("indexing", 4)
    progress.advance(4)
    progress.note("a remark")
    progress.start("arranging", 9, "vectors")
    progress.advance(3)


def test_nobody_watches(capfd: pytest.CaptureFixture[str]) -> None:
    with Bars() as bars:
        work(bars)
    assert capfd.readouterr().err == "a remark\n"


def test_what_is_done_in_a_moment_is_wiped_away(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with bars_on_a_terminal(monkeypatch) as bars:
        work(bars)
    said = capfd.readouterr().err
    assert "scanning: " in said and "indexing: " in said and "arranging: " in said
    lines = [line.split("\r")[-1].strip() for line in said.split("\n")]
    assert list(filter(None, lines)) == ["a remark"]


def test_what_took_longer_stays(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with bars_on_a_terminal(monkeypatch) as bars:
        bars.start("indexing", 4)
        time.sleep(1.05)
        bars.advance(3)
        bars.start("arranging", 2, "vectors")
    assert "indexing:  75%" in capfd.readouterr().err.split("\n")[0].split("\r")[-1]


def test_a_child_is_heard(capfd: pytest.CaptureFixture[str]) -> None:
    """What a child says of its progress, its parent's bar shows."""
    heard: list[object] = []

    class Heard(Progress):
        def start(
            self, what: str, total: int | None, unit: str = "pictures", done: int = 0
        ) -> None:
            heard.append((what, total, unit, done))

        def advance(self, count: int = 1, **_: float) -> None:
            heard.append(count)

    work(SpokenProgress())
    for line in capfd.readouterr().out.splitlines():
        assert relay(*json.loads(line), Heard())
    assert heard[0] == ("scanning", None, "files", 0) and heard[-1] == 3
    assert not relay("StoreError", "no", Heard())
