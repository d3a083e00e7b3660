"""eval as people meet it: cross-validation, one lens for all pairs, lists of candidates."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import tiny
from conftest import Result
from tll_index.core.config import load_settings
from tll_index.engine.evaluation.metrics import evaluate_pairs
from tll_index.engine.evaluation.tll import read_pairs
from tll_index.engine.lens.embedder import load_embedder
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import RECIPES
from training import PAIRS, SMALL, one_line, pixels, scored, write_csv

Cli = Callable[..., Result]


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
    names = ["pairs", "top-1", "top-2", "top-5", "MRR", "recall@1", "recall@5", "recall@10"]
    assert [line.split()[0] for line in lines] == [*names, "backbone", "lens"]
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
