"""An index of a store, asked by several threads: the nearest of all images, or of a filter's."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Hit, UnitVectors
from ...engine.search.search import Neighbours, merged, ranked
from ..catalog.lmdb_catalog import LmdbCatalog
from ..catalog.lmdb_reader import LmdbReader
from ..catalog.spaces import Space
from .hits import SearchRequest, best_hits
from .live_index import LiveIndex, in_chunks
from .path_filter import Choices, PathFilter

_FEW = 20_000
"""So many vectors, chosen by a filter, are compared one by one: some ten milliseconds."""
_ENLARGED = 3
"""How often an index is asked for more, before all that a filter lets through are compared."""


class Searcher:
    """Safe to use from several threads."""

    def __init__(self, catalog: Callable[[], LmdbCatalog], path: Path, space: Space) -> None:
        """
        Args:
            catalog: says which it is now.
            path: the store's folder.
            space: that is searched.
        """
        self._catalog = catalog
        self._space = space
        self._index = LiveIndex(path / space.file, space.file_id, space.dimension)
        self._lock = threading.Lock()
        self._choices = Choices()

    def hits(self, request: SearchRequest, filter: tuple[str, ...] = ()) -> tuple[Hit, ...]:
        """The best answers; `filter` are the patterns of a `PathFilter`.

        Raises:
            UsageError: a pattern is empty.
            StoreDamagedError: the catalog has lost a record.
        """
        with self._lock:
            self._index.look()
        with self._catalog().reading(self._space.table) as reader:
            if not filter:
                return best_hits(
                    reader, lambda count: self._all(reader, request.query, count), request
                )
            allows = PathFilter(filter, reader.roots())
            chosen = self._choices.images(reader, allows)
            return best_hits(
                reader,
                lambda count: self._some(reader, request.query, count, chosen),
                request,
                allows.allows,
            )

    def _all(self, reader: LmdbReader, query: UnitVectors, count: int) -> Neighbours:
        with self._lock:
            self._index.follow(reader)
            return self._index.nearest(query, count, reader)

    def _some(
        self, reader: LmdbReader, query: UnitVectors, count: int, chosen: NDArray[np.int64]
    ) -> Neighbours:
        """As `_all`, of the images `chosen` (sorted)."""
        if len(chosen) > _FEW:
            held = reader.images
            wanted = int(1.5 * count * held / len(chosen)) + 1
            for _ in range(_ENLARGED):
                found = self._all(reader, query, min(wanted, held))
                there = np.isin(found.ids[0], chosen, assume_unique=True)
                if there.sum() >= count or wanted >= held:
                    return Neighbours(found.ids[:, there], found.scores[:, there])
                wanted *= 4
        best = Neighbours(np.empty((1, 0), np.int64), np.empty((1, 0)))
        for numbers, rows in in_chunks(reader, chosen, self._space.dimension):
            best = merged([best, ranked(query[0], numbers, rows)])
            best = Neighbours(best.ids[:, :count], best.scores[:, :count])
        return best
