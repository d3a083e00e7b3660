"""What the benchmark of faces says of pairs, by kind."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

import numpy as np
import pytest


@pytest.fixture
def faces() -> ModuleType:
    return import_module("benchmarks.lens.faces")


def test_each_kind_is_compared_by_itself(faces: ModuleType) -> None:
    before, after = np.array([0.0, 0.5, 1.0, 0.25]), np.array([1.0, 0.5, 0.5, 0.25])
    rows = faces.compared(before, after, np.array([2, 0, 2, 2]))
    assert [(row["kind"], row["pairs"]) for row in rows] == [
        ("no face", 1),
        ("a face on both sides", 3),  # no pair shows one on one side alone
        ("all pairs", 4),
    ]
    both = rows[1]
    assert both["difference"] == pytest.approx(both["with"] - both["without"])
    assert both["ci95"][0] <= both["difference"] <= both["ci95"][1]
    table = faces.table(rows)
    assert "| a face on both sides | 3 | 0.417 | 0.583 | +0.167 (" in table
