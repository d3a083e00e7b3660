"""train as people meet it, with the tiny backbone and drawn pictures; a store with its lens."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

import tiny
from conftest import Result
from pictures import fill_folder
from tll_index.commands.train import train
from tll_index.core.config import load_settings
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.engine.evaluation.tll import read_pairs
from tll_index.engine.lens.embedder import load_embedder
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import RECIPES, TrainingOptions
from training import PAIRS, SMALL, UNPAIRED, one_line, pixels, scored

Cli = Callable[..., Result]

Spawn = Callable[..., "subprocess.Popen[bytes]"]


def test_train_writes_a_lens_and_says_how_good_it_is(data: Path, tll_index: Cli) -> None:
    result = tll_index("train", data, "--out", "my.npz", *SMALL)
    assert result.code == 0, result
    lens = Lens.load("my.npz")
    assert (lens.backbone, lens.features, lens.dimension) == ("tiny", 16, 6)
    made = lens.provenance
    assert made["options"] == replace(RECIPES["ours"], pca=8, outputs=4, epochs=2).recorded()
    assert made["data_sha256"] == read_pairs(data).digest()
    assert (made["pairs"], made["unlabelled"], made["epochs"]) == (PAIRS, 2 * UNPAIRED, 2)
    assert made["candidates"] == UNPAIRED
    judged = made["cross_validation"]
    assert judged["folds"] == 5 and judged["pairs"] == PAIRS
    lines = result.out.splitlines()
    assert lines[0].startswith(f"top-2     {judged['top2']:.3f}  (95% interval ")
    assert "5 folds of 24 pairs" in lines[0]
    assert lines[1] == "vectors   6 values, 24 bytes each"
    assert lines[2].startswith("lens      my.npz, 2.5 kB (digest ")
    assert lines[3] == "use it    tll-index build DIR --lens my.npz"
    assert "lenses as tiny.npz" in lines[4]


def test_train_says_it_in_json(data: Path, tll_index: Cli) -> None:
    result = tll_index("train", data, "--out", "my.npz", *SMALL, "--folds", 3, "-q", "--json")
    assert result.code == 0 and result.err == ""
    facts = json.loads(result.out)
    assert facts["lens"] == "my.npz" and facts["bytes"] == Path("my.npz").stat().st_size
    assert (facts["dimension"], facts["bytes_per_vector"], facts["stopped"]) == (6, 24, False)
    assert facts["cross_validation"] == Lens.load("my.npz").provenance["cross_validation"]
    assert facts["cross_validation"]["folds"] == 3


def test_a_seed_gives_the_same_bytes(data: Path, tll_index: Cli) -> None:
    for out, seed in (("a.npz", 3), ("b.npz", 3), ("c.npz", 4)):
        more = ("--seed", seed, "--start", "random", "--dropout", 0.1, "--folds", 2, "-q")
        assert tll_index("train", data, "--out", out, *SMALL, *more).code == 0
    assert Path("a.npz").read_bytes() == Path("b.npz").read_bytes()
    assert Lens.load("a.npz").digest != Lens.load("c.npz").digest


def test_no_folds(data: Path, tll_index: Cli) -> None:
    result = tll_index("train", data, "--out", "my.npz", *SMALL, "--folds", 0)
    assert result.code == 0 and result.out.startswith("top-2     not cross-validated\n")
    assert Lens.load("my.npz").provenance["cross_validation"] is None
    quiet = tll_index("train", data, "--out", "my.npz", *SMALL, "--folds", 0, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


def test_recipes_and_every_option(data: Path, tll_index: Cli) -> None:
    chosen: dict[str, tuple[tuple[object, ...], object]] = {
        "scaling": (("--scaling", "layer"), "layer"),
        "pca": (("--pca", 8), 8),
        "unlabelled": (("--unlabelled",), True),
        "candidates": (("--candidates",), True),
        "start": (("--start", "cca"), "cca"),
        "shrinkage": (("--shrinkage", 0.5), 0.5),
        "power": (("--power", 1), 1.0),
        "adaptation": (("--adaptation", "linear"), "linear"),
        "outputs": (("--outputs", 5), 5),
        "face_outputs": (("--face-outputs", 2), 2),
        "face_shrinkage": (("--face-shrinkage", 0.2), 0.2),
        "face_power": (("--face-power", 0.5), 0.5),
        "face_weight": (("--face-weight", 0.5), 0.5),
        "face_cost": (("--face-cost", 0.1), 0.1),
        "relu": (("--linear",), False),
        "temperature": (("--temperature", 12.5), 12.5),
        "direction": (("--direction", "both"), "both"),
        "augment": (("--augment", "mirror"), "mirror"),
        "grey": (("--grey",), True),
        "batch": (("--batch", 12), 12),
        "epochs": (("--epochs", 3), 3),
        "lr": (("--lr", 0.01), 0.01),
        "weight_decay": (("--weight-decay", 0.1), 0.1),
        "dropout": (("--dropout", 0.2), 0.2),
        "hubs": (("--hubs", 0.25), 0.25),
        "seed": (("--seed", 9), 9),
    }
    assert set(chosen) == TrainingOptions().recorded().keys()
    arguments = [argument for given, _ in chosen.values() for argument in given]
    common = ("train", data, "--backbone", "tiny", "--recipe", "paper", "--folds", 0, "-q")
    assert tll_index(*common, "--out", "all.npz", *arguments).code == 0
    made = Lens.load("all.npz").provenance
    assert made["options"] == {name: value for name, (_, value) in chosen.items()}
    assert tll_index(*common, "--out", "paper.npz", "--pca", 8, "--epochs", 2).code == 0
    lens = Lens.load("paper.npz")
    assert lens.provenance["options"] == replace(RECIPES["paper"], pca=8, epochs=2).recorded()
    assert lens.relu and lens.dimension == 1024 and lens.csls is None


def test_help_says_every_default(tll_index: Cli) -> None:
    text = " ".join(tll_index("train", "--help").out.split())
    assert "[default: 384; paper: 256]" in text
    assert "[default: linear; paper: relu]" in text
    assert "[default: colour]" in text and "[default: 0.0001; paper: 0.001]" in text
    defaults = {parameter.name: parameter.default for parameter in train.params}
    assert defaults["backbone"] == DEFAULT
    assert {field.name for field in fields(TrainingOptions)} <= set(defaults)


def test_the_original_layout_is_read_too(data: Path, tll_index: Cli, here: Path) -> None:
    for side in ("left", "right"):
        fill_folder(here / "plain" / side, 12)
    result = tll_index("train", "plain", "--out", "my.npz", *SMALL, "--folds", 2)
    assert result.code == 0 and "2 folds of 12 pairs" in result.out


def test_features_are_extracted_once(
    data: Path, tll_index: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.watch(monkeypatch, here / "log")
    batches = ("--batch-size", 8, "--folds", 0)
    assert tll_index("train", data, "--out", "my.npz", *SMALL, *batches).code == 0
    seen = (here / "log").read_text().split()
    assert sum(map(int, seen)) == 2 * (PAIRS + UNPAIRED) and max(map(int, seen)) == 8
    (here / "log").unlink()
    assert tll_index("train", data, "--out", "my.npz", *SMALL, "--lr", 0.1).code == 0
    assert not (here / "log").exists()


def test_options_that_make_no_sense(data: Path, tll_index: Cli, here: Path) -> None:
    for more, message in [
        (("--pca", -1), "pca is -1; it must be 0 to"),
        (("--batch", 1), "a batch of 1 has no foils"),
        (("--pca", 0), "start cca needs PCA"),
        (("--pca", 17), "take --pca 16 or less"),
        (("--outputs", 9), "at most as many outputs as PCA (8)"),
        (("--weight-decay", 11), "weight-decay is 11.0; it must be 0 to 10"),
        (("--lr", "nan"), "lr is nan"),
        (("--device", "abacus"), "device 'abacus' can't be used"),
        (("--batch-size", -1), "--batch-size: -1 is too small"),
        (("--backbone", "nope"), "unknown backbone 'nope'"),
    ]:
        result = tll_index("train", data, "--out", "my.npz", *SMALL, "--quiet", *more)
        assert message in one_line(result, 2), more
    for more, message in [
        ((), "--out is missing"),
        (("--out", "-"), "standard output is for the results"),
        (("--out", "data"), "is a directory"),
        (("--out", "my.npz", "--scaling", "huge"), "is not one of 'value', 'layer', 'none'"),
        (("--out", "my.npz", "--recipe", "theirs"), "is not one of 'ours', 'paper'"),
        (("--out", "my.npz", "--epochs", "many"), "--epochs: 'many' is not a whole number"),
        (("--out", "my.npz", "--folds", 1), "--folds: name 0 for none, or at least 2"),
        (("--out", "my.npz", "--folds", -1), "--folds: -1 is too small: at least 0"),
    ]:
        result = tll_index("train", data, *SMALL, *more)
        assert result.code == 2 and message in result.err and "Traceback" not in result.err, result
    assert not (here / "my.npz").exists()


def test_data_that_cannot_be_used(data: Path, tll_index: Cli, here: Path) -> None:
    (here / "hollow").mkdir()
    for command in (("train", "--out", "my.npz"), ("eval",), ("eval", "--split", "all")):
        result = tll_index(*command, "nowhere", "--backbone", "tiny")
        assert "there is no folder nowhere" in one_line(result, 1)
        result = tll_index(*command, "hollow", "--backbone", "tiny")
        assert "hollow is in no known layout" in one_line(result, 1)
    (data / "train/right/r3.png").write_text("no picture")
    for command in (("train", "--out", "my.npz"), ("eval",)):
        result = tll_index(*command, data, "--backbone", "tiny", "-q")
        assert "r3.png: is not a picture" in one_line(result, 1)
    (data / "train/right/r3.png").unlink()
    result = tll_index("train", data, "--out", "my.npz", *SMALL)
    assert "train.csv, line 5: there is no picture r3 in" in one_line(result, 1)
    assert not (here / "my.npz").exists()


def test_only_lenses_are_replaced(data: Path, lens: Path, tll_index: Cli, here: Path) -> None:
    before = lens.read_bytes()
    again = tll_index("train", data, "--out", lens, *SMALL, "--epochs", 3, "--folds", 0)
    assert again.code == 0 and lens.read_bytes() != before
    (here / "thesis.npz").write_text("years of work")
    os.mkfifo(here / "pipe")
    for name in ("thesis.npz", "pipe"):
        message = one_line(tll_index("train", data, "--out", name, *SMALL), 1)
        assert f"{name} is there and is not a lens" in message
    assert (here / "thesis.npz").read_text() == "years of work"
    message = one_line(tll_index("train", data, "--out", "no/such/my.npz", *SMALL), 1)
    assert message == (
        f"tll-index: no/such/my.npz can't be written: there is no folder {here}/no/such"
    )
    assert sorted(path.name for path in here.iterdir()) == ["data", "my.npz", "pipe", "thesis.npz"]


def test_a_link_stays_one(data: Path, lens: Path, tll_index: Cli, here: Path) -> None:
    (here / "link.npz").symlink_to(lens)
    assert tll_index("train", data, "--out", "link.npz", *SMALL, "--folds", 0, "-q").code == 0
    assert (here / "link.npz").is_symlink() and Lens.load(lens).trained


def test_too_few_pairs_for_the_folds(data: Path, tll_index: Cli) -> None:
    """The lens of all pairs is there all the same, and the one line says so."""
    result = tll_index("train", data, "--out", "my.npz", *SMALL, "--folds", 25, "-q")
    message = one_line(result, 2)
    assert "wrote my.npz, but it can't be cross-validated: 24 pairs can be split into" in message
    assert Lens.load("my.npz").trained


def read_until(process: subprocess.Popen[bytes], text: bytes) -> bytes:
    """Standard error up to `text`."""
    assert process.stderr is not None
    seen = b""
    while text not in seen:
        some = os.read(process.stderr.fileno(), 4096)
        assert some, seen
        seen += some
    return seen


@pytest.fixture
def interrupt() -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Wait until a process says something, send it Ctrl-C, and see how it ends."""
    processes = []

    def run(
        process: subprocess.Popen[bytes], text: bytes, seconds: float = 0
    ) -> tuple[int, str, str]:
        processes.append(process)
        read_until(process, text)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=500)
        return process.returncode, out.decode(), err.decode()

    yield run
    for process in processes:
        process.kill()


@pytest.mark.slow
def test_ctrl_c_in_training_keeps_the_best_epoch(
    data: Path, spawn: Spawn, interrupt: Callable[..., tuple[int, str, str]], tll_index: Cli
) -> None:
    process = spawn("train", data, "--out", "my.npz", *SMALL, "--epochs", 1_000_000)
    code, out, err = interrupt(process, b"all pairs", 1.5)
    assert code == 130 and "Traceback" not in err
    assert "stopped; the lens in my.npz is the best of " in err
    assert out.startswith("top-2     not cross-validated\n")
    epochs = Lens.load("my.npz").provenance["epochs"]
    assert 0 < epochs < 1_000_000 and f"the best of {epochs:,} epochs" in err
    assert scored(tll_index("eval", data, "--split", "all", "--lens", "my.npz", "--json"))


@pytest.mark.slow
def test_ctrl_c_in_cross_validation_keeps_the_lens(data: Path, spawn: Spawn) -> None:
    process = spawn("train", data, "--out", "my.npz", *SMALL, "--epochs", 400, "--json")
    while not Path("my.npz").exists():  # it is written before the folds begin
        assert process.poll() is None
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    told, said = process.communicate(timeout=300)
    code, out, err = process.returncode, os.fsdecode(told), os.fsdecode(said)
    assert code == 130 and "Traceback" not in err
    assert "stopped; the lens in my.npz is whole, but not cross-validated\n" in err
    facts = json.loads(out)
    assert facts["stopped"] is True and facts["cross_validation"] is None
    lens = Lens.load("my.npz")
    assert lens.digest == facts["sha256"] and lens.provenance["epochs"] == 400


@pytest.mark.slow
def test_ctrl_c_while_pictures_are_looked_at(
    data: Path,
    spawn: Spawn,
    interrupt: Callable[..., tuple[int, str, str]],
    monkeypatch: pytest.MonkeyPatch,
    here: Path,
) -> None:
    tiny.watch(monkeypatch, seconds=2)
    for command in (
        ("train", data, "--out", "my.npz"),
        ("eval", data),
        ("submit", data, "--out", "s.csv"),
    ):
        process = spawn(*command, "--backbone", "tiny", "--batch-size", 2)
        code, out, err = interrupt(process, b"features of pictures", 0.2)
        assert (code, out) == (130, "") and "Traceback" not in err
        assert err.endswith("stopped; run the same command again to go on\n")
    assert not (here / "my.npz").exists() and not (here / "s.csv").exists()


def test_a_store_made_with_a_lens(data: Path, lens: Path, tll_index: Cli) -> None:
    made = ("build", data / "train/right", "--backbone", "tiny", "--lens", lens, "-q")
    assert tll_index(*made, "--store", "store").code == 0
    picture = data / "train/left/l5.png"
    result = tll_index("query", picture, "--store", "store", "-k", PAIRS, "--json")
    assert result.code == 0, result
    hits = [json.loads(line) for line in result.out.splitlines()]
    embedder = load_embedder("tiny", load_settings(), lens=lens)
    gallery = embedder.encode_gallery(pixels(*(Path(hit["path"]) for hit in hits)))
    query = embedder.encode_query(pixels(picture))
    assert not np.allclose(query, embedder.encode_gallery(pixels(picture)), atol=1e-3)
    scores = embedder.lens.scale * (gallery @ query[0])
    assert len(hits) == PAIRS and embedder.lens.scale > 1.4
    np.testing.assert_allclose([hit["score"] for hit in hits], scores, atol=1e-5)
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    info = json.loads(tll_index("info", "--store", "store", "--json").out)
    assert info["lens"] == embedder.lens.digest and info["dimension"] == embedder.lens.dimension
