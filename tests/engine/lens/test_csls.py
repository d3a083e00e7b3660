"""The hubness correction: what it takes away, and that an inner product says so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tll_index.core.contracts import UnitVectors
from tll_index.core.errors import LensError
from tll_index.engine.lens.csls import HubnessCorrection
from tll_index.engine.search.normalize import unit
from tll_index.engine.search.search import nearest, new_index

PENALTIES = {
    "seed": st.integers(0, 999),
    "weight": st.floats(0.01, 10),
    "neighbours": st.integers(1, 30),
    "dimension": st.sampled_from([1, 2, 16, 65]),
}


def vectors(n: int, seed: int, dimension: int = 16) -> UnitVectors:
    return unit(np.random.default_rng(seed).normal(size=(n, dimension)).astype(np.float32))


def made(seed: int, weight: float, neighbours: int, dimension: int) -> HubnessCorrection:
    return HubnessCorrection(vectors(30, seed, dimension), neighbours, weight)


def crowding_by_hand(csls: HubnessCorrection, gallery: UnitVectors) -> np.ndarray:
    cosines = gallery.astype(np.float64) @ csls.bank.T.astype(np.float64)
    return np.sort(cosines, axis=1)[:, ::-1][:, : csls.neighbours].mean(axis=1)


def scores_by_hand(
    csls: HubnessCorrection, queries: UnitVectors, gallery: UnitVectors
) -> np.ndarray:
    cosines = queries.astype(np.float64) @ gallery.T.astype(np.float64)
    return cosines - csls.weight * crowding_by_hand(csls, gallery)


@settings(max_examples=60, deadline=None)
@given(**PENALTIES)
def test_unit_vectors_whose_product_is_the_score(
    seed: int, weight: float, neighbours: int, dimension: int
) -> None:
    csls = made(seed, weight, neighbours, dimension)
    a, b = vectors(9, seed + 1000, dimension), vectors(11, seed + 2000, dimension)
    queries, gallery = csls.queries(a), csls.gallery(b)
    for pictures, count in ((queries, 9), (gallery, 11)):
        assert pictures.shape == (count, dimension + 2) and pictures.dtype == np.float32
        assert np.allclose(np.linalg.norm(pictures, axis=1), 1, atol=1e-5)
    scores = csls.scale * (queries @ gallery.T)
    assert np.allclose(scores, scores_by_hand(csls, a, b), atol=1e-5 * (1 + weight))
    assert csls.scale == pytest.approx(math.sqrt(2) * math.sqrt(1 + weight**2))


@settings(max_examples=40, deadline=None)
@given(**PENALTIES)
def test_crowding_is_the_mean_cosine_to_the_nearest(
    seed: int, weight: float, neighbours: int, dimension: int
) -> None:
    csls = made(seed, weight, neighbours, dimension)
    gallery = vectors(11, seed + 2000, dimension)
    assert np.allclose(csls.crowding(gallery), crowding_by_hand(csls, gallery), atol=1e-6)
    assert np.abs(csls.crowding(csls.bank)).max() <= 1


@settings(max_examples=40, deadline=None)
@given(**PENALTIES)
def test_the_index_ranks_by_the_formula(
    seed: int, weight: float, neighbours: int, dimension: int
) -> None:
    csls = made(seed, weight, neighbours, dimension)
    a, b = vectors(9, seed + 1000, dimension), vectors(40, seed + 2000, dimension)
    index = new_index(dimension + 2)
    index.add_with_ids(csls.gallery(b), np.arange(40))
    found = nearest(index, csls.queries(a), 40)
    by_hand = scores_by_hand(csls, a, b)
    ranked = np.take_along_axis(by_hand, found.ids, axis=1)
    assert (np.sort(found.ids, axis=1) == np.arange(40)).all()
    tolerance = 1e-5 * (1 + weight)
    assert (np.diff(ranked, axis=1) <= tolerance).all()
    assert np.allclose(csls.scale * found.scores, ranked, atol=tolerance)


def test_a_hub_is_kept_out() -> None:
    """Three that ask, each with an answer of its own, and one that resembles all a bit more."""
    own = np.eye(3, 4, dtype=np.float32)
    queries = unit(own + np.array([0, 0, 0, 1.4], np.float32))
    hub = unit(np.array([[0.4, 0.4, 0.4, 1]], np.float32))
    gallery = np.concatenate([own, hub])
    assert ((queries @ gallery.T).argmax(axis=1) == 3).all()
    csls = HubnessCorrection(queries, 3, 0.9)
    ranked = csls.queries(queries) @ csls.gallery(gallery).T
    assert ranked.argmax(axis=1).tolist() == [0, 1, 2]


def test_nothing_asked() -> None:
    csls = made(0, 0.5, 3, 16)
    none = np.empty((0, 16), np.float32)
    assert csls.queries(none).shape == csls.gallery(none).shape == (0, 18)


@pytest.mark.parametrize(
    ("bank", "says"),
    [
        (np.ones(16, np.float32), r"float32\(16,\)"),
        (np.ones((1, 3, 16), np.float32), "not unit vectors"),
        (np.ones((3, 16)), "float64"),
        (np.full((3, 16), np.nan, np.float32), "not unit vectors"),
        (np.empty((0, 16), np.float32), "of 0"),
    ],
)
def test_bad_banks_are_refused(bank: np.ndarray, says: str) -> None:
    with pytest.raises(LensError, match=f"lens: .*{says}"):
        HubnessCorrection(bank, 1, 0.5)


@pytest.mark.parametrize(
    ("neighbours", "weight"),
    [(0, 0.5), (-1, 0.5), (4, 0.5), (1, 0.0), (1, -0.5), (1, math.inf), (1, math.nan)],
)
def test_bad_penalties_are_refused(neighbours: int, weight: float) -> None:
    with pytest.raises(LensError, match=f"{neighbours} neighbours of 3 with weight"):
        HubnessCorrection(vectors(3, 0), neighbours, weight)
