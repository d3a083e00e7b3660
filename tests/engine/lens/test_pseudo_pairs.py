"""Matches guessed among candidates: never against the lists, one to one, as likely as they say."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lookalikes import SPEC, pairs
from tll_index.core.errors import UsageError
from tll_index.engine.evaluation.metrics import evaluate_pairs
from tll_index.engine.lens.options import options_of
from tll_index.engine.lens.pseudo_pairs import (
    TEMPERATURE,
    Guessed,
    Offered,
    guess,
    likelihoods,
)
from tll_index.engine.lens.trainer import train_lens
from tll_index.engine.lens.training import PairFeatures


def lists(count: int, length: int, random: np.random.Generator) -> np.ndarray:
    """(count, length): for each number itself, somewhere among others."""
    rows = []
    for row in range(count):
        others = random.permutation(np.delete(np.arange(count), row))[: length - 1]
        rows.append(random.permutation([row, *others]))
    return np.array(rows)


def pair_lists(some: PairFeatures, offered: np.ndarray) -> tuple[np.ndarray, Offered]:
    """The pairs' pictures without their labels, left ones first, and what is offered to whom."""
    count = len(some)
    unlabelled = np.concatenate([some.left, some.right])
    return unlabelled, Offered(np.arange(count), count + offered)


@given(seed=st.integers(0, 2**32), count=st.integers(2, 30), spare=st.integers(0, 5))
@settings(max_examples=40, deadline=None)
def test_one_to_one_among_what_is_offered(seed: int, count: int, spare: int) -> None:
    """A full assignment exists (each its own), so all are assigned, nobody twice, each to one of
    its own candidates; and rows that are not offered are never named."""
    random = np.random.default_rng(seed)
    length = min(count, 6)
    columns = lists(count, length, random)
    offered = Offered(10 + np.arange(count), 100 + columns + spare)
    scores = random.normal(size=columns.shape)
    found = guess(offered, scores)
    assert sorted(found.queries) == list(offered.queries)
    assert len(set(found.gallery)) == count
    for ask, answer, weight in zip(found.queries, found.gallery, found.weights, strict=True):
        assert answer in offered.gallery[ask - 10]
        assert 0 <= weight <= 1
    chances = likelihoods(scores, columns, count)
    assert np.allclose(chances.sum(axis=1), 1)


def test_the_assignment_is_the_likeliest_of_all() -> None:
    random = np.random.default_rng(1)
    columns = np.tile(np.arange(5), (5, 1))
    for _ in range(20):
        scores = random.normal(scale=0.1, size=(5, 5))
        logs = np.log(likelihoods(scores, columns, 5))
        best = max(permutations(range(5)), key=lambda order: sum(logs[range(5), order]))
        found = guess(Offered(np.arange(5), columns), scores)
        assert tuple(found.gallery[np.argsort(found.queries)]) == best


def test_what_one_claims_the_others_lose() -> None:
    """Two want the first picture, one of them could also have the second: it must."""
    columns = np.array([[0, 1], [0, 2]])
    scores = np.array([[0.5, 0.48], [0.5, -0.5]])
    found = guess(Offered(np.arange(2), columns), scores)
    assert found.gallery[np.argsort(found.queries)].tolist() == [1, 0]
    alone = np.exp(scores / TEMPERATURE)
    alone /= alone.sum(axis=1, keepdims=True)
    assert likelihoods(scores, columns, 3)[0, 0] < alone[0, 0]


def test_likelihoods_fill_every_column_or_leave_some_to_nobody() -> None:
    random = np.random.default_rng(2)
    columns = lists(40, 10, random)
    chances = likelihoods(random.normal(scale=0.05, size=columns.shape), columns, 40)
    assert np.allclose(np.bincount(columns.ravel(), chances.ravel()), 1, atol=0.02)
    spare = likelihoods(np.zeros((2, 4)), np.array([[0, 1, 2, 3], [0, 1, 2, 3]]), 4)
    assert np.allclose(spare, 0.25)


def test_lists_that_nobody_can_fill_are_filled_as_far_as_possible() -> None:
    """Three want the same two."""
    found = guess(Offered(np.arange(3), np.array([[0, 1]] * 3)), np.zeros((3, 2)))
    assert len(found.queries) == 2 and sorted(found.gallery) == [0, 1]


def test_guesses_are_as_often_right_as_they_say() -> None:
    """On made-up pairs whose lists are known, through a lens that has not seen them."""
    learn, unknown = pairs(400), pairs(300, seed=7)
    lens = train_lens(learn, SPEC, options_of(pca=60, outputs=20, lr=1e-2, candidates=False)).lens
    columns = lists(300, 20, np.random.default_rng(3))
    queries, gallery = lens.encode_query(unknown.left), lens.encode_gallery(unknown.right)
    scores = np.einsum("nd,ncd->nc", queries, gallery[columns]) * lens.scale
    found: Guessed = guess(Offered(np.arange(300), columns), scores)
    right = (found.gallery == found.queries).mean()
    alone = (columns[np.arange(300), scores.argmax(axis=1)] == np.arange(300)).mean()
    assert right > alone + 0.05
    sure = found.weights > 0.9
    assert sure.sum() > 20 and (found.gallery == found.queries)[sure].mean() > 0.85


def test_guessed_pairs_teach() -> None:
    """A lens of few pairs is better with lists of many; without labels, without lists or with
    lists of nonsense it is not."""
    few, unknown, new = pairs(120), pairs(400, seed=7), pairs(300, seed=1)
    columns = lists(400, 20, np.random.default_rng(3))
    unlabelled, offered = pair_lists(unknown, columns)
    chosen = options_of(pca=60, outputs=20)

    def top2(lists: Offered | None, **changed: object) -> float:
        features = PairFeatures(few.left, few.right, None, unlabelled, lists)
        lens = train_lens(features, SPEC, options_of(**{**chosen.as_dict(), **changed})).lens
        return evaluate_pairs(lens.encode_query(new.left), lens.encode_gallery(new.right)).top2

    without = top2(None)
    assert top2(offered) > without + 0.03
    assert top2(offered, candidates=False) == without
    others = np.random.default_rng(4).permutation(400)
    nonsense = Offered(offered.queries, 400 + others[columns])
    assert top2(nonsense) < without + 0.02


def test_candidates_need_their_pictures() -> None:
    few = pairs(60)
    offered = Offered(np.arange(3), np.array([[3, 4]] * 3))
    with pytest.raises(UsageError, match="candidates are rows of unlabelled pictures"):
        train_lens(
            PairFeatures(few.left, few.right, offered=offered), SPEC, options_of(outputs=9, pca=60)
        )
