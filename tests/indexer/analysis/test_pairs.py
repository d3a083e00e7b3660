"""Striking pairs: alike through the lens only, each picture once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pictures import fill_folder, noise
from tll_index import Lens, Recipe, Store, build, pairs
from tll_index.core.errors import StoreError, UsageError
from tll_index.engine.images.decode import decode
from tll_index.engine.search.normalize import unit
from tll_index.indexer.analysis.knn_graph import Neighbourhoods
from tll_index.indexer.analysis.pair_ranking import (
    WEIGHT,
    Alike,
    BackgroundPairs,
    each_once,
    mutual,
)
from tll_index.indexer.analysis.pairs import are_near

LENS = Lens("tiny", 16, adaptation=np.random.default_rng(4).normal(size=(6, 16)).astype(np.float32))


def cosines(paths: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Between all of these pictures: through the lens, and plain."""
    with Store.open() as store:
        backbone = store.embedder.backbone
        geometry = backbone.spec.geometry
        pixels = [decode(Path(path).read_bytes(), geometry).pixels for path in paths]
        features = backbone.features(np.stack(pixels))
    embeddings, plain = LENS.transform(features), unit(features)
    return embeddings @ embeddings.T, plain @ plain.T


@pytest.mark.usefixtures("anywhere")
@pytest.mark.slow_after_first
def test_pairs_are_what_their_cosines_say(here: Path) -> None:
    paths = [str(path) for path in fill_folder(here / "photos", 40)]
    build(["photos"], recipe=Recipe("tiny", lens=LENS))
    found = pairs(top=8)
    assert len(found) == 8
    alike, plain = cosines(paths)
    for rank, pair in enumerate(found, start=1):
        row, column = (paths.index(side.paths[0]) for side in (pair.left, pair.right))
        assert pair.rank == rank
        assert pair.alike == pytest.approx(alike[row, column], abs=1e-4)
        assert pair.plain == pytest.approx(plain[row, column], abs=1e-3)
        for one, other in ((row, column), (column, row)):
            assert (alike[one] > alike[one, other] + 1e-5).sum() - 1 < 10  # mutual neighbours
    scores = [pair.score for pair in found]
    above = np.linalg.lstsq(
        np.array([[pair.alike, pair.plain, 1] for pair in found]), np.array(scores), rcond=None
    )[0]
    assert above[0] > 0 > above[1]  # alike through the lens counts for it, plain against
    assert scores == sorted(scores, reverse=True)
    sides = [side.sha256 for pair in found for side in (pair.left, pair.right)]
    assert len(sides) == len(set(sides))
    assert pairs(top=8) == found


def test_the_same_picture_is_no_pair(here: Path) -> None:
    fill_folder(here / "photos", 6)
    for seed in range(6):
        noise(seed).resize((80, 60)).save(here / f"photos/large{seed}.jpg", quality=60)
    build(["photos"], recipe=Recipe("tiny", lens=LENS))
    for pair in pairs():
        names = {Path(side.paths[0]).stem[-1] for side in (pair.left, pair.right)}
        assert len(names) == 2


def test_a_store_without_a_lens_has_none(here: Path) -> None:
    fill_folder(here / "photos", 3)
    build(["photos"], recipe=Recipe("tiny", lens="none"))
    with pytest.raises(StoreError, match="no trained lens"):
        pairs()


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_pictures(count: int, here: Path) -> None:
    paths = fill_folder(here / "photos", 3)
    build(["photos"], recipe=Recipe("tiny", lens=LENS))
    for path in paths[count:]:
        path.unlink()
    build(allow_empty=True)
    assert len(pairs()) <= count // 2


def test_files_that_are_gone_are_passed_over(here: Path) -> None:
    fill_folder(here / "photos", 20)
    build(["photos"], recipe=Recipe("tiny", lens=LENS))
    best = pairs(top=1)[0]
    Path(best.left.paths[0]).unlink()
    left = {side.sha256 for pair in pairs(top=9) for side in (pair.left, pair.right)}
    assert left and best.left.sha256 not in left


def test_top_must_be_one() -> None:
    with pytest.raises(UsageError):
        pairs(top=0)


def test_mutual_neighbours() -> None:
    others = np.array([[2, 3], [1, 3], [4, -1], [3, 1]])
    block = Neighbourhoods(
        np.array([1, 2, 3, 4]),
        others,
        np.array([[0.9, 0.8], [0.9, 0.7], [0.6, -np.inf], [0.6, 0.5]]),
    )
    found = mutual([block])
    assert found.pairs.tolist() == [[1, 2], [3, 4]]
    assert found.alike.tolist() == [0.9, 0.6]
    assert mutual([]).pairs.shape == (0, 2)


@settings(deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 9), st.integers(10, 19), st.floats(0, 1), st.floats(0, 1)),
        max_size=40,
    )
)
def test_the_best_of_each_picture_is_kept(rows: list[tuple[int, int, float, float]]) -> None:
    found = Alike(
        np.array([row[:2] for row in rows], np.int64).reshape(-1, 2),
        np.array([row[2] for row in rows]),
        np.array([row[3] for row in rows]),
    )
    background = BackgroundPairs((0.1, 0.2), (0.5, 0.1))
    best = each_once(found, background.scores(found))
    assert len(np.unique(best.pairs)) == best.pairs.size
    scores = background.scores(best)
    assert (np.diff(scores) <= 0).all()
    for pair, score in zip(found.pairs, background.scores(found), strict=True):
        assert ((best.pairs == pair).any(axis=1) & (scores >= score)).any()


def test_scores_are_deviations_above_strangers() -> None:
    found = Alike(np.array([[1, 2]]), np.array([0.5]), np.array([0.7]))
    background = BackgroundPairs.of(np.array([0.0, 0.2]), np.array([0.4, 0.6]))
    assert background.plainness(found.plain) == pytest.approx([2])
    assert background.scores(found) == pytest.approx([4 - 2 * WEIGHT])


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        (b"/a/IMG_0012.jpg", b"/a/IMG_0013.jpg", True),
        (b"/a/IMG_0012.jpg", b"/a/IMG_0018.jpg", False),
        (b"/a/IMG_0012.jpg", b"/b/IMG_0013.jpg", False),
        (b"/a/IMG_0012.jpg", b"/a/DSC_0013.jpg", False),
        (b"/a/IMG_0012.jpg", b"/a/IMG_0013.png", False),
        (b"/a/9.jpg", b"/a/10.jpg", True),
        (b"/a/x.jpg", b"/a/y.jpg", False),
        (b"/a/1-7.jpg", b"/a/2-7.jpg", False),
        (b"/a/\xff1.jpg", b"/a/\xff2.jpg", True),
        (b"/a/" + b"9" * 40 + b".jpg", b"/a/" + b"9" * 39 + b"8.jpg", True),
    ],
)
def test_near_numbers(one: bytes, other: bytes, near: bool) -> None:
    assert are_near(one, other) is near
