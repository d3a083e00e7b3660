"""From a folder of drawn pairs to lenses and scores, with the tiny backbone."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps

import lookalikes
import tiny
from pictures import noise
from tll_index.core.config import load_settings
from tll_index.core.errors import DataError, UsageError
from tll_index.core.progress import Progress
from tll_index.engine.backbones.backbone import Backbone, load_backbone
from tll_index.engine.evaluation.metrics import Scores, evaluate_pairs, folds
from tll_index.engine.evaluation.tll import Pairs, read_pairs
from tll_index.engine.images.decode import from_image, greyed
from tll_index.engine.lens.embedder import Embedder
from tll_index.engine.lens.experiment import (
    PairData,
    cross_validate,
    evaluate,
    fit_lens,
    load_pairs,
    rate_candidates,
    score_candidates,
    with_score,
)
from tll_index.engine.lens.lens import Lens
from tll_index.engine.lens.options import TrainingOptions, options_of
from tll_index.engine.lens.trainer import train_lens
from tll_index.engine.lens.training import PairFeatures
from tll_index.engine.search.search import nearest, new_index

COUNT = 24
HUBS = 0.5


def options(**chosen: Any) -> TrainingOptions:
    return options_of(**{"pca": 10, "outputs": 6, "epochs": 3, "lr": 1e-2, **chosen})


def table(path: Path, header: Sequence[str], rows: Sequence[Sequence[str]]) -> Path:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def draw(root: Path) -> Path:
    """24 pairs, the right one half of something else; 6 left and 10 right test pictures; each test
    picture on the left is offered 4."""
    for side in ("train/left", "train/right", "test/left", "test/right"):
        (root / side).mkdir(parents=True)
    for number in range(COUNT):
        noise(number).save(root / f"train/left/l{number:02}.png")
        other = Image.blend(noise(number), noise(500 + number), 0.5)
        other.save(root / f"train/right/r{number:02}.png")
    table(
        root / "train.csv",
        ["left", "right"],
        [[f"l{number:02}", f"r{number:02}"] for number in range(COUNT)],
    )
    for number in range(10):
        noise(700 + number).save(root / f"test/right/{number}.png")
    for number in range(6):
        noise(800 + number).save(root / f"test/left/{number}.png")
    table(
        root / "test_candidates.csv",
        ["left", "c0", "c1", "c2", "c3"],
        [[str(row), *(str((row * 3 + j) % 10) for j in range(4))] for row in range(6)],
    )
    return root


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return draw(tmp_path_factory.mktemp("drawn") / "data")


@pytest.fixture
def material(data: Path) -> PairData:
    return load_pairs(data, "tiny", options=options())


@pytest.fixture
def made_up() -> PairData:
    """400 pairs of made-up features; no picture is opened."""
    return of_features(lookalikes.pairs(400))


def of_features(features: PairFeatures) -> PairData:
    tiny = load_backbone("tiny")
    backbone = Backbone(lookalikes.SPEC, tiny.weights, tiny.runtime)
    left, right = (
        tuple(Path(f"{side}/{number}.png") for number in range(len(features)))
        for side in ("left", "right")
    )
    return PairData(Pairs(Path(), left, right), backbone, features)


def scores_by_hand(lens: Lens, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """(n, m): cosine, less what the right picture loses for being near to many."""
    queries, gallery = (lens.transform(side.astype(np.float32)) for side in (left, right))
    crowding = 0.0 if lens.csls is None else lens.csls.weight * lens.csls.crowding(gallery)
    return queries @ gallery.T - crowding


# PairData


def test_features_of_both_sides_in_order(data: Path, material: PairData) -> None:
    backbone = load_backbone("tiny")
    for side, name, rows in (
        ("left", "l", material.features.left),
        ("right", "r", material.features.right),
    ):
        squares = [
            from_image(
                Image.open(data / f"train/{side}/{name}{number:02}.png"), backbone.spec.geometry
            )
            for number in range(COUNT)
        ]
        by_hand = backbone.features(np.stack([square.pixels for square in squares]))
        assert np.allclose(rows, by_hand, atol=2e-3)
    assert len(material.pairs) == len(material.features) == COUNT


def test_only_what_is_wanted_is_extracted(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.watch(monkeypatch, tmp_path / "log")

    def extracted() -> int:
        done = sum(map(int, (tmp_path / "log").read_text().split()))
        (tmp_path / "log").write_text("")
        return done

    assert load_pairs(data, "tiny", options=None).features.unlabelled is None
    assert extracted() == 2 * COUNT
    material = load_pairs(data, "tiny", options=options())
    assert material.features.mirrored is None and extracted() == 16  # the pairs are kept
    assert material.features.unlabelled is not None and len(material.features.unlabelled) == 16
    for chosen in ({"unlabelled": False}, {"pca": 0, "start": "random"}):
        wanted = load_pairs(data, "tiny", options=options(**chosen)).features
        assert wanted.unlabelled is not None and wanted.offered is not None  # to guess from
        other = load_pairs(data, "tiny", options=options(candidates=False, **chosen))
        assert other.features.unlabelled is None
    mirrored = load_pairs(data, "tiny", options=options(augment="mirror")).features.mirrored
    assert extracted() == 2 * COUNT
    left = ImageOps.mirror(Image.open(data / "train/left/l05.png"))
    backbone = load_backbone("tiny")
    by_hand = backbone.features(from_image(left, backbone.spec.geometry).pixels[None])[0]
    assert mirrored is not None and np.allclose(mirrored[0][5], by_hand, atol=2e-3)
    grey = load_pairs(data, "tiny", options=options(grey=True)).features
    pixels = from_image(Image.open(data / "train/right/r05.png"), backbone.spec.geometry).pixels
    by_hand = backbone.features(greyed(pixels)[None])[0]
    assert np.allclose(grey.right[5], by_hand, atol=2e-3)


@pytest.mark.parametrize("name", ["train/left/l03.png", "train/right/r07.png", "test/right/2.png"])
def test_a_damaged_picture_is_named(tmp_path: Path, name: str) -> None:
    root = draw(tmp_path / "data")
    (root / name).write_bytes((root / name).read_bytes()[:60])
    with pytest.raises(DataError, match=name):
        load_pairs(root, "tiny", options=options())


# Training


def test_the_lens_says_where_it_comes_from(data: Path, material: PairData, tmp_path: Path) -> None:
    fit = fit_lens(material, options())
    provenance = fit.lens.provenance
    assert provenance.pop("made_with").startswith("tll-index ")
    assert provenance == {
        "options": options().recorded(),
        "data_sha256": read_pairs(data).digest(),
        "pairs": COUNT,
        "unlabelled": 16,
        "candidates": 6,
        "weights_sha256": load_backbone("tiny").weights.sha256,
        "epochs": 3,
        "loss": pytest.approx(fit.losses[-1], abs=1e-6),
        "cross_validation": None,
    }
    validated = cross_validate(material, options(), count=4)
    lens = with_score(fit.lens, validated.scores, 4)
    assert lens.digest == fit.lens.digest == fit_lens(material, options()).lens.digest
    assert lens.provenance["cross_validation"] == {"folds": 4, **validated.scores.as_dict()}
    lens.save(tmp_path / "lens.npz")
    loaded = Lens.load(tmp_path / "lens.npz")
    assert loaded.provenance == lens.provenance and loaded.digest == lens.digest
    backbone = material.backbone
    loaded.check(backbone.spec, backbone.weights.sha256)
    untrained = fit_lens(material, options(epochs=0)).lens.provenance
    assert (untrained["epochs"], untrained["loss"]) == (0, None)


def test_the_same_whether_kept_or_extracted(data: Path, material: PairData, home: Path) -> None:
    again = load_pairs(data, "tiny", options=options())
    elsewhere = load_settings(cache_dir=home / "other")
    fresh = load_pairs(data, "tiny", options=options(), settings=elsewhere)
    digests = {fit_lens(one, options()).lens.digest for one in (material, again, fresh)}
    assert len(digests) == 1


# Cross-validation


def test_folds_cover_all_pairs_each_judged_by_a_lens_that_has_not_seen_it(
    made_up: PairData,
) -> None:
    chosen = options(csls=HUBS, pca=40, seed=3)
    validated = cross_validate(made_up, chosen, count=4)
    parts = folds(400, 4, 3)
    assert validated.scores.pairs == 400
    assert (np.sort(np.concatenate(validated.rows)) == np.arange(400)).all()
    features = made_up.features
    for fit, rows, part in zip(validated.fits, validated.rows, parts, strict=True):
        assert (rows == part).all() and len(fit.top2) == 3
        queries = fit.lens.encode_query(features.left[rows])
        alone = evaluate_pairs(queries, fit.lens.encode_gallery(features.right[rows]))
        for name in ("top1", "top2", "top5", "mrr"):
            assert np.allclose(validated.scores.per_pair[name][rows], alone.per_pair[name])
        by_hand = scores_by_hand(fit.lens, features.left[rows], features.right)
        own = by_hand[np.arange(100), rows][:, None]
        rank = (by_hand > own + 1e-6).sum(axis=1)
        recall = validated.scores.per_pair["recall_at_5"][rows]
        assert (recall == (rank < 5)).mean() > 0.97  # but for ties within rounding
    assert validated.scores.top2 > 0.5
    again = cross_validate(made_up, chosen, count=4)
    assert again.scores.as_dict() == validated.scores.as_dict()
    other = cross_validate(made_up, chosen, count=4, seed=4)
    assert not (other.rows[0] == validated.rows[0]).all()


def test_no_lens_sees_the_fold_that_judges_it(made_up: PairData) -> None:
    """Whatever happens to the pairs of a fold, its own lens stays the same; all others change."""
    chosen = options(csls=HUBS, pca=40, epochs=2)
    before = cross_validate(made_up, chosen, count=4)
    held_out = before.rows[0]
    features = made_up.features
    shuffled, forged = features.right.copy(), features.left.copy()
    shuffled[held_out] = features.right[np.roll(held_out, 1)]
    forged[held_out] += 5
    for changed in (
        PairFeatures(features.left, shuffled),
        PairFeatures(forged, shuffled),
    ):
        after = cross_validate(of_features(changed), chosen, count=4)
        same = [
            a.lens.digest == b.lens.digest for a, b in zip(before.fits, after.fits, strict=True)
        ]
        assert same == [True, False, False, False]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_shuffled_pairing_scores_as_chance(seed: int) -> None:
    features = lookalikes.pairs(400, seed)
    order = np.random.default_rng(seed).permutation(400)
    shuffled = of_features(PairFeatures(features.left, features.right[order]))
    chosen = options(pca=60, outputs=8, seed=seed)
    scores = cross_validate(shuffled, chosen, seed=seed).scores
    assert scores.top2 == pytest.approx(0.10, abs=0.03)
    assert scores.top1 == pytest.approx(0.05, abs=0.02)
    assert cross_validate(of_features(features), chosen, seed=seed).scores.top2 > 0.5


@pytest.mark.parametrize("count", [0, 1, COUNT + 1])
def test_folds_that_cannot_be(material: PairData, count: int) -> None:
    with pytest.raises(UsageError, match=f"2 to {COUNT} folds, not {count}"):
        cross_validate(material, options(), count=count)


def test_ctrl_c_ends_cross_validation(material: PairData) -> None:
    class Interrupt(Progress):
        def advance(self, count: int = 1, **figures: float) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cross_validate(material, options(), count=4, progress=Interrupt())


# Scores


@pytest.mark.parametrize("csls", [0.0, HUBS])
def test_the_index_ranks_as_the_matrix_product(made_up: PairData, csls: float) -> None:
    """Of asks and answers; and as the formula of the penalty."""
    lens = train_made_up(made_up, csls)
    features = made_up.features
    queries, gallery = lens.encode_query(features.left), lens.encode_gallery(features.right)
    assert queries.shape == gallery.shape == (400, 8 if csls else 6)
    index = new_index(lens.dimension)
    index.add_with_ids(gallery, np.arange(400))
    found = nearest(index, queries, 400)
    for by_hand, atol in (
        (lens.scale * (queries.astype(np.float64) @ gallery.T.astype(np.float64)), 2e-6),
        (scores_by_hand(lens, features.left, features.right), 1e-5),
    ):
        ranked = np.take_along_axis(by_hand, found.ids, axis=1)
        assert np.allclose(lens.scale * found.scores, ranked, atol=atol)
        assert (np.diff(ranked, axis=1) <= atol).all()
    scores = evaluate(made_up, lens)
    own = np.diag(scores_by_hand(lens, features.left, features.right))[:, None]
    better = (scores_by_hand(lens, features.left, features.right) > own + 1e-6).sum(axis=1)
    assert scores.recall_at_1 == pytest.approx((better == 0).mean(), abs=0.01)
    assert scores.recall_at_10 == pytest.approx((better < 10).mean(), abs=0.01)


def train_made_up(material: PairData, csls: float) -> Lens:
    return train_lens(material.features, lookalikes.SPEC, options(csls=csls, pca=40)).lens


def lists(data: Path, path: Path, per_list: int = 5) -> tuple[Path, np.ndarray, np.ndarray]:
    """A file of candidates for all pairs, in another order than theirs; the rows that it offers,
    and which of them is the match."""
    random = np.random.default_rng(11)
    left = random.permutation(COUNT)
    offered = np.array(
        [
            [row, *random.permutation(np.setdiff1d(np.arange(COUNT), row))[: per_list - 1]]
            for row in left
        ]
    )
    offered = random.permuted(offered, axis=1)
    header = ["left", *(f"c{j}" for j in range(per_list))]
    rows = [
        [f"l{row:02}", *(f"r{one:02}" for one in some)]
        for row, some in zip(left, offered, strict=True)
    ]
    return table(path, header, rows), left, offered


def assert_ranked(
    scores: Scores, by_hand: np.ndarray, left: np.ndarray, offered: np.ndarray
) -> None:
    """`by_hand` (pairs, pairs): the scores of all left pictures with all right ones."""
    for place, (row, some) in enumerate(zip(left, offered, strict=True)):
        rank = (by_hand[row, some] > by_hand[row, row]).sum()
        for k in (1, 2, 5):
            assert scores.per_pair[f"top{k}"][place] == (rank < k)
        assert scores.per_pair["mrr"][place] == pytest.approx(1 / (rank + 1))


def test_fixed_candidates(data: Path, material: PairData, tmp_path: Path) -> None:
    file, left, offered = lists(data, tmp_path / "lists.csv")
    lens = fit_lens(material, options(csls=3.0)).lens
    scores = score_candidates(material, file, lens)
    by_hand = scores_by_hand(lens, material.features.left, material.features.right)
    assert scores.pairs == COUNT and scores.recall_at_1 is None
    assert_ranked(scores, by_hand, left, offered)
    assert 0.2 < scores.top1 < 1


def test_fixed_candidates_by_the_lens_that_has_not_seen_the_pair(
    data: Path, material: PairData, tmp_path: Path
) -> None:
    file, left, offered = lists(data, tmp_path / "lists.csv")
    validated = cross_validate(material, options(csls=3.0), count=3)
    by_hand = np.empty((COUNT, COUNT))
    for fit, rows in zip(validated.fits, validated.rows, strict=True):
        features = material.features
        by_hand[rows] = scores_by_hand(fit.lens, features.left[rows], features.right)
    scores = score_candidates(material, file, validated)
    assert_ranked(scores, by_hand, left, offered)
    few = table(tmp_path / "few.csv", ["left", "c0", "c1"], [["l03", "r04", "r03"]])
    assert score_candidates(material, few, validated).pairs == 1


def test_candidates_that_are_no_pairs(material: PairData, tmp_path: Path) -> None:
    file = table(tmp_path / "lists.csv", ["left", "c0", "c1"], [["l03", "r04", "r05"]])
    with pytest.raises(DataError, match=r"lists\.csv.*2.*r03, the match of l03"):
        score_candidates(material, file, Lens.plain(material.backbone.spec))
    short = replace(material.pairs, left=material.pairs.left[:4], right=material.pairs.right[:4])
    few = replace(material, pairs=short)
    file = table(tmp_path / "lists.csv", ["left", "c0", "c1"], [["l03", "r03", "r05"]])
    with pytest.raises(DataError, match=r"r05\.png is the right picture of no pair"):
        score_candidates(few, file, Lens.plain(material.backbone.spec))


@pytest.mark.parametrize("chosen", [{"csls": 0.0}, {"csls": HUBS}, {"csls": HUBS, "grey": True}])
def test_candidates_of_the_test_split_are_rated(data: Path, chosen: dict[str, Any]) -> None:
    material = load_pairs(data, "tiny", options=options(**chosen))
    lens = fit_lens(material, options(**chosen)).lens
    embedder = Embedder(material.backbone, lens)
    candidates, scores = rate_candidates(data, embedder)
    assert len(candidates) == 6 and scores.shape == (6, 4) and scores.dtype == np.float32

    def pixels(side: str, names: Sequence[str]) -> np.ndarray:
        geometry = material.backbone.spec.geometry
        images = [Image.open(data / f"test/{side}/{name}.png") for name in names]
        return np.stack([from_image(image, geometry).pixels for image in images])

    for row, (left, right) in enumerate(zip(candidates.left, candidates.right, strict=True)):
        queries = embedder.encode_query(pixels("left", [left]))
        gallery = embedder.encode_gallery(pixels("right", right))
        assert np.allclose(scores[row], lens.scale * queries[0] @ gallery.T, atol=3e-3)
    assert scores.std() > 0.1
    own = table(data / "own.csv", ["left", "c0"], [["4", "9"]])
    assert rate_candidates(data, embedder, file=own)[1].shape == (1, 1)
    missing = table(data / "own.csv", ["left", "c0"], [["4", "99"]])
    with pytest.raises(DataError, match=r"own\.csv.*2.*no picture 99"):
        rate_candidates(data, embedder, file=missing)
