"""Other ways to search vectors: each built, tuned to one recall and timed as its manual says."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from tll_index.core.config import cores
from tll_index.core.contracts import UnitVectors

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

    def search(self, ask: UnitVectors, k: int) -> NDArray[np.int64]:
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

    def search(self, ask: UnitVectors, k: int) -> NDArray[np.int64]:
        """See `Peer`."""
        return np.asarray(self._index.search(ask, k)[1][0])

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

    def search(self, ask: UnitVectors, k: int) -> NDArray[np.int64]:
        """See `Peer`."""
        return np.asarray(self._index.knn_query(ask, k)[0][0], np.int64)

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

    def search(self, ask: UnitVectors, k: int) -> NDArray[np.int64]:
        """See `Peer`."""
        found = self._index.search(ask[0], k, threads=self._threads)
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

    def search(self, ask: UnitVectors, k: int) -> NDArray[np.int64]:
        """See `Peer`."""
        scores = self._vectors @ ask[0]
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
