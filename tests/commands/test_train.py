"""train, eval and submit as people meet them, with the tiny backbone and drawn pictures."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import tiny
from conftest import Result
from pictures import fill_folder, noise
from tll_index.commands.train import train
from tll_index.core.config import load_settings
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.engine.evaluation.metrics import evaluate_pairs
from tll_index.engine.evaluation.tll import read_pairs
from tll_index.engine.images.decode import decode
from tll_index.engine.images.file_bytes import read_bytes
from tll_index.engine.lens.embedder import load_embedder
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import RECIPES, TrainingOptions

Cli = Callable[..., Result]
Spawn = Callable[..., "subprocess.Popen[bytes]"]

PAIRS, UNPAIRED, OFFERED = 24, 6, 5
SMALL = ("--backbone", "tiny", "--pca", 8, "--outputs", 4, "--epochs", 2)
KEYS = ["pairs", "top1", "top2", "top5", "top2_ci95", "mrr", "recall_at_1", "recall_at_5"]
KEYS += ["recall_at_10", "backbone", "lens"]


def write_csv(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


@pytest.fixture
def data(here: Path) -> Path:
    """A folder in Kaggle's layout, whose right pictures show through that they were left ones."""
    root = here / "data"
    for split, first, count in (("train", 0, PAIRS), ("test", 100, UNPAIRED)):
        for side in ("left", "right"):
            (root / split / side).mkdir(parents=True)
        for seed in range(first, first + count):
            noise(seed).save(root / split / f"left/l{seed}.png")
            mixed = Image.blend(noise(seed), noise(1000 + seed), 0.6)
            mixed.save(root / split / f"right/r{seed}.png")
    pairs = [[f"l{seed}", f"r{seed}"] for seed in range(PAIRS)]
    write_csv(root / "train.csv", [["left", "right"], *pairs])
    header = ["left", *(f"c{number}" for number in range(OFFERED))]
    lists, sample = [header], [header]
    for seed in range(100, 100 + UNPAIRED):
        offered = [f"r{100 + (seed + step) % UNPAIRED}" for step in range(OFFERED)]
        lists.append([f"l{seed}", *offered])
        sample.append([f"l{seed}", *(["0.5"] * OFFERED)])
    write_csv(root / "test_candidates.csv", lists)
    write_csv(root / "sample-submission.csv", sample)
    return root


@pytest.fixture
def lens(data: Path, tll_index: Cli, here: Path) -> Path:
    """A lens of the pairs, with a hub penalty."""
    assert tll_index("train", data, "--out", "my.npz", *SMALL, "--folds", 0, "-q").code == 0
    return here / "my.npz"


def one_line(result: Result, code: int) -> str:
    """The only line of a failure."""
    assert result.code == code, result
    assert "Traceback" not in result.err and result.err.count("\n") == 1, result.err
    assert result.err.startswith("tll-index: ")
    return result.err.strip()


def scored(result: Result) -> dict[str, Any]:
    """What `eval --json` printed."""
    assert result.code == 0, result
    assert result.out.count("\n") == 1
    facts: dict[str, Any] = json.loads(result.out)
    assert list(facts) == KEYS
    return facts


def pixels(*paths: Path) -> np.ndarray:
    """(n, size, size, 3): what the tiny backbone is shown of pictures."""
    return np.stack([decode(read_bytes(path), tiny.SPEC.geometry).pixels for path in paths])


# train


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
    assert lines[2].startswith("lens      my.npz, 2.4 kB (digest ")
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


# What train refuses


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


# Ctrl-C


def read_until(process: subprocess.Popen[bytes], words: bytes) -> bytes:
    """Standard error up to `words`."""
    assert process.stderr is not None
    seen = b""
    while words not in seen:
        some = os.read(process.stderr.fileno(), 4096)
        assert some, seen
        seen += some
    return seen


@pytest.fixture
def interrupt() -> Iterator[Callable[..., tuple[int, str, str]]]:
    """Wait until a process says something, send it Ctrl-C, and see how it ends."""
    processes = []

    def run(
        process: subprocess.Popen[bytes], words: bytes, seconds: float = 0
    ) -> tuple[int, str, str]:
        processes.append(process)
        read_until(process, words)
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
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


# eval


def test_eval_by_cross_validation(data: Path, lens: Path, tll_index: Cli) -> None:
    common = ("eval", data, "--lens", lens, "--json", "-q")
    facts = scored(tll_index(*common))
    assert facts["pairs"] == PAIRS and facts["backbone"] == "tiny"
    assert facts["lens"] == f"cross-validated, 5 folds, options of {lens}"
    assert facts["top2_ci95"][0] <= facts["top2"] <= facts["top2_ci95"][1]
    trained = tll_index("train", data, "--out", "b.npz", *SMALL, "--seed", 4, "-q", "--json")
    judged = json.loads(trained.out)["cross_validation"]
    assert scored(tll_index("eval", data, "--lens", "b.npz", "--json"))["top2"] == judged["top2"]
    three = scored(tll_index(*common, "--folds", 3))
    assert three["lens"].startswith("cross-validated, 3 folds") and three["top2"] != facts["top2"]
    assert scored(tll_index(*common, "--folds", 3, "--seed", 8))["mrr"] != three["mrr"]


def test_eval_with_a_recipe(data: Path, tll_index: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    small = replace(RECIPES["paper"], pca=8, outputs=6, epochs=2)
    monkeypatch.setitem(RECIPES, "paper", small)
    result = tll_index("eval", data, "--backbone", "tiny", "--recipe", "paper", "--json")
    assert scored(result)["lens"] == "cross-validated, 5 folds, recipe paper"
    message = one_line(tll_index("eval", data, "--backbone", "tiny", "-q"), 2)
    assert "PCA can't keep 384 dimensions" in message


def test_eval_of_all_pairs(data: Path, lens: Path, tll_index: Cli, home: Path) -> None:
    common = ("eval", data, "--split", "all", "--json", "-q")
    given = tll_index(*common, "--lens", lens)
    assert scored(given)["lens"] == str(lens)
    assert scored(tll_index(*common, "--lens", "none", "--backbone", "tiny"))["lens"] == "none"
    assert scored(tll_index(*common, "--backbone", "tiny"))["lens"] == "none"
    own = home / "lenses/tiny.npz"
    own.parent.mkdir()
    own.write_bytes(lens.read_bytes())
    found = scored(tll_index(*common, "--backbone", "tiny"))
    assert found == {**scored(given), "lens": str(own)}


def test_the_shipped_lens_is_called_so(
    data: Path, lens: Path, tll_index: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "engine/lens/shipped").mkdir(parents=True)
    lens.rename(here / "engine/lens/shipped/tiny.npz")
    monkeypatch.setattr("tll_index.engine.lens.lens.__file__", str(here / "engine/lens/lens.py"))
    facts = scored(tll_index("eval", data, "--split", "all", "--backbone", "tiny", "--json"))
    assert (
        facts["lens"] == f"shipped sha256:{Lens.load('engine/lens/shipped/tiny.npz').digest[:12]}"
    )


def test_eval_notes_the_lens_s_own_pairs(data: Path, lens: Path, tll_index: Cli) -> None:
    common = ("eval", data, "--split", "all", "--lens", lens)
    note = "the lens was trained on these very pairs"
    assert note in tll_index(*common).err
    assert note not in tll_index("eval", data, "--lens", lens).err
    rows = (data / "train.csv").read_text().splitlines()
    (data / "train.csv").write_text("\n".join(rows[:-1]))
    assert note not in tll_index(*common).err


def test_eval_of_plain_cosine(data: Path, tll_index: Cli) -> None:
    """Fold by fold, so that it has as many foils as the lenses that it is compared with."""
    common = ("eval", data, "--backbone", "tiny", "--lens", "none", "--json")
    by_folds, of_all = scored(tll_index(*common)), scored(tll_index(*common, "--split", "all"))
    assert by_folds["lens"] == of_all["lens"] == "none"
    assert by_folds["recall_at_5"] == of_all["recall_at_5"]
    assert by_folds["top2"] > of_all["top2"]  # among 5 candidates, not 20


def test_eval_table(data: Path, lens: Path, tll_index: Cli) -> None:
    result = tll_index("eval", data, "--split", "all", "--lens", "my.npz", "-q")
    lines = result.out.splitlines()
    words = ["pairs", "top-1", "top-2", "top-5", "MRR", "recall@1", "recall@5", "recall@10"]
    assert [line.split()[0] for line in lines] == [*words, "backbone", "lens"]
    assert lines[0] == "pairs     24" and lines[-1] == "lens      my.npz"
    assert "(95% interval 0." in lines[2]


def test_eval_of_candidates(data: Path, lens: Path, tll_index: Cli, here: Path) -> None:
    rows = [["left", "c0", "c1", "c2"]]
    rows += [[f"l{i}", f"r{(i + 1) % PAIRS}", f"r{i}", f"r{(i + 2) % PAIRS}"] for i in range(20)]
    write_csv(here / "lists.csv", rows)
    common = ("eval", data, "--candidates-file", "lists.csv", "--json", "--lens")
    for lens_of, more in (
        (lens, ("--split", "all")),
        (lens, ()),
        ("none", ("--backbone", "tiny")),
    ):
        facts = scored(tll_index(*common, lens_of, *more))
        assert facts["pairs"] == 20 and facts["top5"] == 1.0
        assert facts["recall_at_1"] is facts["recall_at_5"] is facts["recall_at_10"] is None
    table = tll_index("eval", data, "--candidates-file", "lists.csv", "--lens", lens)
    assert "recall" not in table.out
    rows[3][2] = "r9"
    write_csv(here / "lists.csv", rows)
    message = one_line(tll_index(*common, lens), 1)
    assert message.startswith("tll-index: lists.csv, line 4: r2, the match of l2, is not")
    assert "absent.csv can't be read" in one_line(
        tll_index("eval", data, "--candidates-file", "absent.csv"), 1
    )


def test_eval_refuses(data: Path, lens: Path, tll_index: Cli, here: Path) -> None:
    for more, message in [
        (("--split", "all", "--folds", 5), "--folds is for --split val"),
        (("--split", "all", "--seed", 1), "--seed is for --split val"),
        (("--split", "all", "--recipe", "ours"), "--recipe is for --split val"),
        (("--lens", lens, "--recipe", "ours"), "--recipe and --lens exclude each other"),
        (("--split", "most"), "is not one of 'val', 'all'"),
        (("--folds", 1), "--folds: 1 is too small: at least 2"),
    ]:
        result = tll_index("eval", data, "--backbone", "tiny", *more)
        assert result.code == 2 and message in result.err, result
    for more, message in [
        (("--lens", "absent.npz"), "no lens file absent.npz"),
        (("--lens", data / "train.csv"), "is not a lens file"),
        (("--lens", lens, "--backbone", "tiny2"), "trained for tiny (16 features), not for tiny2"),
    ]:
        for split in ("val", "all"):
            result = tll_index("eval", data, "--backbone", "tiny", "--split", split, *more)
            assert message in one_line(result, 1)
    held = Lens.load(lens)
    recorded = held.provenance["options"]
    for options, message in [
        (None, "does not say with which options"),
        ({**recorded, "magic": 1}, "was trained with an unknown option: magic"),
        ({"pca": 8}, "does not say adaptation"),
        ({**recorded, "pca": -8}, "impossible options: pca is -8"),
        ({**recorded, "pca": "8"}, "impossible options"),
    ]:
        replace(held, provenance={**held.provenance, "options": options}).save("odd.npz")
        message_of = one_line(tll_index("eval", data, "--lens", "odd.npz"), 1)
        assert message in message_of
        assert scored(tll_index("eval", data, "--lens", "odd.npz", "--split", "all", "--json"))


def test_other_weights_are_refused_before_pictures_are_looked_at(
    data: Path, lens: Path, tll_index: Cli, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tiny.write_weights(here / "other.safetensors", seed=8)
    tiny.watch(monkeypatch, here / "log")
    result = tll_index("eval", data, "--split", "all", "--lens", lens, "--weights", other)
    assert "trained for other weights of tiny" in one_line(result, 1)
    assert not (here / "log").exists()


def test_a_grey_lens_is_judged_by_grey_pictures(data: Path, tll_index: Cli) -> None:
    common = ("train", data, "--out", "grey.npz", *SMALL, "--folds", 0, "--grey")
    common = (*common, "--no-unlabelled", "--no-candidates")
    assert tll_index(*common).code == 0
    lens = Lens.load("grey.npz")
    assert lens.grey and lens.provenance["unlabelled"] == 0
    facts = scored(tll_index("eval", data, "--split", "all", "--lens", "grey.npz", "--json"))
    embedder, pairs = load_embedder("tiny", load_settings(), lens=lens), read_pairs(data)
    wanted = evaluate_pairs(
        embedder.encode_query(pixels(*pairs.left)), embedder.encode_gallery(pixels(*pairs.right))
    )
    assert facts["top2"] == pytest.approx(wanted.top2, abs=1e-3)
    assert facts["mrr"] == pytest.approx(wanted.mrr, abs=1e-3)
    validated = scored(tll_index("eval", data, "--lens", "grey.npz", "--json"))
    assert "options of grey.npz" in validated["lens"]


# submit


def test_submit(data: Path, lens: Path, tll_index: Cli) -> None:
    result = tll_index("submit", data, "--out", "s.csv", "--lens", lens)
    assert result.code == 0, result
    assert result.out == f"wrote s.csv: {UNPAIRED} rows, the format of sample-submission.csv\n"
    with Path("s.csv").open() as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["left", *(f"c{number}" for number in range(OFFERED))]
    embedder = load_embedder("tiny", load_settings(), lens=lens)
    ask = embedder.encode_query(pixels(data / "test/left/l101.png"))
    answer = embedder.encode_gallery(pixels(data / "test/right/r103.png"))
    lists = (data / "test_candidates.csv").read_text().splitlines()
    column = lists[2].split(",").index("r103")
    score = embedder.lens.scale * float(ask[0] @ answer[0])
    assert rows[2][0] == "l101" and float(rows[2][column]) == pytest.approx(score, abs=2e-3)
    plain = tll_index("submit", data, "--out", "s.csv", "--lens", "none", "--backbone", "tiny")
    assert plain.code == 0 and all(
        0.5 < float(value) <= 1.000001
        for line in Path("s.csv").read_text().splitlines()[1:]
        for value in line.split(",")[1:]
    )


def test_submit_other_candidates(data: Path, lens: Path, tll_index: Cli, here: Path) -> None:
    write_csv(here / "few.csv", [["left", "c0", "c1"], ["l102", "r100", "r101"]])
    result = tll_index(
        "submit", data, "--out", "s.csv", "--lens", lens, "--candidates-file", "few.csv"
    )
    assert result.out == "wrote s.csv: 1 row\n"
    (data / "sample-submission.csv").unlink()
    result = tll_index("submit", data, "--out", "s.csv", "--lens", lens)
    assert result.out == f"wrote s.csv: {UNPAIRED} rows\n"


def test_submit_refuses(data: Path, lens: Path, tll_index: Cli, here: Path) -> None:
    sample = (data / "sample-submission.csv").read_text()
    common = ("submit", data, "--lens", lens, "--out")
    for name in ("sample-submission.csv", "test_candidates.csv"):
        result = tll_index(*common, data / name)
        assert result.code == 2 and "is read here, not written" in result.err
    assert (data / "sample-submission.csv").read_text() == sample
    assert "there is no folder" in one_line(tll_index(*common, "no/such/s.csv"), 1)
    assert "--out is missing" in one_line(tll_index("submit", data), 2)
    nowhere = tll_index("submit", "nowhere", "--out", "s.csv", "--backbone", "tiny")
    assert "nowhere/test_candidates.csv can't be read" in one_line(nowhere, 1)
    (data / "sample-submission.csv").write_text(sample.replace("l103", "l999"))
    message = one_line(tll_index(*common, "s.csv", "-q"), 1)
    assert "s.csv, line 5: is about l103" in message and "has l999" in message
    (data / "test/right/r104.png").unlink()
    message = one_line(tll_index(*common, "other.csv"), 1)
    assert "test_candidates.csv, line 2: there is no picture r104 in" in message
    assert not (here / "other.csv").exists()


# A lens in a store


def test_a_store_made_with_a_lens(data: Path, lens: Path, tll_index: Cli) -> None:
    made = ("build", data / "train/right", "--backbone", "tiny", "--lens", lens, "-q")
    assert tll_index(*made, "--store", "store").code == 0
    asked = data / "train/left/l5.png"
    result = tll_index("query", asked, "--store", "store", "-k", PAIRS, "--json")
    assert result.code == 0, result
    hits = [json.loads(line) for line in result.out.splitlines()]
    embedder = load_embedder("tiny", load_settings(), lens=lens)
    answers = embedder.encode_gallery(pixels(*(Path(hit["path"]) for hit in hits)))
    ask = embedder.encode_query(pixels(asked))
    assert not np.allclose(ask, embedder.encode_gallery(pixels(asked)), atol=1e-3)
    scores = embedder.lens.scale * (answers @ ask[0])
    assert len(hits) == PAIRS and embedder.lens.scale > 1.4
    np.testing.assert_allclose([hit["score"] for hit in hits], scores, atol=1e-5)
    assert [hit["score"] for hit in hits] == sorted((hit["score"] for hit in hits), reverse=True)
    info = json.loads(tll_index("info", "--store", "store", "--json").out)
    assert info["lens"] == embedder.lens.digest and info["dimension"] == embedder.lens.dimension
