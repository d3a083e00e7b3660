"""Files are as long as their idea, and a file of tests is never longer than one can read."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[2]
MOST = 500


def test_no_file_of_tests_is_too_long() -> None:
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for path in (ROOT / "tests").rglob("*.py")
    }
    assert len(lines) > 100
    assert {name: count for name, count in lines.items() if count > MOST} == {}
