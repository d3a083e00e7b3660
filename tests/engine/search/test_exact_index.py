"""Exact search in NumPy finds what FAISS finds, with the same scores, ties and order."""

from __future__ import annotations

import sys

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tll_index.engine.search.exact_index import ExactIndex, from_faiss, read_buffer
from tll_index.engine.search.normalize import unit
from tll_index.engine.search.search import nearest, new_index


def drawn(seed: int, count: int, dimension: int) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(count, dimension)).astype(np.float32))


def filled(ids: np.ndarray, rows: np.ndarray) -> faiss.IndexIDMap2:
    index = new_index(rows.shape[1])
    if len(ids):
        index.add_with_ids(rows, ids)
    return index


def from_file(index: faiss.Index) -> ExactIndex | None:
    written = faiss.serialize_index(index).tobytes()
    data = read_buffer(len(written))
    data[:] = written
    return from_faiss(data)


@settings(max_examples=100, deadline=None)
@given(
    rows=st.integers(1, 80),
    copies=st.integers(0, 20),
    queries=st.integers(1, 40),
    dimension=st.sampled_from([1, 2, 3, 16, 65, 130]),
    k=st.integers(1, 100),
    seed=st.integers(0, 999),
)
def test_it_finds_what_faiss_finds(
    rows: int, copies: int, queries: int, dimension: int, k: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    stored = drawn(seed, rows, dimension)
    stored = np.concatenate([stored, stored[random.integers(0, rows, copies)]])  # which tie
    ids = random.permutation(1000)[: len(stored)].astype(np.int64)
    wanted = drawn(seed + 1, queries, dimension)
    index = filled(ids, stored)
    by_faiss, found = nearest(index, wanted, k), ExactIndex(ids, stored).nearest(wanted, k)
    scores = np.concatenate([near.scores for near in found])
    assert np.allclose(scores, by_faiss.scores, atol=1.01e-6)
    exact = wanted.astype(np.float64) @ stored.T.astype(np.float64)
    number = {one: row for row, one in enumerate(ids.tolist())}
    for query, near in enumerate(found):
        own = [exact[query, number[one]] for one in near.ids[0].tolist()]
        assert near.scores[0].tolist() == pytest.approx(own, abs=5.01e-7)
        scored = zip(exact[query].round(6), ids.tolist(), strict=True)
        best = sorted((-score, one) for score, one in scored)
        assert near.ids[0].tolist() == [one for _, one in best[:k]]


@settings(max_examples=60, deadline=None)
@given(
    stored=st.lists(st.tuples(*[st.integers(-8, 8)] * 4), min_size=1, max_size=60),
    query=st.tuples(*[st.integers(-8, 8)] * 4),
    k=st.integers(1, 70),
)
def test_where_sums_are_exact_it_is_faiss_to_the_last_bit(
    stored: list[tuple[int, ...]], query: tuple[int, ...], k: int
) -> None:
    rows = np.array(stored, np.float32) / 16
    ids = np.arange(len(rows))[::-1].copy()
    asked = np.array([query], np.float32) / 16
    by_faiss = nearest(filled(ids, rows), asked, len(rows))  # all, so that all ties are seen
    (found,) = ExactIndex(ids, rows).nearest(asked, k)
    assert found.ids.tolist() == by_faiss.ids[:, :k].tolist()
    assert found.scores.tolist() == by_faiss.scores[:, :k].tolist()


@pytest.mark.parametrize("count", [1, 2, 19, 20, 100])
@pytest.mark.parametrize("dimension", [48, 1500])
def test_many_queries_find_what_each_finds(count: int, dimension: int) -> None:
    rows = drawn(0, 500, dimension)
    rows[100:200] = rows[:100]
    rows[200:300] = rows[:100]
    index = ExactIndex(np.arange(500), rows)
    queries = np.concatenate([rows[:50], drawn(1, 50, dimension)])[:count]
    for k in (1, 2, 30, 500):
        together = index.nearest(queries, k)
        for query, found in zip(queries, together, strict=True):
            (alone,) = index.nearest(query[None], k)
            assert (found.ids == alone.ids).all() and (found.scores == alone.scores).all()


def test_more_ties_than_faiss_is_asked_for() -> None:
    index = ExactIndex(np.arange(200)[::-1].copy(), np.tile(drawn(0, 1, 8), (200, 1)))
    for near in index.nearest(np.tile(drawn(0, 1, 8), (3, 1)), 5):
        assert near.ids.tolist() == [[0, 1, 2, 3, 4]]


@given(
    steps=st.lists(st.tuples(st.sampled_from("+-"), st.integers(0, 30)), max_size=60),
    seed=st.integers(0, 99),
)
def test_it_takes_and_lets_go(steps: list[tuple[str, int]], seed: int) -> None:
    vectors, index, there = drawn(seed, 31, 6), ExactIndex.empty(6), set[int]()
    for action, one in steps:
        if action == "-":
            index.remove(np.array([one, 99]))
            there.discard(one)
        elif one not in there:
            index.add(np.array([one]), vectors[one][None])
            there.add(one)
    assert len(index) == len(there) and set(index.ids.tolist()) == there
    assert (index.rows == vectors[index.ids]).all()
    assert index.candidates(vectors[:2], 40).shape == (2, len(there))
    for near in index.nearest(vectors[:2], 40):
        assert set(near.ids[0].tolist()) == there


@pytest.mark.parametrize("k", [1, 5])
def test_nothing_to_find(k: int) -> None:
    found = ExactIndex.empty(4).nearest(np.ones((3, 4), np.float32), k)
    assert [near.ids.shape for near in found] == [(1, 0)] * 3
    assert ExactIndex(np.array([0]), drawn(0, 1, 4)).nearest(np.empty((0, 4), np.float32), k) == []


@pytest.mark.parametrize("count", [0, 1, 200])
def test_it_reads_what_faiss_writes(count: int) -> None:
    ids, rows = np.arange(count)[::-1] * 7, drawn(0, count, 12)
    found = from_file(filled(ids, rows))
    assert found is not None
    assert found.ids.tolist() == ids.tolist() and (found.rows == rows).all()
    assert not count or found.rows.ctypes.data % 64 == 0


def test_it_takes_nothing_else_for_it() -> None:
    rows = drawn(0, 5, 12)
    others = [faiss.IndexFlatIP(12), faiss.IndexIDMap(faiss.IndexFlatIP(12))]
    others.append(faiss.IndexIDMap2(faiss.IndexFlatL2(12)))
    for index in others:
        if hasattr(index, "id_map"):
            index.add_with_ids(rows, np.arange(5))
        else:
            index.add(rows)
        assert from_file(index) is None
    written = faiss.serialize_index(filled(np.arange(5), rows)).tobytes()
    for data in (b"", written[:50], written[:-1], written + b"\0"):
        assert from_faiss(memoryview(data)) is None


def test_one_query_needs_no_faiss(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "faiss", None)
    index = ExactIndex(np.arange(9), drawn(0, 9, 4))
    (near,) = index.nearest(drawn(0, 1, 4), 3)
    assert near.ids[0, 0] == 0
