"""Other libraries that search vectors, each in a process of its own: built, tuned to one recall and
timed as its manual says, on one core and on all."""

from __future__ import annotations

import importlib
from bisect import bisect_left
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tll_index.core.config import cores
from tll_index.core.contracts import UnitVectors

from ..harness import seconds
from .dataset import Truth

EFFORTS = tuple(sorted({round(8 * 1.15**step) for step in range(40)}))
"""What a search's effort (ef, nprobe) is tried with, ascending: 8 to about 1,900."""


class Peer(Protocol):
    """One way to search vectors."""

    adjustable: bool
    """Whether effort buys recall; otherwise it is exact."""

    def build(self, vectors: UnitVectors) -> None:
        """Take in (n, d) float32 on all cores; a row's id is its number."""

    def adjust(self, effort: int, threads: int) -> None:
        """Search as hard as `effort` from now on, on so many cores."""

    def search(self, query: UnitVectors, k: int) -> NDArray[np.int64]:
        """The ids of the k best for one query (1, d)."""

    def save(self, path: Path) -> None:
        """Write the index to a file, vectors included."""


class Flat:
    """FAISS's exact index."""

    adjustable = False

    def build(self, vectors: UnitVectors) -> None:
        """See `Peer`."""
        import faiss

        self._index: Any = faiss.IndexFlatIP(vectors.shape[1])
        self._index.add(vectors)

    def adjust(self, effort: int, threads: int) -> None:
        """See `Peer`."""
        import faiss

        faiss.omp_set_num_threads(threads)

    def search(self, query: UnitVectors, k: int) -> NDArray[np.int64]:
        """See `Peer`."""
        return np.asarray(self._index.search(query, k)[1][0])

    def save(self, path: Path) -> None:
        """See `Peer`."""
        import faiss

        faiss.write_index(self._index, str(path))


class AutoFaiss(Flat):
    """The FAISS index that autofaiss chooses for at most 4 GB of memory."""

    adjustable = True

    def build(self, vectors: UnitVectors) -> None:
        """See `Peer`."""
        import faiss
        from autofaiss import build_index

        self._index, about = build_index(
            vectors,
            save_on_disk=False,
            max_index_memory_usage="4GB",
            current_memory_available="8GB",
            metric_type="ip",
            verbose=40,
        )
        if self._index is None:
            raise RuntimeError("autofaiss made no index")
        self.choice = about.get("index_key", type(self._index).__name__)
        is_graph = isinstance(faiss.downcast_index(self._index), faiss.IndexHNSW)
        self._parameter = "efSearch" if is_graph else "nprobe"

    def adjust(self, effort: int, threads: int) -> None:
        """See `Peer`."""
        import faiss

        super().adjust(effort, threads)
        faiss.ParameterSpace().set_index_parameter(self._index, self._parameter, effort)


class HnswLib:
    """hnswlib: M 16 and ef_construction 200, as in its examples."""

    adjustable = True

    def build(self, vectors: UnitVectors) -> None:
        """See `Peer`."""
        import hnswlib

        self._index: Any = hnswlib.Index("ip", vectors.shape[1])
        self._index.init_index(len(vectors), M=16, ef_construction=200)
        self._index.add_items(vectors, num_threads=cores())

    def adjust(self, effort: int, threads: int) -> None:
        """See `Peer`."""
        self._index.set_ef(effort)
        self._index.set_num_threads(threads)

    def search(self, query: UnitVectors, k: int) -> NDArray[np.int64]:
        """See `Peer`."""
        return np.asarray(self._index.knn_query(query, k)[0][0], np.int64)

    def save(self, path: Path) -> None:
        """See `Peer`."""
        self._index.save_index(str(path))


class USearch:
    """usearch with its defaults, in float32."""

    adjustable = True

    def build(self, vectors: UnitVectors) -> None:
        """See `Peer`."""
        from usearch.index import Index

        self._threads = cores()
        self._index: Any = Index(ndim=vectors.shape[1], metric="ip", dtype="f32")
        self._index.add(np.arange(len(vectors)), vectors, threads=cores())

    def adjust(self, effort: int, threads: int) -> None:
        """See `Peer`."""
        self._index.expansion_search = effort
        self._threads = threads

    def search(self, query: UnitVectors, k: int) -> NDArray[np.int64]:
        """See `Peer`."""
        found = self._index.search(query[0], k, threads=self._threads)
        return np.asarray(found.keys, np.int64)

    def save(self, path: Path) -> None:
        """See `Peer`."""
        self._index.save(str(path))


class Numpy:
    """All products, and the k best by `argpartition`."""

    adjustable = False

    def build(self, vectors: UnitVectors) -> None:
        """See `Peer`."""
        self._vectors = vectors
        self._limits: Any = None

    def adjust(self, effort: int, threads: int) -> None:
        """See `Peer`."""
        from threadpoolctl import threadpool_limits

        if self._limits is not None:
            self._limits.restore_original_limits()
        self._limits = threadpool_limits(threads, user_api="blas")

    def search(self, query: UnitVectors, k: int) -> NDArray[np.int64]:
        """See `Peer`."""
        scores = self._vectors @ query[0]
        best = np.argpartition(scores, -k)[-k:]
        return best[np.argsort(-scores[best], kind="stable")]

    def save(self, path: Path) -> None:
        """See `Peer`."""
        np.save(path.with_suffix(".npy"), self._vectors)
        path.with_suffix(".npy").rename(path)


PEERS: dict[str, tuple[Callable[[], Peer], str, str]] = {
    "hnswlib": (HnswLib, "hnswlib", "pip install hnswlib"),
    "usearch": (USearch, "usearch", "pip install usearch"),
    "autofaiss": (AutoFaiss, "autofaiss", "pip install --no-deps autofaiss embedding-reader"),
    "faiss_flat": (Flat, "faiss", "pip install faiss-cpu"),
    "numpy": (Numpy, "numpy", "pip install numpy"),
}
"""Name -> how it is made, the module that it needs, and how to get that."""


def missing(module: str) -> bool:
    """Whether a library can't be imported here."""
    try:
        importlib.import_module(module)
    except ImportError:
        return True
    return False


_SLOW = 0.01
"""Seconds of a query from which on fewer are timed."""
_FEW = 50


def measure(
    peer: str, vectors: str, queries: str, last: list[float], k: int, target: float, saved: str
) -> dict[str, Any]:
    """Build the peer of that name from the .npy file `vectors`, find the least effort that reaches
    recall `target` for the queries in the .npy file `queries`, and time it.

    Args:
        last: the exact score of each query's k-th best vector.
        saved: where the index is written, to be weighed.

    Returns:
        JSON values; only `missing` where its library isn't here.
    """
    make, module, how = PEERS[peer]
    if missing(module):
        return {"missing": how}
    rows = np.load(vectors)
    truth = Truth(rows, np.load(queries), np.asarray(last, np.float32), k)
    searcher = make()
    building = seconds(lambda: searcher.build(rows))
    searcher.save(Path(saved))
    size = Path(saved).stat().st_size
    Path(saved).unlink()
    effort, recall = _tuned(searcher, truth, target)
    result: dict[str, Any] = {
        "build_seconds": building,
        "bytes_per_vector": size / len(rows),
        "recall": recall,
        "effort": effort if searcher.adjustable else None,
        "choice": getattr(searcher, "choice", ""),
    }
    for name, threads in (("one_core_seconds", 1), ("all_cores_seconds", cores())):
        searcher.adjust(effort, threads)
        result[name] = _single(searcher, truth)
    return result


def _tuned(searcher: Peer, truth: Truth, target: float) -> tuple[int, float]:
    """The least effort that reaches `target`, or the most there is, and its recall."""
    some = len(truth.queries) if searcher.adjustable else _FEW

    @cache
    def recall(effort: int) -> float:
        searcher.adjust(effort, cores())
        return truth.recall(
            [searcher.search(query[None], truth.k) for query in truth.queries[:some]]
        )

    if not searcher.adjustable:
        return EFFORTS[0], recall(EFFORTS[0])
    least = bisect_left(EFFORTS, target, hi=len(EFFORTS) - 1, key=recall)
    return EFFORTS[least], recall(EFFORTS[least])


def _single(searcher: Peer, truth: Truth) -> float:
    """Median seconds of a query that comes alone."""
    queries = truth.queries
    searcher.search(queries[:1], truth.k)
    if seconds(lambda: searcher.search(queries[:1], truth.k)) > _SLOW:
        queries = queries[:_FEW]
    return median(seconds(partial(searcher.search, query[None], truth.k)) for query in queries)
