"""Which FAISS index suits how many vectors, how it is made, and how hard it must look.

Few vectors are all compared, which is exact. More of them are kept in lists around centroids
(an inverted file, IVF), each value in one byte or less; a search looks into the nearest lists, and
what it finds is compared again with the exact vectors. How many lists, and how much is compared
again, is measured on a sample of the vectors themselves.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from ...core.config import INDEXES
from ...core.contracts import UnitVectors
from ...core.errors import UsageError
from .search import new_index

EXACT_VALUES = 6_400_000
"""Up to so many values (50,000 vectors of 128) all are compared: less than 1 ms, exact, nothing to
train. Lists are quicker from between 50,000 and 100,000 vectors on; see docs/speed.md."""

EXACT_VECTORS = 5_000
"""However long they are, fewer vectors train no lists that are worth it."""

MOST_LISTS = 4096
"""Twice as many make a search a quarter faster and the making of the index take twice as long."""

REDUCED = 256
"""Longer vectors than twice this are projected on so many principal axes inside the index."""

TARGET = 0.96
"""Recall@10 that an index is set to, for pictures unlike those in it."""

RECALL_AT = 10
_MARGIN = 0.02
_PER_LIST = 40
"""Training vectors for each list, which k-means wants."""
_PCA_TRAINING = 2048
_REFINE = (5, 10, 20, 40)
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


@dataclass(frozen=True)
class IndexPlan:
    """A plan of an index to be made."""

    factory: str
    """FAISS's name for it (`faiss.index_factory`), inner product."""
    training: int = 0
    """How many vectors it is trained on."""
    lists: int = 0

    @property
    def exact(self) -> bool:
        """Whether what it finds need not be compared again."""
        return self.factory == "Flat"

    @property
    def family(self) -> str:
        """The same for indexes that differ in their number of lists only."""
        return re.sub(r"(?<=IVF)\d+", "*", self.factory) if self.lists else self.factory


@dataclass(frozen=True)
class Effort:
    """A setting of how hard an index that isn't exact searches, and what that gives."""

    parameter: str = ""
    """'reach': lists whose centroid's product with the query is less than the best one's by at
    most `value` are looked into, so queries far from all look into more. 'nprobe': as many lists
    for each. 'efSearch': of graphs. Or none."""
    value: float = 0
    refine: int = _REFINE[0]
    """For each wanted hit, how many candidates are compared again with their exact vectors."""
    recall: float | None = None
    """Recall@10 of the sample's own pictures, themselves left out; None: not measured."""
    recall_unlike: float | None = None
    """Recall@10 of queries that are as far from all as pictures of another collection."""
    queries: int = 0
    """How many of each it was measured with."""


def plan(
    count: int, dimension: int, memory: int, requested: str = "auto", now: str = ""
) -> IndexPlan:
    """What index suits `count` vectors of `dimension` values.

    Args:
        memory: bytes that may be used; lists take up to half of it, the rest is for the vectors
            that are compared again, which the operating system keeps there.
        asked: 'auto', 'flat', 'ivf', 'hnsw', or a FAISS factory string.
        now: family of the index that there is: near a border it may stay.

    Raises:
        UsageError: no such index, or it can't hold vectors of this dimension.
    """
    if requested == "auto":
        most = EXACT_VALUES // dimension
        if now.startswith("IVF") or ",IVF" in now:
            most //= 2
        requested = "flat" if count <= max(most, EXACT_VECTORS) else "ivf"
    if requested == "flat":
        return IndexPlan("Flat")
    if requested == "ivf":
        return _lists(count, dimension, memory)
    if requested == "hnsw":
        return IndexPlan("HNSW32")
    _new(requested, dimension)
    lists = re.search(r"IVF(\d+)", requested)
    number = int(lists[1]) if lists else 0
    return IndexPlan(requested, max(_PER_LIST * number, 65_536), 0)


def _lists(count: int, dimension: int, memory: int) -> IndexPlan:
    affordable = max(1024, memory // (4 * 4 * dimension))  # a sample that takes a quarter
    lists = min(round(4 * math.sqrt(count)), MOST_LISTS, min(count, affordable) // _PER_LIST)
    lists = max(1, lists)
    width = REDUCED if dimension > 2 * REDUCED else dimension
    code, size = "SQ8", width
    # Half as much for each value, then a byte for four of them.
    for smaller, bytes_ in (("SQ4", (width + 1) // 2), (f"PQ{width // 4}", width // 4)):
        fits = count * (size + 8) + 4 * lists * width <= memory / 2
        if fits or width % 4:
            break
        code, size = smaller, bytes_
    before = f"PCA{REDUCED}," if width != dimension else ""
    training = max(_PER_LIST * lists, 16_384 if code.startswith("PQ") else 0)
    return IndexPlan(f"{before}IVF{lists},{code}", min(count, training), lists)


def require_index(requested: str, dimension: int) -> None:
    """Refuse what `plan` would refuse, before there are vectors; empty is no wish.

    Raises:
        UsageError: FAISS has no index of that name for vectors of this dimension.
    """
    if requested and requested not in INDEXES:
        _new(requested, dimension)


def make(plan: IndexPlan, dimension: int, sample: UnitVectors) -> faiss.Index:
    """The index of a plan, trained on `sample` (n, d), still empty; it is added to with ids.

    Raises:
        UsageError: it can't be trained on these.
    """
    if plan.exact:
        return new_index(dimension)
    index = _new(plan.factory, dimension)
    try:
        if isinstance(index, faiss.IndexPreTransform) and plan.lists:
            _train_reduced(index, sample)
        elif not index.is_trained:
            index.train(sample)
    except RuntimeError as error:
        raise UsageError(
            f"index {plan.factory!r} can't be trained on {len(sample):,} vectors: {_said(error)}"
        ) from None
    return index if _takes_ids(index) else faiss.IndexIDMap2(index)


def _new(factory: str, dimension: int) -> faiss.Index:
    try:
        index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        names = ", ".join(INDEXES)
        raise UsageError(
            f"index {factory!r} is none of {names}, nor does FAISS make it for vectors of "
            f"{dimension} values: {_said(error)}"
        ) from None
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is not None:
        ivf.cp.min_points_per_centroid = 1  # small stores are told to use lists in tests
        ivf.cp.max_points_per_centroid = 4 * _PER_LIST
    return index


def _said(error: RuntimeError) -> str:
    """FAISS's message without its function names and places."""
    text = re.sub(r"(?s)^Error in .*\.(cpp|h):\d+: (Error: '.*?' failed: )?", "", str(error))
    return (text.strip().splitlines() or [""])[0][:160]


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
        (one for one in _REFINE[:-1] if recall(unlike, values[-1], one) >= enough), _REFINE[-1]
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
