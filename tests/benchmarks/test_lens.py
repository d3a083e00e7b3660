"""The study of the lens: on drawn pairs, its files agree with each other and with `eval`."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pictures import noise
from tll_index.engine.lens.experiment import cross_validate, load_pairs
from tll_index.engine.lens.options import TrainingOptions

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"pca": 8, "outputs": 6, "batch": 0, "epochs": 3}
PAIRS, UNLABELLED, FOLDS, SEEDS = 30, 8, 3, 2


@pytest.fixture
def tll(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(ROOT)
    pytest.importorskip("matplotlib", reason="the extra bench is not installed")
    import benchmarks.lens.__main__

    return benchmarks.lens.__main__


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pairs in Kaggle's layout: the right picture is the left one with another mixed in."""
    root = tmp_path / "data"
    for side in ("train/left", "train/right", "test/left"):
        (root / side).mkdir(parents=True)
    rows = ["left,right"]
    for number in range(PAIRS):
        left, other = noise(number), noise(1000 + number)
        left.save(root / f"train/left/a{number:02}.png")
        Image.blend(left, other, 0.45).save(root / f"train/right/b{number:02}.png")
        rows.append(f"a{number:02},b{number:02}")
    for number in range(UNLABELLED):
        noise(2000 + number).save(root / f"test/left/c{number:02}.png")
    (root / "train.csv").write_text("\n".join(rows) + "\n")
    return root


@pytest.fixture
def done(
    tll: ModuleType, data: Path, tmp_path: Path, one_thread: None
) -> tuple[Path, dict[str, Any]]:
    """A folder with what a small study wrote, and its JSON."""
    systems = sys.modules["benchmarks.lens.trials"]
    rows = systems.systems(**SMALL)
    for change in ({"csls": 0.0}, {"unlabelled": False}, {"scaling": "none"}):
        options = replace(rows[3].options, **change)
        rows.append(systems.System(next(iter(change)), f"with {change}", "trained", options))
    out = tmp_path / "out"
    written = tll.run(data, rows, seeds=SEEDS, folds=FOLDS, out=out, backbone="tiny")
    assert all(path.stat().st_size for path in written)
    assert {path.name for path in written} == {path.name for path in out.iterdir()}
    return out, json.loads((out / "tll.json").read_text())


@pytest.mark.slow
def test_all_files_tell_the_same(
    done: tuple[Path, dict[str, Any]], data: Path, tll: ModuleType
) -> None:
    out, result = done
    rows = {row["key"]: row for row in result["rows"]}
    ours = rows["ours"]
    assert list(rows)[:4] == ["plain", "pca", "paper", "ours"] and len(rows) == 7
    assert result["data"]["pairs"] == PAIRS and result["data"]["unlabelled"] == UNLABELLED

    lines = (out / "tll.md").read_text().splitlines()
    header = next(line for line in lines if line.startswith("| |"))
    cells = [re.findall(r"[^|]+", line) for line in lines if line.startswith("| ours |")]
    assert f"{ours['mean']['top2']:.3f} ± {ours['spread']['top2']:.3f}" == cells[0][2].strip()
    assert {line.count("|") for line in lines if line.startswith("|")} == {header.count("|")}

    # What `tll-index eval` would say: nothing of the study's own, and no remembered projection.
    options = TrainingOptions.of_record(ours["options"])
    material = load_pairs(data, "tiny", options=options)
    for seed, top2 in enumerate(ours["each_seed"]["top2"]):
        again = cross_validate(material, replace(options, seed=seed), count=FOLDS)
        assert again.scores.as_dict()["top2"] == top2
    for row in rows.values():
        assert row["mean"]["top2"] == pytest.approx(np.mean(row["each_seed"]["top2"]), abs=2e-6)
        low, high = row["top2_ci95"]
        assert low <= row["mean"]["top2"] <= high
        difference = row["mean"]["top2"] - ours["mean"]["top2"]
        assert row["top2_against_ours"] == pytest.approx(difference, abs=2e-6)
        assert row["pictures_per_second"] > 0 and row["cost"] > 0
        if row["part"] == "systems":
            assert len(row["top_k"]) == 20 and row["top_k"] == sorted(row["top_k"])
            assert row["top_k"][1] == pytest.approx(row["mean"]["top2"], abs=2e-6)
            assert row["top_k"][4] == pytest.approx(row["mean"]["top5"], abs=2e-6)
    assert rows["plain"]["dimension"] == 16 and rows["pca"]["dimension"] == 8
    assert ours["dimension"] == 8 and rows["csls"]["dimension"] == 6
    assert len(ours["curves"]["loss"]) == len(ours["curves"]["top2"]) == 3
    assert ours["mean"]["top2"] > 0.2  # chance is 0.2 of 10 in a fold

    for name in ("tll_learning.png", "tll_top_k.png"):
        with Image.open(out / name) as drawing:
            assert min(drawing.size) > 400

    page = (out / "tll.html").read_text()
    assert {"best", "worst", "surprising"} == set(re.findall(r'<section id="(\w+)"', page))
    assert "http" not in page.replace("http-equiv", "") and "data:image/jpeg;base64," in page
    named = re.findall(r"train/(?:left|right)/[ab]\d\d\.png", page)
    assert len(named) >= 2 * 12 * 2  # alt and title, of two pictures a pair


def test_projections_are_shared_only_where_they_are_the_same(tll: ModuleType) -> None:
    trials = sys.modules["benchmarks.lens.trials"]
    spec = sys.modules["tiny"].SPEC
    ours = trials.systems(**SMALL)[-1].options
    parts = [np.random.default_rng(0).normal(size=(40, 16)).astype(np.float16)]
    projections = trials.Projections()
    first = projections(parts, spec, ours)
    assert projections([parts[0].copy()], spec, replace(ours, csls=0, epochs=9)) is first
    for other in ({"pca": 7}, {"scaling": "none"}, {"seed": 1}, {"grey": True}):
        assert projections(parts, spec, replace(ours, **other)) is not first
    assert projections([parts[0][1:]], spec, ours) is not first


def test_rows_are_ours_with_one_change(tll: ModuleType) -> None:
    systems = sys.modules["benchmarks.lens.trials"]
    ours = systems.systems()[-1].options
    rows = systems.ablations(ours, mirror=True)
    assert len({row.key for row in rows}) == len(rows) >= 10
    for row in rows:
        changed = {k for k, v in row.options.as_dict().items() if v != ours.as_dict()[k]}
        assert len(changed) == 1 or row.key in {"random-start-long", "relu"}


def test_absent_pictures_are_said_so(
    tll: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLL_ROOT", str(tmp_path / "nowhere"))
    monkeypatch.setattr(sys, "argv", ["tll"])
    with pytest.raises(SystemExit, match=r"nowhere.*TLL_ROOT"):
        tll.main()
