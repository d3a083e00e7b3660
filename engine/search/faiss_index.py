"""FAISS indexes: how one is made of a plan, how hard it must look, and what it offers.

How many lists are looked into, and how much is compared again, is measured on a sample of the
vectors themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...core.errors import UsageError
from .index_plan import REFINE, Effort, IndexPlan, make_untrained, said
from .search import new_index

TARGET = 0.96
"""Recall@10 that an index is set to, for pictures unlike those in it."""

RECALL_AT = 10
_MARGIN = 0.02
_PCA_TRAINING = 2048
_FEWEST_LISTS, _SHARE = 64, 8
"""A search looks into at most so many lists or, if that is more, one in so many."""
_VALUES = {
    "reach": tuple(step / 100 for step in range(61)),
    "nprobe": tuple(sorted({round(2 ** (step / 4)) for step in range(45)})),
    "efSearch": tuple(sorted({round(2 ** (step / 4)) for step in range(12, 45)})),
    "": (0.0,),
}
_BESIDE = 1
"""FAISS's mode in which a single query uses all cores; many share them by themselves."""
_UNTUNED = {"reach": 0.15, "nprobe": 32, "efSearch": 128, "": 0}


def make(plan: IndexPlan, dimension: int, sample: UnitVectors) -> faiss.Index:
    """The index of a plan, trained on `sample` (n, d), still empty; it is added to with ids.

    Raises:
        UsageError: it can't be trained on these.
    """
    if plan.exact:
        return new_index(dimension)
    index = make_untrained(plan.factory, dimension)
    try:
        if isinstance(index, faiss.IndexPreTransform) and plan.lists:
            _train_reduced(index, sample)
        elif not index.is_trained:
            index.train(sample)
    except RuntimeError as error:
        raise UsageError(
            f"index {plan.factory!r} can't be trained on {len(sample):,} vectors: {said(error)}"
        ) from None
    return index if _takes_ids(index) else faiss.IndexIDMap2(index)


def _takes_ids(index: faiss.Index) -> bool:
    if isinstance(index, faiss.IndexPreTransform):
        index = faiss.downcast_index(index.index)
    return isinstance(index, faiss.IndexIVF)


def _train_reduced(index: faiss.IndexPreTransform, sample: UnitVectors) -> None:
    """Principal axes are found on a part of the sample, and nothing is subtracted: products of
    projections then still approximate products of vectors."""
    chain: Any = index.chain
    axes: Any = faiss.downcast_VectorTransform(chain.at(0))
    axes.train(sample[:_PCA_TRAINING])
    axes.have_bias = False
    inner = faiss.downcast_index(index.index)
    inner.train(axes.apply(sample))
    index.is_trained = True


def ready(index: faiss.Index, effort: Effort) -> None:
    """Set an index that was made or read to look as hard as `effort` says."""
    if (ivf := faiss.try_extract_index_ivf(index)) is not None:
        ivf.parallel_mode = _BESIDE  # FAISS does not keep this in files
        held: Any = ivf.invlists
        lists = faiss.downcast_InvertedLists(held)
        if isinstance(lists, faiss.OnDiskInvertedLists):
            lists.prefetch_nthread = 0  # starting 32 threads takes longer than the search
    if effort.parameter in ("nprobe", "efSearch"):
        faiss.ParameterSpace().set_index_parameter(index, effort.parameter, effort.value)


def ids_in(index: faiss.Index) -> NDArray[np.int64]:
    """(n,): the id of every vector in it, in the index's own order."""
    if isinstance(index, (faiss.IndexIDMap, faiss.IndexIDMap2)):
        return np.array(faiss.vector_to_array(index.id_map), np.int64)
    lists: Any = faiss.extract_index_ivf(index).invlists
    parts = [np.empty(0, np.int64)]
    for number in range(lists.nlist):
        if size := lists.list_size(number):
            parts.append(np.array(faiss.rev_swig_ptr(lists.get_ids(number), size), np.int64))
    return np.concatenate(parts)


def parameter_of(index: faiss.Index) -> str:
    """What says how hard this index looks; see `Effort.parameter`."""
    if _takes_ids(index):
        return "reach"
    if faiss.try_extract_index_ivf(index) is not None:
        return "nprobe"
    inner = index
    while isinstance(inner, (faiss.IndexIDMap2, faiss.IndexIDMap, faiss.IndexPreTransform)):
        inner = faiss.downcast_index(inner.index)
    return "efSearch" if isinstance(inner, faiss.IndexHNSW) else ""


def candidates(
    index: faiss.Index, effort: Effort, query: UnitVectors, count: int
) -> NDArray[np.int64]:
    """Ids (c,) of up to `count * effort.refine` rows that are probably near `query` (1, d). Where
    many are wanted, it looks harder than `effort` says."""
    ids = candidates_of_many(index, effort, query, count)[0]
    return ids[ids >= 0]


def candidates_of_many(
    index: faiss.Index, effort: Effort, queries: UnitVectors, count: int
) -> NDArray[np.int64]:
    """The same for each of `queries` (n, d): (n, c), -1 where there are no more."""
    wanted = min(max(count, RECALL_AT) * effort.refine, index.ntotal)
    if wanted == 0:
        return np.empty((len(queries), 0), np.int64)
    if effort.parameter == "reach":
        return _within_reach(index, effort.value, queries, wanted)
    if effort.parameter:
        ready(index, replace(effort, value=max(effort.value, _harder(index, effort, wanted))))
    _, found = index.search(queries, wanted)
    return np.asarray(found)


def _harder(index: faiss.Index, effort: Effort, wanted: int) -> int:
    """What `effort.value` must be at least to find so many candidates."""
    if effort.parameter == "efSearch":
        return wanted
    ivf = faiss.extract_index_ivf(index)
    return min(ivf.nlist, _lists_that_hold(ivf, wanted))


def _lists_that_hold(ivf: faiss.IndexIVF, wanted: int) -> int:
    """How many lists hold twice so many vectors, on average."""
    return -(-2 * wanted * ivf.nlist // max(1, ivf.ntotal))


def _within_reach(
    index: faiss.Index, reach: float, queries: UnitVectors, wanted: int
) -> NDArray[np.int64]:
    ivf: Any = index
    if isinstance(index, faiss.IndexPreTransform):
        queries, ivf = _projected(index, queries), faiss.downcast_index(index.index)
    fewest = min(ivf.nlist, _lists_that_hold(ivf, wanted))
    most = min(ivf.nlist, max(_FEWEST_LISTS, ivf.nlist // _SHARE, fewest))
    if len(queries) == 1:
        products = _with_centroids(ivf, queries)
        near = np.flatnonzero(products >= products.max() - reach)
        if not fewest <= len(near) <= most:
            near = np.argsort(-products)[: min(max(len(near), fewest), most)]
        lists, products = near[None], products[near][None]
    else:
        products, lists = ivf.quantizer.search(queries, most)  # best first
        too_far = products < products[:, :1] - reach
        too_far[:, :fewest] = False
        lists = np.where(too_far, -1, lists)
    ivf.nprobe = lists.shape[1]
    ivf.parallel_mode = _BESIDE if len(queries) == 1 else 0
    _, found = ivf.search_preassigned(queries, wanted, lists, products)
    return np.asarray(found)


def _projected(index: faiss.IndexPreTransform, rows: UnitVectors) -> UnitVectors:
    chain: Any = index.chain
    for step in range(chain.size()):
        rows = chain.at(step).apply(rows)
    return rows


def _with_centroids(ivf: Any, query: UnitVectors) -> NDArray[np.float32]:
    """(lists,): the product of `query` (1, d) with the centroid of each list."""
    quantizer = faiss.downcast_index(ivf.quantizer)
    if not isinstance(quantizer, faiss.IndexFlat):
        products: NDArray[np.float32] = quantizer.reconstruct_n(0, ivf.nlist) @ query[0]
        return products
    # Not NumPy's product: the threads of its OpenBLAS go on spinning for a while, and keep those of
    # FAISS, which come next, from their cores: 8 ms instead of 0.2.
    products = np.empty(ivf.nlist, np.float32)
    pointers = faiss.swig_ptr(products), faiss.swig_ptr(query), quantizer.get_xb()
    faiss.fvec_inner_products_ny(*pointers, ivf.d, ivf.nlist)  # type: ignore[attr-defined]
    return products


Rerank = Callable[[NDArray[np.float32], NDArray[np.int64]], NDArray[np.int64]]
"""A query (d,) and the ids of its candidates (c,) -> those ids, best first by exact vectors."""


@dataclass(frozen=True)
class Questions:
    """Queries whose exact neighbours are known."""

    queries: UnitVectors
    """(n, d)."""
    gallery: Sequence[NDArray[np.int64]]
    """For each the ids of its `RECALL_AT` nearest."""
    without: NDArray[np.int64]
    """(n,) ids that are not to be found: the query's own picture; -1 where it is none of the
    index."""


def tuned(index: faiss.Index, own: Questions, unlike: Questions, rerank: Rerank) -> Effort:
    """The least effort that reaches `TARGET` for the `unlike` questions, or the most there is."""
    parameter = parameter_of(index)
    if not len(own.queries):
        return Effort(parameter, _UNTUNED[parameter])

    def recall(questions: Questions, value: float, refine: int) -> float:
        effort = Effort(parameter, value, refine)
        hits = 0
        for query, wanted, itself in zip(
            questions.queries, questions.gallery, questions.without, strict=True
        ):
            ids = candidates(index, effort, query[None], RECALL_AT + 1)
            found = rerank(query, ids[ids != itself])[:RECALL_AT]
            hits += len(np.intersect1d(found, wanted))
        return hits / max(1, sum(map(len, questions.gallery)))

    values = _VALUES[parameter]
    enough = min(1.0, TARGET + _MARGIN)  # looking everywhere; less must do as well
    refine = next(
        (one for one in REFINE[:-1] if recall(unlike, values[-1], one) >= enough), REFINE[-1]
    )
    low, high = 0, len(values) - 1  # recall grows with effort: halve the range
    while low < high:
        middle = (low + high) // 2
        if recall(unlike, values[middle], refine) >= TARGET:
            high = middle
        else:
            low = middle + 1
    value = values[low]
    return Effort(
        parameter,
        value,
        refine,
        recall(own, value, refine),
        recall(unlike, value, refine),
        len(own.queries),
    )
