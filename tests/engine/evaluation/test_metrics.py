"""What is reported of pairs: exact expectations, held against enumeration and simulation."""

from __future__ import annotations

import json
import math
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tll_index.core.errors import UsageError
from tll_index.engine.evaluation import metrics as evaluation
from tll_index.engine.evaluation.metrics import (
    Scores,
    bootstrap_interval,
    evaluate_candidates,
    evaluate_pairs,
    expected_reciprocal_rank,
    expected_top_k,
    folds,
    standing,
)
from tll_index.engine.search.normalize import unit


def vectors(n: int, seed: int, dimension: int = 16) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, dimension)).astype(np.float32))


def pairs(n: int, seed: int, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Queries, and a gallery that is more or less like them."""
    queries = vectors(n, seed)
    return queries, unit(queries + noise * vectors(n, seed + 10_000))


def corners(n: int, seed: int) -> np.ndarray:
    """Unit vectors whose products are exact in any order: many ties."""
    signs = np.random.default_rng(seed).choice([-0.5, 0.5], size=(n, 4))
    return signs.astype(np.float32)


# Ranking


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 60), extra=st.integers(0, 20), seed=st.integers(0, 999))
def test_standing_is_that_of_the_matrix_product(n: int, extra: int, seed: int) -> None:
    queries, gallery = corners(n, seed), corners(n + extra, seed + 1000)
    products = queries @ gallery.T
    match = np.diag(products)[:, None]
    position = standing(queries, gallery)
    assert (position.better == (products > match).sum(axis=1)).all()
    assert (position.ties == (products == match).sum(axis=1) - 1).all()
    assert position.others == n + extra - 1


@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 60), seed=st.integers(0, 999), noise=st.floats(0, 4))
def test_standing_is_that_of_the_matrix_product_within_rounding(
    n: int, seed: int, noise: float
) -> None:
    queries, gallery = pairs(n, seed, noise)
    products = queries.astype(np.float64) @ gallery.T.astype(np.float64)
    match = np.diag(products)[:, None]
    position = standing(queries, gallery)
    assert (position.better >= (products > match + 2e-6).sum(axis=1)).all()
    assert (position.better + position.ties <= (products > match - 2e-6).sum(axis=1) - 1).all()


def test_standing_does_not_depend_on_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, gallery = corners(50, 1), corners(50, 2)
    whole = standing(queries, gallery)
    monkeypatch.setattr(evaluation, "MOST_NUMBERS", 7 * 50)
    parts = standing(queries, gallery)
    assert (whole.better == parts.better).all() and (whole.ties == parts.ties).all()


@pytest.mark.parametrize(
    ("queries", "gallery"),
    [
        (vectors(3, 0), vectors(2, 0)),
        (vectors(3, 0), vectors(3, 0, dimension=5)),
        (vectors(3, 0)[0], vectors(3, 0)),
        (vectors(3, 0)[:0], vectors(3, 0)[:0]),
        (vectors(3, 0) * np.float32(np.nan), vectors(3, 0)),
        (vectors(3, 0), np.full((3, 16), np.inf, np.float32)),
    ],
)
def test_vectors_that_are_not_pairs_are_refused(queries: np.ndarray, gallery: np.ndarray) -> None:
    with pytest.raises(UsageError):
        evaluate_pairs(queries, gallery)
    with pytest.raises(UsageError):
        standing(queries, gallery)


# Expectations


def enumerated(better: int, ties: int, others: int, foils: int) -> list[float]:
    """The chance of each rank, from every draw and every order of equals."""
    population = [1] * better + [0] * ties + [-1] * (others - better - ties)
    chances = [0.0] * (others + 1)
    draws = list(combinations(population, min(foils, others)))
    for draw in draws:
        for before in range(draw.count(0) + 1):
            chances[draw.count(1) + before] += 1 / (draw.count(0) + 1) / len(draws)
    return chances


@settings(max_examples=150, deadline=None)
@given(data=st.data(), others=st.integers(0, 7), foils=st.integers(0, 9), k=st.integers(1, 9))
def test_closed_form_is_the_enumeration(
    data: st.DataObject, others: int, foils: int, k: int
) -> None:
    better = data.draw(st.integers(0, others))
    ties = data.draw(st.integers(0, others - better))
    chances = enumerated(better, ties, others, foils)
    top = expected_top_k([better], [ties], others, foils, k)
    assert top == pytest.approx([sum(chances[:k])], abs=1e-9)
    rank = expected_reciprocal_rank([better], [ties], others, foils)
    expected = sum(chance / (before + 1) for before, chance in enumerate(chances))
    assert rank == pytest.approx([expected], abs=1e-9)


@settings(max_examples=12, deadline=None, derandomize=True)
@given(data=st.data(), others=st.integers(19, 400), k=st.integers(1, 6))
def test_closed_form_is_the_simulation(data: st.DataObject, others: int, k: int) -> None:
    better = data.draw(st.integers(0, min(others, others // 4 + k)))
    ties = data.draw(st.integers(0, min(others - better, 12)))
    draws = 3000
    random = np.random.default_rng(others)
    scores = np.repeat([1.0, 0.0, -1.0], [better, ties, others - better - ties])
    drawn = random.permuted(np.tile(scores, (draws, 1)), axis=1)[:, :19]
    lucky = random.random(drawn.shape) < random.random((draws, 1))  # the order among equals
    before = (drawn > 0).sum(axis=1) + ((drawn == 0) & lucky).sum(axis=1)
    expected = expected_top_k([better], [ties], others, k=k)[0]
    error = math.sqrt(max(expected * (1 - expected), 1 / draws) / draws)
    assert (before < k).mean() == pytest.approx(expected, abs=5 * error)
    ranks = 1 / (before + 1)
    expected = expected_reciprocal_rank([better], [ties], others)[0]
    assert ranks.mean() == pytest.approx(expected, abs=5 * ranks.std() / draws**0.5 + 1e-9)


def test_a_value_worked_out_by_hand() -> None:
    """2 of 40 others are better, 19 are drawn: not in the two best only if both are among them."""
    both = 19 / 40 * 18 / 39
    assert expected_top_k([2], [0], 40) == pytest.approx([1 - both])


@pytest.mark.parametrize("others", [19, 1599, 9999])
def test_all_matches_best_or_worst(others: int) -> None:
    assert expected_top_k([0], [0], others)[0] == pytest.approx(1, abs=1e-9)
    assert expected_top_k([others], [0], others)[0] == pytest.approx(0, abs=1e-9)
    assert expected_reciprocal_rank([others], [0], others)[0] == pytest.approx(1 / 20)
    everywhere = expected_top_k([0], [others], others, k=5)  # all equal: chance
    assert everywhere[0] == pytest.approx(5 / 20, abs=1e-9)


@settings(max_examples=50, deadline=None)
@given(others=st.integers(1, 300), foils=st.integers(1, 40))
def test_it_is_monotone(others: int, foils: int) -> None:
    better = np.arange(others + 1)
    ties = np.zeros_like(better)
    chances = [expected_top_k(better, ties, others, foils, k) for k in range(1, foils + 2)]
    assert (np.diff(chances, axis=0) >= -1e-9).all()  # in k
    assert (np.diff(chances, axis=1) <= 1e-9).all()  # in the rank
    assert np.allclose(chances[-1], 1, atol=1e-9)
    assert (expected_top_k(better, ties, others, foils + 1) <= chances[1] + 1e-9).all()


@pytest.mark.parametrize(
    ("better", "ties", "foils", "k"),
    [(-1, 0, 19, 2), (0, -1, 19, 2), (30, 11, 19, 2), (0, 0, -1, 2), (0, 0, 19, 0)],
)
def test_counts_that_cannot_be_are_refused(better: int, ties: int, foils: int, k: int) -> None:
    with pytest.raises(UsageError):
        expected_top_k([better], [ties], 40, foils, k)


# Scores


@settings(max_examples=6, deadline=None, derandomize=True)
@given(seed=st.integers(0, 999))
@pytest.mark.slow
def test_a_shuffled_pairing_is_chance(seed: int) -> None:
    queries, gallery = pairs(800, seed)
    assert evaluate_pairs(queries, gallery).top2 > 0.9
    shuffled = evaluate_pairs(queries, np.random.default_rng(seed).permutation(gallery))
    assert shuffled.top2 == pytest.approx(0.10, abs=0.03)
    low, high = shuffled.top2_ci95
    assert low < shuffled.top2 < high


def test_equal_vectors_are_chance() -> None:
    same = np.tile(vectors(1, 0), (40, 1))
    scores = evaluate_pairs(same, same)
    assert scores.top2 == pytest.approx(0.10) and scores.top5 == pytest.approx(0.25)
    assert scores.recall_at_10 == pytest.approx(10 / 40)


@settings(max_examples=20, deadline=None, derandomize=True)
@given(n=st.integers(2, 80), seed=st.integers(0, 999))
def test_common_rotation_and_permutation_change_nothing(n: int, seed: int) -> None:
    queries, gallery = pairs(n, seed, noise=2.0)
    scores = evaluate_pairs(queries, gallery)
    random = np.random.default_rng(seed)
    rotation = np.linalg.qr(random.normal(size=(16, 16)))[0].astype(np.float32)
    order = random.permutation(n)
    rotated = evaluate_pairs(queries @ rotation, gallery @ rotation)
    permuted = evaluate_pairs(queries[order], gallery[order])
    # A rounded score may make or break a tie, so one rank of one pair may differ by a half.
    for name, chances in scores.per_pair.items():
        assert rotated.per_pair[name].mean() == pytest.approx(chances.mean(), abs=1 / n)
        assert permuted.per_pair[name].mean() == pytest.approx(chances.mean(), abs=1 / n)
        assert np.median(np.abs(rotated.per_pair[name] - chances)) < 1e-9
        assert np.median(np.abs(permuted.per_pair[name] - chances[order])) < 1e-9


def test_recall_is_the_share_of_ranks() -> None:
    queries, gallery = pairs(120, 5, noise=2.0)
    more = vectors(300, 7)
    for pool, scores in (
        (gallery, evaluate_pairs(queries, gallery)),
        (np.concatenate([gallery, more]), evaluate_pairs(queries, gallery, more=more)),
    ):
        products = queries @ pool.T
        ranks = (products > np.diag(products)[:, None]).sum(axis=1)
        for k in (1, 5, 10):
            recall = getattr(scores, f"recall_at_{k}")
            assert recall == pytest.approx((ranks < k).mean(), abs=1e-9)
            assert 0 < recall < 1
    assert evaluate_pairs(queries, gallery, more=more).top2 == evaluate_pairs(queries, gallery).top2
    with pytest.raises(UsageError):
        evaluate_pairs(queries, gallery, more=vectors(3, 0, dimension=5))


def test_more_foils_are_harder() -> None:
    queries, gallery = pairs(100, 3, noise=2.0)
    top2 = [evaluate_pairs(queries, gallery, foils).top2 for foils in (5, 19, 60, 500)]
    assert top2 == sorted(top2, reverse=True) and top2[0] > top2[-1]


def test_keys_of_the_report() -> None:
    report = json.loads(json.dumps(evaluate_pairs(*pairs(30, 1)).as_dict()))
    keys = "pairs,top1,top2,top5,top2_ci95,mrr,recall_at_1,recall_at_5,recall_at_10"
    assert ",".join(report) == keys
    assert report["pairs"] == 30
    assert report["top1"] <= report["top2"] <= report["top5"] <= 1
    assert all(value == round(value, 6) for value in (*report["top2_ci95"], report["mrr"]))


@settings(max_examples=20, deadline=None)
@given(n=st.integers(4, 40), count=st.integers(2, 4), seed=st.integers(0, 99))
def test_folds_merge_in_order_of_pair(n: int, count: int, seed: int) -> None:
    queries, gallery = corners(n, seed), corners(n, seed + 1000)
    rows = folds(n, count, seed)
    parts = [evaluate_pairs(queries[own], gallery[own]) for own in rows]
    merged = Scores.merged(parts, rows)
    assert merged.pairs == n
    for own, part in zip(rows, parts, strict=True):
        for name, chances in part.per_pair.items():
            assert (merged.per_pair[name][own] == chances).all()
    assert merged.top2 == pytest.approx(sum(part.top2 * part.pairs for part in parts) / n)
    assert merged.top2_ci95 == bootstrap_interval(merged.per_pair["top2"])
    with pytest.raises(UsageError):
        Scores.merged(parts, rows[::-1][:-1])
    with pytest.raises(UsageError):
        Scores.merged([], [])


# Lists of candidates


@settings(max_examples=30, deadline=None)
@given(n=st.integers(1, 70), c=st.integers(1, 6), seed=st.integers(0, 999))
def test_lists_are_ranked_each_by_itself(n: int, c: int, seed: int) -> None:
    queries, offered = corners(n, seed), corners(n * c, seed + 1000).reshape(n, c, 4)
    true = np.random.default_rng(seed).integers(0, c, n)
    scores = evaluate_candidates(queries, offered, true)
    for i in range(n):
        products = offered[i] @ queries[i]
        better = int((products > products[true[i]]).sum())
        ties = int((products == products[true[i]]).sum()) - 1
        chances = enumerated(better, ties, c - 1, c - 1)
        assert scores.per_pair["top2"][i] == pytest.approx(sum(chances[:2]))
    assert scores.recall_at_1 is None and scores.as_dict()["recall_at_10"] is None


def test_lists_of_everything_are_the_recall() -> None:
    queries, gallery = pairs(40, 2, noise=2.0)
    offered = np.broadcast_to(gallery, (40, *gallery.shape))
    scores = evaluate_candidates(queries, offered, np.arange(40))
    whole = evaluate_pairs(queries, gallery)
    assert scores.top1 == pytest.approx(whole.recall_at_1)
    assert scores.top5 == pytest.approx(whole.recall_at_5)


@pytest.mark.parametrize(
    ("queries", "offered", "true"),
    [
        ((3, 4), (3, 5, 4), [0, 1, 5]),
        ((3, 4), (3, 5, 4), [0, -1, 2]),
        ((3, 4), (3, 5, 4), [0, 1]),
        ((3, 4), (2, 5, 4), [0, 1]),
        ((3, 4), (3, 5, 3), [0, 1, 2]),
        ((3, 4), (3, 0, 4), [0, 0, 0]),
        ((3, 4), (3, 4), [0, 0, 0]),
        ((0, 4), (0, 5, 4), []),
    ],
)
def test_lists_that_do_not_fit_are_refused(
    queries: tuple[int, ...], offered: tuple[int, ...], true: list[int]
) -> None:
    with pytest.raises(UsageError, match="lists of candidates"):
        evaluate_candidates(
            np.ones(queries, np.float32), np.ones(offered, np.float32), np.array(true, np.int64)
        )


# Intervals and folds


def test_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(0).random(500)
    low, high = bootstrap_interval(values)
    error = values.std() / 500**0.5
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.1 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.1 * error)
    narrow = bootstrap_interval(values, level=0.5)
    assert low < narrow[0] < values.mean() < narrow[1] < high


def test_interval_is_the_same_each_time() -> None:
    values = np.random.default_rng(0).random(100)
    again = bootstrap_interval(values[::-1])
    assert bootstrap_interval(values) == again != bootstrap_interval(values, seed=1)
    assert bootstrap_interval([0.25] * 9) == (0.25, 0.25)


@pytest.mark.parametrize(
    ("values", "draws", "level"), [([], 10, 0.95), ([1.0], 0, 0.95), ([1.0], 10, 1.0)]
)
def test_no_interval_of_nothing(values: list[float], draws: int, level: float) -> None:
    with pytest.raises(UsageError):
        bootstrap_interval(values, draws=draws, level=level)


@settings(max_examples=60, deadline=None)
@given(n=st.integers(2, 200), data=st.data(), seed=st.integers(0, 999))
def test_folds_are_a_partition(n: int, data: st.DataObject, seed: int) -> None:
    count = data.draw(st.integers(2, n))
    parts = folds(n, count, seed)
    assert len(parts) == count
    assert sorted(np.concatenate(parts).tolist()) == list(range(n))
    assert all((np.diff(part) > 0).all() for part in parts)
    sizes = [len(part) for part in parts]
    assert max(sizes) - min(sizes) <= 1
    again = folds(n, count, seed)
    assert all((a == b).all() for a, b in zip(parts, again, strict=True))


def test_folds_depend_on_the_seed() -> None:
    assert folds(100, 5, 0)[0].tolist() != folds(100, 5, 1)[0].tolist()


@pytest.mark.parametrize("count", [-1, 0, 1, 11])
def test_folds_that_cannot_be_are_refused(count: int) -> None:
    with pytest.raises(UsageError, match="folds"):
        folds(10, count, 0)
