"""The load test: every row is told, on a few pictures and the tiny network; no time is judged."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import ModuleType

import pytest

from pictures import fill_folder
from tll_index import Recipe, build

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def serving(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """The benchmark, whose processes know the tiny network."""
    monkeypatch.syspath_prepend(ROOT)
    folders = (ROOT / "tests/support", ROOT, os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, folders)))
    import benchmarks.serving

    monkeypatch.setattr(benchmarks.serving, "SERVE", (str(ROOT / "tests/support/tiny.py"), "serve"))
    monkeypatch.setattr(benchmarks.serving, "CROWD", ("-c", CROWD))
    monkeypatch.setattr(benchmarks.serving, "ROUNDS", 1)
    return benchmarks.serving


CROWD = """
from benchmarks import crowd
ask = crowd.in_python
def with_tiny(told):
    import tiny
    tiny.install()
    return ask(told)
crowd.in_python = with_tiny
crowd.main()
"""


def test_every_row_is_told(serving: ModuleType, here: Path) -> None:
    fill_folder(here / "photos", 12)
    new = fill_folder(here / "new", 6, first=100)
    build(["photos"], store="store", recipe=Recipe("tiny", lens="none"))
    found = serving.measured(here / "store", new, clients=4, questions=20)
    rows = found["rows"]
    assert set(rows) == {"id http", "id python", "upload http", "upload python", "thumbnail http"}
    for name, row in rows.items():
        asked = 6 if name.startswith("upload") else 20
        assert row["answers"] == asked and row["a_second"] > 0
        assert 0 < row["p50_ms"] <= row["p95_ms"] <= row["slowest_ms"]
    assert json.loads(json.dumps(found)) == found
    lines = serving.table(found).splitlines()
    assert len(lines) == 6 and "4 at once" in lines[0] and lines[1].startswith("id http")


def test_answers_that_fail_end_it(serving: ModuleType, here: Path) -> None:
    fill_folder(here / "photos", 2)
    build(["photos"], store="store", recipe=Recipe("tiny", lens="none"))
    told = {"kind": "id", "what": ["0" * 64], "clients": 1}
    with serving.served(here / "store") as where, pytest.raises(SystemExit, match="404"):
        serving.crowd({**told, **where})
