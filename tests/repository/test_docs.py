"""What the documents claim is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


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
