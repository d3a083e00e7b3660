"""Which index is planned for how much, and that what is made finds what is there."""

from __future__ import annotations

import faiss
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tll_index.core.errors import UsageError
from tll_index.engine.search.faiss_index import TARGET, Questions, candidates, make, ready, tuned
from tll_index.engine.search.index_plan import EXACT_VALUES, Effort, IndexPlan, plan
from tll_index.engine.search.normalize import unit

GIB = 1 << 30


def points(count: int, dimension: int = 16, seed: int = 0) -> np.ndarray:
    """Clustered, as pictures are."""
    chosen = np.random.default_rng(seed)
    centres = chosen.normal(size=(50, dimension))
    noise = chosen.normal(size=(count, dimension)) * 0.5
    return unit((centres[chosen.integers(0, 50, count)] + noise).astype(np.float32))


def test_few_are_exact_many_are_in_lists() -> None:
    assert plan(7_200, 128, 4 * GIB).factory == "Flat"
    assert plan(1_000_000, 128, 4 * GIB).factory == "IVF4000,SQ8"
    assert plan(10_000_000, 128, 4 * GIB).factory == "IVF4096,SQ8"
    assert plan(50_000, 26_736, 64 * GIB).factory.startswith("PCA256,IVF894,SQ8")


def test_less_memory_makes_smaller_codes() -> None:
    kinds = [plan(10_000_000, 128, memory).factory for memory in (4 * GIB, 2 * GIB, GIB // 2)]
    assert kinds == ["IVF4096,SQ8", "IVF4096,SQ4", "IVF4096,PQ32"]


def test_the_sample_to_train_on_fits_as_well() -> None:
    planned = plan(1_000_000, 26_736, 4 * GIB)
    assert planned.training * 26_736 * 4 <= GIB
    assert planned.factory == f"PCA256,IVF{planned.lists},SQ8"


def test_near_a_border_an_index_stays() -> None:
    border = EXACT_VALUES // 128
    assert plan(border, 128, GIB).exact and not plan(border + 1, 128, GIB).exact
    assert not plan(border - 1, 128, GIB, now="IVF*,SQ8").exact
    assert plan(border // 2, 128, GIB, now="IVF*,SQ8").exact


@given(
    count=st.integers(0, 10**9),
    dimension=st.sampled_from([1, 2, 3, 16, 126, 128, 512, 640, 5440, 26_736]),
    memory=st.integers(1, 1 << 45),
    choice=st.sampled_from(["auto", "flat", "ivf", "hnsw"]),
)
def test_every_plan_can_be_made(count: int, dimension: int, memory: int, choice: str) -> None:
    planned = plan(count, dimension, memory, choice)
    assert 0 <= planned.training <= count
    # Like FAISS's own parser, but without the memory for it.
    faiss.index_factory(min(dimension, 1024), planned.factory, faiss.METRIC_INNER_PRODUCT)


@pytest.mark.parametrize(
    ("factory", "parameter"),
    [
        ("IVF30,SQ8", "reach"),
        ("PCA14,IVF30,SQ8", "reach"),
        ("IVF30,SQ4", "reach"),
        ("IVF30,PQ4", "reach"),
        ("HNSW32", "efSearch"),
        ("IVF30,Flat,RFlat", "nprobe"),
        ("SQ8", ""),
    ],
)
@pytest.mark.slow_after_first
def test_tuning_reaches_the_target(factory: str, parameter: str) -> None:
    rows = points(4000)
    planned = IndexPlan(factory, 2000, 30 if factory.startswith(("IVF", "PCA")) else 0)
    index = make(planned, 16, rows[:2000])
    ids = np.arange(len(rows)) + 1000
    index.add_with_ids(rows, ids)
    truth = faiss.IndexFlatIP(16)
    truth.add(rows)

    def questions(queries: np.ndarray, itself: np.ndarray) -> Questions:
        found = truth.search(queries, 11)[1] + 1000
        return Questions(
            queries,
            [row[row != one][:10] for row, one in zip(found, itself, strict=True)],
            itself,
        )

    own = questions(rows[:50], ids[:50])
    unlike = questions(points(50, seed=1), np.full(50, -1))

    def rerank(ask: np.ndarray, some: np.ndarray) -> np.ndarray:
        return some[np.argsort(-(rows[some - 1000] @ ask), kind="stable")]

    effort = tuned(index, own, unlike, rerank)
    assert effort.parameter == parameter
    assert effort.recall_unlike is not None and effort.recall_unlike >= TARGET
    # What was measured is what a search then does.
    hits = 0
    for ask, wanted in zip(unlike.queries, unlike.gallery, strict=True):
        best = rerank(ask, candidates(index, effort, ask[None], 11))[:10]
        hits += len(set(best) & set(wanted))
    assert hits / 500 == pytest.approx(effort.recall_unlike)


def test_many_can_be_asked_for() -> None:
    rows = points(2000)
    index = make(plan(2000, 16, GIB, "ivf"), 16, rows)
    index.add_with_ids(rows, np.arange(2000))
    ready(index, effort := Effort("reach", 0.0))
    assert len(candidates(index, effort, rows[:1], 1)) >= 10
    assert set(candidates(index, effort, rows[:1], 2000)) == set(range(2000))
    empty = make(plan(0, 16, GIB, "ivf"), 16, rows[:40])
    assert len(candidates(empty, effort, rows[:1], 5)) == 0


def test_projection_keeps_products() -> None:
    """Long vectors are projected without subtracting a mean, which would change what is near."""
    chosen = np.random.default_rng(0)
    low = points(3000, 20) @ chosen.normal(size=(20, 600)).astype(np.float32)
    rows = unit(low + 3.0)  # far from the origin
    index = make(plan(3000, 600, GIB, "ivf"), 600, rows)
    index.add_with_ids(rows, np.arange(3000))
    truth = np.argsort(-(rows[:50] @ rows.T), axis=1)[:, :10]
    effort = Effort("reach", 1.0, 5)
    found = [candidates(index, effort, row[None], 10) for row in rows[:50]]
    hits = sum(len(set(one) & set(wanted)) for one, wanted in zip(found, truth, strict=True))
    assert hits / 500 > 0.97


def test_a_nonsense_factory_is_said_in_one_line() -> None:
    for factory, why in (("cheese", "could not parse"), ("IVF9,PQ7", "subquantizers")):
        with pytest.raises(UsageError, match=why) as raised:
            plan(10, 16, GIB, factory)
        assert "\n" not in str(raised.value) and "cpp" not in str(raised.value)
