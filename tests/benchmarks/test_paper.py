"""The study of the paper: every row measured or said to lack weights, kept, told and drawn."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from threadpoolctl import threadpool_limits

import tiny
from pictures import noise
from tll_index.engine.backbones import registry
from tll_index.engine.backbones.providers.timm_networks import build
from tll_index.engine.backbones.registry import register, spec_of
from tll_index.engine.evaluation.metrics import evaluate_pairs
from tll_index.engine.images.decode import Geometry
from tll_index.engine.lens.experiment import load_pairs
from tll_index.engine.lens.trainer import train_lens

pytestmark = pytest.mark.usefixtures("by_torch")

ROOT = Path(__file__).resolve().parents[2]
PAIRS, TEST = 44, 6
QUICK = ("--epochs", "3", "--classifier-pairs", "12", "--classifier-epochs", "2", "1", "1")
Study = Callable[..., tuple[int, str, str]]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Pairs in Kaggle's layout, the right picture being the left one with another mixed in, and a
    test split of some more."""
    root = tmp_path / "data"
    for side in ("train/left", "train/right", "test/left", "test/right"):
        (root / side).mkdir(parents=True)
    rows = ["left,right"]
    for number in range(PAIRS + TEST):
        left, other = noise(number), noise(1000 + number)
        part = "train" if number < PAIRS else "test"
        left.save(root / part / f"left/a{number:02}.png")
        Image.blend(left, other, 0.4).save(root / part / f"right/b{number:02}.png")
        rows += [f"a{number:02},b{number:02}"] if part == "train" else []
    (root / "train.csv").write_text("\n".join(rows) + "\n")
    offered = [f"b{number}" for number in range(PAIRS, PAIRS + TEST)]
    lines = [",".join([f"a{number}", *offered]) for number in range(PAIRS, PAIRS + TEST)]
    header = "left," + ",".join(f"c{number}" for number in range(TEST))
    (root / "test_candidates.csv").write_text("\n".join([header, *lines]) + "\n")
    return root


@pytest.fixture
def study(
    data: Path,
    home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Study]:
    """Run the study's command line on `data`, small networks standing in for the bundled one: the
    tiny one for features, a narrow ResNet for the pair classifier's body."""
    monkeypatch.syspath_prepend(ROOT)
    pytest.importorskip("matplotlib", reason="the extra bench is not installed")
    import benchmarks.paper.__main__ as module
    from benchmarks.paper.rows import LAST, STAGES

    monkeypatch.setenv("TLL_ROOT", str(data))
    monkeypatch.setattr(registry, "_registry", dict(registry._registry))
    monkeypatch.setattr(module, "install_stand_ins", lambda: None)
    for name in (LAST, STAGES):
        register(replace(tiny.SPEC, name=name))
        tiny.write_weights(home / "weights" / f"{name}.safetensors")
    small_resnet(registry.IN_FLOAT, home / "weights")

    def run(*arguments: str, out: Path = tmp_path / "out") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["study", *QUICK, "--out", str(out), *arguments])
        capfd.readouterr()
        code = 0
        with threadpool_limits(1):
            try:
                module.main()
            except SystemExit as ended:
                code = ended.code if isinstance(ended.code, int) else 1
                print(ended.code, file=sys.stderr)
        return code, *capfd.readouterr()

    yield run


@timm.models.register_model
def tll_test_narrow_resnet(pretrained: bool = False, **options: Any) -> torch.nn.Module:
    """A ResNet-10 of an eighth of the width, which timm's registry knows."""
    network: torch.nn.Module = timm.create_model(
        "resnet18",
        layers=(1, 1, 1, 1),
        channels=(8, 16, 32, 64),
        num_classes=options["num_classes"],
    )
    return network


def small_resnet(name: str, weights: Path) -> None:
    """That ResNet under the name of another backbone, random weights in a real file."""
    torch.manual_seed(1)
    network = tll_test_narrow_resnet(num_classes=0)
    save_file(network.state_dict(), weights / f"{name}.safetensors")
    row = replace(
        spec_of("resnet50"),
        name=name,
        architecture="tll_test_narrow_resnet",
        layers=tuple(registry.Layer(f"layer{number}", 4 << number) for number in (1, 2, 3, 4)),
        geometry=Geometry(64, fit="squash"),
        sha256=None,
    )
    register(row)


def result_in(out: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((out / "study.json").read_text())
    return found


def runs_in(found: dict[str, Any]) -> dict[tuple[str, str, str], dict[str, Any]]:
    return {
        (section["key"], row["key"], run["backbone"]): run
        for section in found["sections"]
        for row in section["rows"]
        for run in row["runs"]
    }


@pytest.mark.slow
def test_offline_every_row_is_measured_or_says_how_to_get_its_weights(
    study: Study, tmp_path: Path, data: Path
) -> None:
    """The whole study, with nothing but what is bundled. A network without weights is never used:
    where they are missing there is no figure at all."""
    from benchmarks.paper.rows import LAST, STAGES, every_row

    code, printed, progress = study()
    assert code == 0, progress
    out = tmp_path / "out"
    found = result_in(out)
    runs = runs_in(found)
    offline = {LAST, STAGES, registry.IN_FLOAT}
    wanted = {
        (section.key, row.key, backbone)
        for section, row in every_row()
        for backbone in (row.papers, row.stand_in)
        if backbone
    }
    assert set(runs) == wanted
    for (_, _, backbone), run in runs.items():
        if backbone in offline:
            assert run["status"] == "measured" and 0 <= run["top2"] <= 1
        else:
            assert set(run) == {"backbone", "is_the_papers", "status", "reason"}
            assert run["status"] == "weights missing"
            assert f"backbones fetch {backbone}" in run["reason"]
            assert f"{backbone}: weights missing: run 'tll-index backbones" in progress
    nine = [key for section, key, _ in runs if section == "table2" and key not in offline]
    assert len(nine) == 9 == len([run for run in runs if run[0] == "table2"]) - 2
    assert set(found["missing"]) == {name for _, _, name in runs} - offline

    table = (out / "study.md").read_text()
    assert (
        printed.startswith(table) and "| CLIP ResNet-50x4 | clip_rn50x4 | weights missing" in table
    )
    for backbone, how in found["missing"].items():
        assert f"- {backbone}: {how}\n" in table and how.startswith(
            "run 'tll-index backbones fetch"
        )
    for name in ("baseline", "table1", "final"):
        assert any(section["key"] == name for section in found["sections"])
    drawn = {path.stem for path in (out / "figures").glob("*.png")}
    figures = ("fig3", "fig4-pca", "fig4-temperature", "fig5-direction", "fig5-adaptation")
    assert drawn == {
        *(f"{name}-{STAGES}" for name in (*figures, "fig5-colour")),
        f"table1-{registry.IN_FLOAT}",
        "table2-all",
    }
    page = (out / "study.html").read_text()
    assert page.count("data:image/png;base64,") == len(drawn)
    assert "data:image/jpeg;base64," in page and 'src="http' not in page
    assert all(finding.split(":")[0] in offline for finding in found["findings"])
    words = " ".join(found["findings"])
    for comparison in ("Balanced training", "loses to", "flipped", "PCA 256", "temperatures"):
        assert comparison in words, comparison

    for name in (f"all-{STAGES}", f"shipped-{registry.IN_FLOAT}"):
        path = out / f"submission-{name}.csv"
        with path.open() as file:
            header, *rows = csv.reader(file)
        assert header == ["left", *(f"c{number}" for number in range(TEST))]
        assert [row[0] for row in rows] == [f"a{number}" for number in range(PAIRS, PAIRS + TEST)]
    written, as_it_was = path.stat().st_mtime_ns, path.read_bytes()
    assert study("--rows", "final/shipped")[0] == 0
    assert path.stat().st_mtime_ns == written
    path.write_bytes(as_it_was[:-9])  # such as by a full disk
    assert study("--rows", "final/shipped")[0] == 0
    assert path.read_bytes() == as_it_was


@pytest.mark.slow
def test_rows_stay_and_strict_fails(study: Study, tmp_path: Path) -> None:
    """A second run measures nothing again; other settings do."""
    first = study("--rows", "baseline", "fig4-pca")
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/measured").iterdir()}
    assert first[0] == 0 and len(kept) == 3
    again = study("--rows", "baseline", "fig4-pca", "--strict")
    assert again[0] == 1  # vgg16 and CLIP are not here
    assert kept == {path: path.stat().st_mtime_ns for path in (tmp_path / "out/measured").iterdir()}
    assert again[1] == first[1] and "adaptation: " not in again[2]
    study("--rows", "fig4-pca/pca-256", "--seed", "3")
    assert len(list((tmp_path / "out/measured").iterdir())) == 4
    damaged = min(kept)
    damaged.write_text("{")
    assert study("--rows", "baseline", "fig4-pca")[1] == first[1]
    assert json.loads(damaged.read_text())["figures"]
    study("--rows", "fig3/plain")  # the same run as fig4-pca/pca-256
    assert len(list((tmp_path / "out/measured").iterdir())) == 4


def test_the_papers_own_backbone_where_its_weights_are(
    study: Study, home: Path, tmp_path: Path
) -> None:
    register(replace(tiny.SPEC, name="vgg16"))
    tiny.write_weights(home / "weights/vgg16.safetensors", seed=8)
    code, _, progress = study("--rows", "baseline", "--strict")
    runs = runs_in(result_in(tmp_path / "out"))
    assert code == 0, progress
    own, instead = (
        runs["baseline", "cosine", name] for name in ("vgg16", "efficientnet_lite0_last")
    )
    assert own["is_the_papers"] and not instead["is_the_papers"]
    assert own["status"] == "measured" and own["top2"] != instead["top2"]


@pytest.mark.slow
@pytest.mark.parametrize("broken", ["partial", "damaged", "another architecture"])
def test_no_score_of_a_network_whose_weights_are_not_whole(
    study: Study, home: Path, tmp_path: Path, broken: str
) -> None:
    """Never a silently random network: neither for features nor for a pair classifier's body."""
    path = home / "weights/resnet50.safetensors"
    if broken == "damaged":
        path.write_bytes(b"\0" * 999)
    else:
        network = build("resnet50" if broken == "partial" else "resnet18")
        tensors = network.state_dict()
        tensors.pop("layer3.0.conv1.weight")
        save_file(tensors, path)
    code, _, progress = study("--rows", "table2/resnet50", "classifier-1-1")
    runs = runs_in(result_in(tmp_path / "out"))
    assert code == 0, progress
    for row in (("table2", "resnet50"), ("table1", "classifier-1-1")):
        run = runs[(*row, "resnet50")]
        assert run["status"] == "weights refused" and "top2" not in run
        assert str(path) in run["reason"]
    assert runs["table1", "classifier-1-1", registry.IN_FLOAT]["status"] == "measured"
    assert study("--rows", "table2/resnet50", "--strict")[0] == 1


def test_figures_are_what_training_and_evaluation_say(
    study: Study, tmp_path: Path, data: Path
) -> None:
    """Nothing of the study's own between the split and the score."""
    from benchmarks.paper.measure import smoothed
    from benchmarks.paper.rows import BASE, STAGES

    from tll_index.engine.evaluation.metrics import folds

    assert study("--rows", "fig5-direction/both", "fig5-adaptation/identity")[0] == 0
    runs = runs_in(result_in(tmp_path / "out"))
    run = runs["fig5-direction", "both", STAGES]
    options = replace(BASE, direction="both", epochs=3, pca=16)
    features = load_pairs(data, STAGES, options=options).features
    held_out = folds(PAIRS, 4, 0)[0]
    learn = features.rows(np.setdiff1d(np.arange(PAIRS), held_out))
    watch = features.rows(held_out)
    assert run["pairs"] == len(held_out) == PAIRS // 4
    # PCA keeps what the tiny backbone has; the study asks for as many as there are pictures.
    fit = train_lens(learn, spec_of(STAGES), options, validation=watch)
    scores = evaluate_pairs(
        fit.lens.encode_query(watch.left.astype(np.float32)),
        fit.lens.encode_gallery(watch.right.astype(np.float32)),
    )
    assert run["top2"] == pytest.approx(scores.top2, abs=1e-6)
    assert run["validation_loss"] == fit.validation_losses[-1]
    assert run["validation_loss_smoothed"] == smoothed(fit.validation_losses)[-1]
    assert run["curves"]["loss"] == pytest.approx(fit.losses, abs=1e-6)
    assert runs["fig5-adaptation", "identity", STAGES]["curves"]["loss"] == []


def test_smoothing_is_an_average_that_forgets() -> None:
    from benchmarks.paper.measure import smoothed

    assert smoothed([3.0, 3.0, 3.0]) == pytest.approx([3.0] * 3)
    assert smoothed([1.0, 2.0], weight=0.5) == pytest.approx([1.0, (0.5 + 2) / 1.5])
    assert smoothed([1.0, 5.0], weight=0.0) == [1.0, 5.0] and smoothed([]) == []


def test_unknown_rows_and_absent_pictures_are_said_so(
    study: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, _, said = study("--rows", "table9")
    assert code == 2 and "no rows are called 'table9'; sections are: baseline, table1" in said
    code, _, said = study("--device", "abacus")
    assert code == 2 and "device 'abacus' can't be used" in said
    monkeypatch.setenv("TLL_ROOT", str(tmp_path / "nowhere"))
    code, _, said = study()
    assert code == 1 and "nowhere" in said and "TLL_ROOT" in said and "Traceback" not in said


def test_the_real_stand_ins_are_the_bundled_network(home: Path) -> None:
    from benchmarks.paper import rows

    from tll_index import load_backbone

    rows.install_stand_ins()
    square = np.random.default_rng(0).integers(0, 256, (1, 224, 224, 3), dtype=np.uint8)
    last, stages = (load_backbone(name) for name in (rows.LAST, rows.STAGES))
    assert (last.spec.dimension, stages.spec.dimension) == (1280, 2064)
    assert np.allclose(last.features(square), stages.features(square)[:, -1280:], atol=1e-5)
