"""The benchmark of borders: it tells barred pictures from others, and runs."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image, ImageOps

from pictures import noise
from tll_index.core.config import load_settings
from tll_index.core.progress import Progress
from tll_index.engine.lens.options import TrainingOptions

pytestmark = pytest.mark.usefixtures("one_thread")

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    import benchmarks.lens.borders

    return benchmarks.lens.borders


def letterboxed(image: Image.Image, above: int, below: int) -> Image.Image:
    return ImageOps.expand(image, (0, above, 0, below), "black")


def test_barred_is_above_and_below(benchmark: ModuleType, tmp_path: Path) -> None:
    picture = noise(3, 120, 100)
    cases = [picture, letterboxed(picture, 20, 20), letterboxed(picture, 40, 0)]
    cases += [letterboxed(picture, 5, 5), ImageOps.expand(picture, (30, 0), "black")]
    paths = []
    for number, case in enumerate(cases):
        paths.append(tmp_path / f"{number}.png")
        case.save(paths[-1])
    found = benchmark.are_barred(paths, load_settings(), Progress())
    assert found.tolist() == [False, True, False, False, False]


def test_differences_are_of_pairs(benchmark: ModuleType) -> None:
    barred = np.array([True, False, True, False])
    before, after = (
        benchmark.Outcome(trim, np.array(hits), np.array([0.2, 0.9]) + trim * 0.05)
        for trim, hits in ((False, [0.8, 0.1]), (True, [0.2, 0.1]))
    )
    found = benchmark.summed_up([before, after], barred, np.array([2, 3]))
    assert found["barred_among_queries"] == 1 and found["top2_difference"] == [0.05, 0.05, 0.05]
    text = benchmark.table(found)
    assert "| kept | 80.0% | 10.0% | 0.5500 |" in text
    assert "| left out | 20.0% | 10.0% | 0.6000 |" in text
    assert "pair by pair: +0.0500 (+0.0500 to +0.0500)" in text


@pytest.mark.slow
def test_it_runs(
    benchmark: ModuleType,
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = ["left,right"]
    for folder in ("train/left", "train/right", "test/left", "test/right"):
        (here / folder).mkdir(parents=True)
        for number in range(24):
            picture = noise(number + (30 if folder.startswith("test") else 0), 80, 60)
            picture = letterboxed(picture, 15, 15) if number % 3 == 0 else picture
            picture.save(here / folder / f"{number:02}.jpg")
    rows += [f"{number:02},{number:02}" for number in range(24)]
    (here / "train.csv").write_text("\n".join(rows) + "\n")
    monkeypatch.setenv("TLL_ROOT", str(here))
    arguments = ["--backbone", "tiny", "--folds", "2", "--out", str(here / "out")]
    monkeypatch.setattr(sys, "argv", ["borders", *arguments])
    small = TrainingOptions(pca=8, outputs=6, batch=0, epochs=3)
    monkeypatch.setattr(benchmark, "TrainingOptions", lambda: small)
    benchmark.main()
    found = json.loads((here / "out/borders.json").read_text())
    assert (found["pictures"], found["barred"]) == (96, 32)
    assert (found["queries"], found["barred_among_queries"]) == (24, 8)
    assert [row["trim"] for row in found["rows"]] == [False, True]
    assert "of 24 queries" in capsys.readouterr().out
