"""Exact search: all vectors are compared with the query, in NumPy.

For one query that is as quick as FAISS, and loading FAISS takes longer than the search of a small
store. Many queries are compared by FAISS, whose hits and scores are the same.

A score is the same sum whatever finds the vector: float32 products choose, and a little more than
is wanted; what they chose is summed again in float64.
"""

from __future__ import annotations

import struct
from contextlib import nullcontext
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...core.threads import one_faiss_thread
from .search import Neighbours, ranked

_T = TypeVar("_T", bound=np.generic)

_MORE = 16
"""So many neighbours more than are wanted FAISS is asked for; where more are as near, NumPy finds
them."""
_WORTH_THREADS = 1 << 25
"""Products from which on several threads are worth waiting for: some ten milliseconds of one."""


class ExactIndex:
    """An index that holds vectors as they are, each called by an id, and compares all of them; for
    one thread at a time."""

    def __init__(self, ids: NDArray[np.int64], rows: UnitVectors) -> None:
        """
        Args:
            ids: (n,), each once.
            rows: (n, d) float32; both are kept, not copied.
        """
        self._ids = ids
        self._rows = rows
        self._count = len(ids)

    @classmethod
    def empty(cls, dimension: int) -> ExactIndex:
        """One that holds nothing yet."""
        return cls(np.empty(0, np.int64), np.empty((0, dimension), np.float32))

    def __len__(self) -> int:
        """How many vectors it holds."""
        return self._count

    @property
    def ids(self) -> NDArray[np.int64]:
        """(n,): in its own order."""
        return self._ids[: self._count]

    @property
    def rows(self) -> UnitVectors:
        """(n, d): in the same order."""
        return self._rows[: self._count]

    def add(self, ids: NDArray[np.int64], rows: UnitVectors) -> None:
        """Take (n, d) more."""
        count = self._count + len(ids)
        if count > len(self._ids):
            room = max(count, 2 * self._count)  # what is not filled takes no memory
            self._ids, self._rows = _enlarged(self.ids, room), _enlarged(self.rows, room)
        self._ids[self._count : count] = ids
        self._rows[self._count : count] = rows
        self._count = count

    def remove(self, ids: NDArray[np.int64]) -> None:
        """Let go of these, as far as they are there."""
        kept = ~np.isin(self.ids, ids)
        if not kept.all():
            self._ids, self._rows = self.ids[kept], self.rows[kept]
            self._count = len(self._ids)

    def nearest(self, queries: UnitVectors, k: int) -> list[Neighbours]:
        """The `k` rows with the largest inner product with each of `queries` (n, d), best first,
        equal scores in order of id: n times (1, c), c the lesser of `k` and all. What a query finds
        does not depend on the others, to the last bit."""
        k = min(k, self._count)
        if k == 0 or len(queries) == 0:
            return [_NOTHING] * len(queries)
        if len(queries) == 1:
            return [self._nearest(queries[0], k)]
        products, at = self._by_faiss(queries, min(k + _MORE, self._count))
        found = []
        for query, near, some in zip(queries, products, at, strict=True):
            # All that may be among the best are there if the last is too far from them.
            whole = len(some) == self._count or near[-1] < near[k - 1] - self._margin(query)
            found.append(self._best(query, some, k) if whole else self._nearest(query, k))
        return found

    def candidates(self, queries: UnitVectors, count: int) -> NDArray[np.int64]:
        """(n, c): ids of the `count` rows nearest to each of `queries` (n, d), about as `nearest`
        has them; c is the lesser of `count` and all."""
        count = min(count, self._count)
        if count == 0 or len(queries) == 0:
            return np.empty((len(queries), 0), np.int64)
        return self.ids[self._by_faiss(queries, count)[1]]

    def _nearest(self, query: NDArray[np.float32], k: int) -> Neighbours:
        # Not NumPy's product: that is OpenBLAS's, whose threads would go on spinning for a while.
        products = np.einsum("ij,j->i", self.rows, query)
        last = np.partition(products, self._count - k)[self._count - k]
        return self._best(query, np.flatnonzero(products >= last - self._margin(query)), k)

    def _best(self, query: NDArray[np.float32], at: NDArray[np.int64], k: int) -> Neighbours:
        """The best `k` of the rows `at`."""
        found = ranked(query, self.ids[at], self.rows[at])
        return Neighbours(found.ids[:, :k], found.scores[:, :k])

    def _margin(self, query: NDArray[np.float32]) -> float:
        """By how much the products of two rows may be in the wrong order: in whatever order they
        are summed, each is off by less than half of this. Rows are of length 1."""
        length = max(1.0, float(np.sqrt(np.einsum("i,i->", query, query))))
        return len(query) * float(np.finfo(np.float32).eps) * length

    def _by_faiss(
        self, queries: UnitVectors, count: int
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """(n, count): products, largest first, and the rows' positions."""
        import faiss

        few = self._count * queries.size < _WORTH_THREADS
        queries = np.ascontiguousarray(queries, np.float32)
        with one_faiss_thread() if few else nullcontext():
            products, at = faiss.knn(queries, self.rows, count, faiss.METRIC_INNER_PRODUCT)
        return products, at


_NOTHING = Neighbours(np.empty((1, 0), np.int64), np.empty((1, 0), np.float64))


def _enlarged(array: NDArray[_T], length: int) -> NDArray[_T]:
    larger: NDArray[_T] = np.empty((length, *array.shape[1:]), array.dtype)
    larger[: len(array)] = array
    return larger


# -- FAISS's file ---------------------------------------------------------------------------------

_HEAD = struct.Struct("<4siqqqBi4siqqqBiQ")
"""Of what FAISS writes of an `IndexIDMap2` of an `IndexFlatIP`: for each of the two its name,
dimension, number of vectors, two numbers of no meaning, whether it is trained, and the metric;
then how many values follow, those of the vectors. After them come the number of ids, and these."""
_IDS = struct.Struct("<Q")
_INNER_PRODUCT = 0
_ALIGNED = 64


def read_buffer(size: int) -> memoryview:
    """Room for the `size` bytes of such a file, whose vectors then begin where a processor reads
    them best."""
    start = -_HEAD.size % _ALIGNED
    room = np.empty(size + start + _ALIGNED, np.uint8)
    start += -room.ctypes.data % _ALIGNED
    return memoryview(room)[start : start + size]  # type: ignore[arg-type]


def from_faiss(data: memoryview) -> ExactIndex | None:
    """The vectors in the bytes of such a file, not copied; None where they are something else."""
    if len(data) < _HEAD.size:
        return None
    head = _HEAD.unpack_from(data)
    outer, inner, values = head[:7], head[7:14], head[14]
    dimension, count = outer[1:3]
    same = (inner[1:3], outer[6], inner[6]) == ((dimension, count), _INNER_PRODUCT, _INNER_PRODUCT)
    if (outer[0], inner[0]) != (b"IxM2", b"IxFI") or not same or values != dimension * count:
        return None
    end = _HEAD.size + 4 * values
    if len(data) != end + _IDS.size + 8 * count or _IDS.unpack_from(data, end) != (count,):
        return None
    rows = np.frombuffer(data, "<f4", values, _HEAD.size).reshape(count, dimension)
    return ExactIndex(np.frombuffer(data, "<i8", count, end + _IDS.size).copy(), rows)
