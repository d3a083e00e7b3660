"""The benchmark of speed: every row is told, on toy sizes and the tiny network; no time judged."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import tiny
from pictures import fill_folder
from tll_index.core.config import load_settings
from tll_index.core.progress import Progress
from tll_index.engine.lens.csls import HubnessCorrection
from tll_index.engine.lens.embedder import load_embedder
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit

ROOT = Path(__file__).resolve().parents[2]
EVERY = (
    *(
        "model",
        "build",
        "eight_bits",
        "eight_bits_build",
        "faces",
        "memory",
        "nothing_to_do",
        "help",
        "import",
    ),
    *("cold_query", "cold_parts", "warm_query", "shrink"),
    *("choice", "vectors_1m", "vectors_10m", "growth", "peers_vectors", "peers_images"),
)
CHEAP = ("build", "warm_query", "choice", "vectors_1m", "vectors_10m", "growth")


@pytest.fixture
def speed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The benchmark on forty drawn pictures, half of them left ones."""
    monkeypatch.syspath_prepend(ROOT)
    import benchmarks.speed.__main__

    data = tmp_path / "data"
    fill_folder(data / "train/left", 20)
    fill_folder(data / "train/right", 20, first=100)
    for path in data.rglob("*.png"):
        path.rename(path.with_suffix(".jpg"))  # what a file holds is decided by its content
    monkeypatch.setenv("TLL_ROOT", str(data))
    return benchmarks.speed.__main__


def toy() -> Any:
    quick = sys.modules["benchmarks.speed.workload"].QUICK
    small = {"build_pictures": 12, "query_store": 50, "rounds": 2, "material_pictures": 0}
    vectors = {
        "held_out": 4,
        "growth": (50, 300),
        "million": 300,
        "ten_millions": 300,
        "queries": 6,
    }
    vectors |= {"choice": (60, 300)}
    return replace(quick, name="toy", **small, **vectors)


def chosen(names: Sequence[str]) -> list[Any]:
    return sys.modules["benchmarks.harness"].chosen_rows(
        sys.modules["benchmarks.speed.rows"].ROWS, names
    )


def lens(hubs: bool = True) -> Lens:
    generator = np.random.default_rng(3)
    made = Lens(
        "tiny",
        16,
        mean=generator.normal(size=16).astype(np.float32),
        adaptation=generator.normal(size=(6, 16)).astype(np.float32),
    )
    bank = unit(generator.normal(size=(9, 6)).astype(np.float32))
    return made.with_csls(HubnessCorrection(bank, 3, 0.5)) if hubs else made


def material(made: Lens) -> tuple[Any, np.ndarray]:
    """Material of 40 features, and these; the last 8 are held out."""
    module = sys.modules["benchmarks.speed.dataset"]
    features = np.random.default_rng(5).normal(size=(40, 16)).astype(np.float32)
    values = module.projected(made, features)
    return module.Material(made, values[:32], values[32:], "features"), features


@pytest.mark.slow
def test_each_row_is_told_with_its_goal(
    speed: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    rows = chosen(CHEAP)
    assert speed.run(rows, toy(), out, backbone="tiny", scratch=tmp_path) == 0
    result = json.loads((out / "speed.json").read_text())
    assert result["sizes"] == "toy" and result["note"] and result["machine"]["cores"]
    told = {row["row"]: row for row in result["rows"]}
    assert tuple(told) == EVERY
    for key, row in told.items():
        assert row["what"] and row["goal"] and row["unit"]
        if key in CHEAP:
            assert (
                row["met"] in (True, False) and np.isfinite(row["measured"]) and row["conditions"]
            )
        else:
            assert row["met"].startswith("not measured") and row["measured"] is None
    assert told["vectors_1m"]["figures"]["recall"] == 1.0  # so few are compared exactly
    assert [one["vectors"] for one in told["growth"]["figures"]["sizes"]] == [50, 300]
    assert "growth" in capsys.readouterr().out
    assert not [path for path in tmp_path.iterdir() if path.name.startswith("tmp")]


def test_failed_rows_and_unmeasurable_ones_keep_no_other(
    speed: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    harness = sys.modules["benchmarks.harness"]
    rows = chosen(["model", "help", "shrink"])

    def fails(laboratory: object) -> Any:
        raise ValueError("what happened")

    def cannot(laboratory: object) -> Any:
        raise harness.NotMeasurableError("no such thing")

    def works(laboratory: object) -> Any:
        return harness.Finding(2.0, True)

    ways = (fails, cannot, works)
    rows = [replace(row, measure=way) for row, way in zip(rows, ways, strict=True)]
    assert speed.run(rows, toy(), tmp_path, backbone="tiny") == 1
    told = {row["row"]: row for row in json.loads((tmp_path / "speed.json").read_text())["rows"]}
    assert told["model"]["error"] == "ValueError: what happened" and told["model"]["met"] is False
    assert told["help"]["met"] == "not measurable here: no such thing"
    assert told["shrink"]["met"] is True and told["shrink"]["measured"] == 2.0
    assert "what happened" in capsys.readouterr().out

    def stopped(laboratory: object) -> Any:
        raise KeyboardInterrupt

    rows = [rows[2], replace(rows[1], measure=stopped), rows[0]]
    assert speed.run(rows, toy(), tmp_path, backbone="tiny") == harness.INTERRUPTED
    told = {row["row"]: row for row in json.loads((tmp_path / "speed.json").read_text())["rows"]}
    assert told["shrink"]["met"] is True and told["model"]["met"].startswith("not measured")


def test_rows_are_chosen(
    speed: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert [row.key for row in chosen([])] == list(EVERY)
    assert [row.key for row in chosen(["help", "model"])] == ["model", "help"]
    monkeypatch.setattr(sys, "argv", ["speed", "--rows", "model,nonsense"])
    with pytest.raises(SystemExit) as ended:
        speed.main()
    assert ended.value.code == 2 and "nonsense" in capsys.readouterr().err


@pytest.mark.parametrize("hubs", [True, False])
def test_mixes_are_what_the_lens_makes_of_mixed_features(speed: ModuleType, hubs: bool) -> None:
    made = lens(hubs)
    some, features = material(made)
    of, weights = some.drawn(0)
    order = np.random.default_rng(some.seed).permutation(32)
    mixed = np.einsum("nj,njd->nd", weights[:200], features[order][of[:200]])
    np.testing.assert_allclose(some.block(0)[:200], made.encode_gallery(mixed), atol=2e-5)
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert (weights[:32] == [1, 0, 0]).all() and set(of[:32, 0]) == set(range(32))
    assert (weights[32:, 2] == 0).mean() == pytest.approx(0.5, abs=0.02)


def test_vectors_are_units_the_same_each_time_and_fewer_are_the_first(speed: ModuleType) -> None:
    block = sys.modules["benchmarks.speed.dataset"].BLOCK
    (one, _), (other, _) = material(lens()), material(lens())
    more = np.concatenate(list(one.blocks(block + 500)))
    fewer = np.concatenate(list(other.blocks(100)))
    assert more.shape == (block + 500, 8) and fewer.shape == (100, 8)
    np.testing.assert_allclose(np.linalg.norm(more, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(fewer, more[:100])
    queries = one.queries(5)
    np.testing.assert_allclose(np.linalg.norm(queries, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(queries, other.queries(8)[:5])


def test_pictures_that_ask_are_in_no_mix(
    speed: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedding = sys.modules["benchmarks.speed.dataset"]
    pictures = sys.modules["benchmarks.speed.workload"].real_pictures(tmp_path)
    settings = load_settings()
    embedder = load_embedder("tiny", settings)
    some = embedding.material_of(pictures, embedder, 4, settings, Progress())
    assert some.base.shape == (72, 16) and some.held_out.shape == (8, 16)
    assert not (some.base[:, None] == some.held_out).all(axis=2).any()
    whole, crops = embedding.embedded(pictures.paths, embedder, settings, Progress())
    assert whole.shape == crops.shape and not (whole == crops).all(axis=1).any()
    lefts = [row for row, path in zip(whole, pictures.paths, strict=True) if "left" in path.parts]
    assert all((row == lefts).all(axis=1).any() for row in some.held_out[:4])

    monkeypatch.setattr(type(embedder.backbone), "features", None)  # what is kept needs no network
    again = embedding.material_of(pictures, embedder, 4, settings, Progress())
    np.testing.assert_array_equal(again.base, some.base)


def test_recall_counts_ties_once(speed: ModuleType) -> None:
    truth = sys.modules["benchmarks.speed.dataset"]
    vectors = np.array([[1, 0], [1, 0], [0.6, 0.8], [0, 1]], np.float32)
    exact = truth.exact(vectors, np.array([[1, 0]], np.float32), 1, Progress())
    assert exact.recall([[0]]) == exact.recall([[1]]) == 1.0
    assert exact.recall([[2]]) == exact.recall([[-1]]) == 0.0
    assert truth.exact(vectors, exact.queries, 2, Progress()).recall([[0, 0]]) == 0.5


def test_peers_find_the_nearest_or_say_what_they_lack(speed: ModuleType, tmp_path: Path) -> None:
    import benchmarks.speed.libraries as libraries

    truth = sys.modules["benchmarks.speed.dataset"]
    vectors = unit(np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32))
    np.save(tmp_path / "vectors.npy", vectors)
    np.save(tmp_path / "queries.npy", vectors[:5])
    last = truth.exact(vectors, vectors[:5], 10, Progress()).last.tolist()
    for peer in ("faiss_flat", "numpy", "hnswlib", "usearch"):
        files = str(tmp_path / "vectors.npy"), str(tmp_path / "queries.npy")
        told = libraries.measure(peer, *files, last, 10, 0.95, str(tmp_path / "saved"))
        assert "missing" in told or (told["recall"] >= 0.95 and told["bytes_per_vector"] >= 32)
    assert not (tmp_path / "saved").exists()


@pytest.mark.parametrize("module", ["benchmarks", "benchmarks.speed"])
def test_it_runs_as_a_module(module: str) -> None:
    import subprocess

    done = subprocess.run(
        [sys.executable, "-m", module, "--help"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    assert "--quick" in done.stdout and "peers_vectors" in done.stdout


def test_the_small_network_is_the_tests_in_all_but_width(speed: ModuleType) -> None:
    small = sys.modules["benchmarks.speed.small_network"].SPEC
    assert (small.geometry, small.mean) == (tiny.SPEC.geometry, tiny.SPEC.mean)
