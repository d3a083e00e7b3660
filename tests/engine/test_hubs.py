"""The hub penalty: what it takes away, and that an inner product says so."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tll_index.core.contracts import UnitVectors
from tll_index.core.errors import LensError
from tll_index.engine.lens.csls import HubPenalty
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


def made(seed: int, weight: float, neighbours: int, dimension: int) -> HubPenalty:
    return HubPenalty(vectors(30, seed, dimension), neighbours, weight)


def crowding_by_hand(hubs: HubPenalty, answers: UnitVectors) -> np.ndarray:
    cosines = answers.astype(np.float64) @ hubs.bank.T.astype(np.float64)
    return np.sort(cosines, axis=1)[:, ::-1][:, : hubs.neighbours].mean(axis=1)


def scores_by_hand(hubs: HubPenalty, asks: UnitVectors, answers: UnitVectors) -> np.ndarray:
    cosines = asks.astype(np.float64) @ answers.T.astype(np.float64)
    return cosines - hubs.weight * crowding_by_hand(hubs, answers)


@settings(max_examples=60, deadline=None)
@given(**PENALTIES)
def test_unit_vectors_whose_product_is_the_score(
    seed: int, weight: float, neighbours: int, dimension: int
) -> None:
    hubs = made(seed, weight, neighbours, dimension)
    a, b = vectors(9, seed + 1000, dimension), vectors(11, seed + 2000, dimension)
    asks, answers = hubs.asks(a), hubs.answers(b)
    for pictures, count in ((asks, 9), (answers, 11)):
        assert pictures.shape == (count, dimension + 2) and pictures.dtype == np.float32
        assert np.allclose(np.linalg.norm(pictures, axis=1), 1, atol=1e-5)
    scores = hubs.scale * (asks @ answers.T)
    assert np.allclose(scores, scores_by_hand(hubs, a, b), atol=1e-5 * (1 + weight))
    assert hubs.scale == pytest.approx(math.sqrt(2) * math.sqrt(1 + weight**2))


@settings(max_examples=40, deadline=None)
@given(**PENALTIES)
def test_crowding_is_the_mean_cosine_to_the_nearest(
    seed: int, weight: float, neighbours: int, dimension: int
) -> None:
    hubs = made(seed, weight, neighbours, dimension)
    answers = vectors(11, seed + 2000, dimension)
    assert np.allclose(hubs.crowding(answers), crowding_by_hand(hubs, answers), atol=1e-6)
    assert np.abs(hubs.crowding(hubs.bank)).max() <= 1


@settings(max_examples=40, deadline=None)
@given(**PENALTIES)
def test_the_index_ranks_by_the_formula(
    seed: int, weight: float, neighbours: int, dimension: int
) -> None:
    hubs = made(seed, weight, neighbours, dimension)
    a, b = vectors(9, seed + 1000, dimension), vectors(40, seed + 2000, dimension)
    index = new_index(dimension + 2)
    index.add_with_ids(hubs.answers(b), np.arange(40))
    found = nearest(index, hubs.asks(a), 40)
    by_hand = scores_by_hand(hubs, a, b)
    ranked = np.take_along_axis(by_hand, found.ids, axis=1)
    assert (np.sort(found.ids, axis=1) == np.arange(40)).all()
    tolerance = 1e-5 * (1 + weight)
    assert (np.diff(ranked, axis=1) <= tolerance).all()
    assert np.allclose(hubs.scale * found.scores, ranked, atol=tolerance)


def test_a_hub_is_kept_out() -> None:
    """Three that ask, each with an answer of its own, and one that resembles all a bit more."""
    own = np.eye(3, 4, dtype=np.float32)
    asks = unit(own + np.array([0, 0, 0, 1.4], np.float32))
    hub = unit(np.array([[0.4, 0.4, 0.4, 1]], np.float32))
    answers = np.concatenate([own, hub])
    assert ((asks @ answers.T).argmax(axis=1) == 3).all()
    hubs = HubPenalty(asks, 3, 0.9)
    ranked = hubs.asks(asks) @ hubs.answers(answers).T
    assert ranked.argmax(axis=1).tolist() == [0, 1, 2]


def test_nothing_asked() -> None:
    hubs = made(0, 0.5, 3, 16)
    none = np.empty((0, 16), np.float32)
    assert hubs.asks(none).shape == hubs.answers(none).shape == (0, 18)


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
        HubPenalty(bank, 1, 0.5)


@pytest.mark.parametrize(
    ("neighbours", "weight"),
    [(0, 0.5), (-1, 0.5), (4, 0.5), (1, 0.0), (1, -0.5), (1, math.inf), (1, math.nan)],
)
def test_bad_penalties_are_refused(neighbours: int, weight: float) -> None:
    with pytest.raises(LensError, match=f"{neighbours} neighbours of 3 with weight"):
        HubPenalty(vectors(3, 0), neighbours, weight)
