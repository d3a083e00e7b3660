"""Ranking from the index equals the matrix product."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tll_index.engine.search.normalize import unit
from tll_index.engine.search.search import nearest, new_index


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 60),
    queries=st.integers(1, 30),
    dimension=st.sampled_from([1, 3, 16, 65]),
    k=st.integers(1, 80),
    seed=st.integers(0, 999),
)
def test_index_ranks_as_the_matrix_product(
    rows: int, queries: int, dimension: int, k: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    stored = unit(random.normal(size=(rows, dimension)).astype(np.float32))
    asked = unit(random.normal(size=(queries, dimension)).astype(np.float32))
    ids = random.permutation(1000)[:rows].astype(np.int64)
    index = new_index(dimension)
    index.add_with_ids(stored, ids)
    found = nearest(index, asked, k)
    assert found.ids.shape == (queries, min(k, rows))
    products = asked.astype(np.float64) @ stored.T.astype(np.float64)
    best = -np.sort(-products, axis=1)[:, : min(k, rows)]
    assert np.allclose(found.scores, best, atol=2e-6)
    position = {number: row for row, number in enumerate(ids.tolist())}
    for query, (row_ids, scores) in enumerate(zip(found.ids, found.scores, strict=True)):
        own = [products[query, position[number]] for number in row_ids.tolist()]
        assert np.allclose(own, scores, atol=2e-6)


def test_ties_are_in_order_of_id() -> None:
    index = new_index(2)
    index.add_with_ids(np.array([[1, 0]] * 5, np.float32), np.array([9, 3, 7, 1, 5]))
    assert nearest(index, np.array([[1, 0]], np.float32), 5).ids.tolist() == [[1, 3, 5, 7, 9]]


@pytest.mark.parametrize("k", [1, 5])
def test_nothing_to_find(k: int) -> None:
    assert nearest(new_index(4), np.ones((3, 4), np.float32), k).ids.shape == (3, 0)
    full = new_index(4)
    full.add_with_ids(np.ones((1, 4), np.float32), np.array([0]))
    assert nearest(full, np.empty((0, 4), np.float32), k).ids.shape == (0, 0)
