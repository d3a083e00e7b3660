"""The benchmark of `why`: what it hides, how it sums up, and that it runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from pictures import noise

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    import benchmarks.lens.why

    return benchmarks.lens.why


def test_cells_and_controls(benchmark: ModuleType) -> None:
    heatmap = np.zeros((28, 28))
    heatmap[4:8, 8:12] = 1  # the cell in the second row, third column
    cells = benchmark.by_cells(heatmap)
    assert cells.shape == (49,) and cells[7 + 2] == cells.sum() == 16
    edges = np.full((70, 70, 3), 9, np.uint8)
    edges[35:39, 62] = 200  # a line in the middle row, last column but its edge
    random = np.random.default_rng(0)
    assert benchmark.CONTROLS["most edges"](edges, random).argmax() == 3 * 7 + 6
    assert benchmark.CONTROLS["the middle"](edges, random).argmax() == 24


def test_differences_are_of_pairs(benchmark: ModuleType) -> None:
    """Losses that vary a lot, and a difference that is the same in each pair."""
    anywhere = np.array([0.1, 0.5, 0.9])
    found = benchmark.summed_up(
        {("hottest by sum", "blurred"): anywhere + 0.2, ("anywhere", "blurred"): anywhere}
    )
    ours, other = found["rows"]
    assert (ours["lost"], other["lost"]) == (0.7, 0.5) and "sum_loses_more" not in ours
    assert other["sum_loses_more"] == [0.2, 0.2, 0.2]
    assert "| anywhere | blurred | 0.500 | sum: +0.200 (+0.200 to +0.200) |" in benchmark.table(
        found
    )


@pytest.mark.slow
def test_it_runs(
    benchmark: ModuleType,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for side, first in (("left", 0), ("right", 10)):
        (here / "train" / side).mkdir(parents=True)
        for number in range(2):
            noise(first + number).save(here / "train" / side / f"{number}.jpg")
    (here / "train.csv").write_text("left,right\n0,0\n1,1\n")
    monkeypatch.setenv("TLL_ROOT", str(here))
    monkeypatch.setattr(sys, "argv", ["why", "--pairs", "2", "--out", str(here / "out")])
    benchmark.main()
    found = json.loads((here / "out/why.json").read_text())
    assert found["pairs"] == 2 and len(found["rows"]) == 4 * 2
    table, wrote = capsys.readouterr().out.split("\n\n")
    assert table.count("\n") + 1 == 2 + 8 and wrote.split() == ["wrote", str(here / "out/why.json")]
