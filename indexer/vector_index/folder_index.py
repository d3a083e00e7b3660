"""An index of a store in a folder, searched by several threads: all images, or a filter's."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...engine.search.search import Neighbours, first, merged, ranked
from ..catalog.lmdb_catalog import LmdbCatalog
from ..catalog.lmdb_reader import LmdbReader
from ..catalog.spaces import Space
from .live_index import LiveIndex, in_chunks
from .vector_index import VectorIndex

_FEW = 20_000
"""So many vectors, chosen by a filter, are compared one by one: some ten milliseconds."""
_ENLARGED = 3
"""How often an index is asked for more, before all that a filter lets through are compared."""


class FolderIndex(VectorIndex[LmdbReader]):
    """The index of one space of a store in a folder."""

    def __init__(self, catalog: Callable[[], LmdbCatalog], path: Path, space: Space) -> None:
        """
        Args:
            catalog: says which it is now.
            path: the store's folder.
        """
        self._catalog = catalog
        self._space = space
        self._index = LiveIndex(path / space.file, space.file_id, space.dimension)
        self._lock = threading.Lock()

    @contextmanager
    def reading(self) -> Iterator[LmdbReader]:
        """See `VectorIndex.reading`."""
        with self._lock:
            self._index.look()
        with self._catalog().reading(self._space.table) as reader:
            yield reader

    def nearest(
        self,
        queries: UnitVectors,
        k: int,
        reader: LmdbReader,
        allowed: NDArray[np.int64] | None = None,
    ) -> list[Neighbours]:
        """See `VectorIndex.nearest`."""
        if allowed is None:
            return self._among_all(queries, k, reader)
        if len(allowed) <= _FEW:
            return self._compared(queries, k, reader, allowed)
        found = self._filtered(queries, k, reader, allowed)
        if left := [row for row, near in enumerate(found) if near is None]:
            rest = iter(self._compared(queries[left], k, reader, allowed))
            return [next(rest) if near is None else near for near in found]
        return [near for near in found if near is not None]

    def _among_all(self, queries: UnitVectors, k: int, reader: LmdbReader) -> list[Neighbours]:
        with self._lock:
            self._index.follow(reader)
            return self._index.nearest(queries, k, reader)

    def _filtered(
        self, queries: UnitVectors, k: int, reader: LmdbReader, allowed: NDArray[np.int64]
    ) -> list[Neighbours | None]:
        """Those of `allowed` among the nearest of all, enlarged a few times; None for a query that
        has too few of them even so."""
        held = reader.images
        wanted = int(1.5 * k * held / len(allowed)) + 1
        found: list[Neighbours | None] = [None] * len(queries)
        left = list(range(len(queries)))
        for _ in range(_ENLARGED):
            for row, near in zip(
                left, self._among_all(queries[left], min(wanted, held), reader), strict=True
            ):
                there = np.isin(near.ids[0], allowed, assume_unique=True)
                if there.sum() >= k or wanted >= held:
                    found[row] = Neighbours(near.ids[:, there], near.scores[:, there])
            if not (left := [row for row in left if found[row] is None]):
                break
            wanted *= 4
        return found

    def _compared(
        self, queries: UnitVectors, k: int, reader: LmdbReader, allowed: NDArray[np.int64]
    ) -> list[Neighbours]:
        """All of `allowed`, each compared with its vector in the catalog."""
        best = [Neighbours(np.empty((1, 0), np.int64), np.empty((1, 0)))] * len(queries)
        for numbers, rows in in_chunks(reader, allowed, self._space.dimension):
            best = [
                first(merged([near, ranked(query, numbers, rows)]), k)
                for near, query in zip(best, queries, strict=True)
            ]
        return best
