"""The index of an open store, kept in step with its catalog: what a query searches.

Most of it is the FAISS file, which is never changed in memory. What the catalog has got since is in
a second, exact index beside it; what it has lost since is left out of what is found.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...core.errors import StoreDamagedError
from ...engine.search.exact_index import ExactIndex
from ...engine.search.search import Neighbours, first, merged, ranked
from ..catalog.base import Reader
from ..catalog.lmdb_reader import LmdbReader
from . import faiss_file

CHUNK = 8192
"""Vectors read from the catalog at a time."""

_NOTHING = faiss_file.Covered(0, b"")


class LiveIndex:
    """A FAISS file and what changed since it was written, searched as one; for one thread at a
    time."""

    def __init__(self, path: Path, store_id: bytes, dimension: int) -> None:
        """`path`: of the FAISS file."""
        self._path = path
        self._store_id = store_id
        self._dimension = dimension
        self._stamp: tuple[int, int] | None = None
        self._start(None)

    def _start(self, file: faiss_file.VectorFile | None) -> None:
        self.file = file
        self._covered = _NOTHING if file is None else file.covered
        self._last = 0 if file is None else file.notes.last
        self._tail = ExactIndex.empty(self._dimension)
        self._dead = np.empty(0, np.int64)

    @property
    def changes(self) -> int:
        """By how many images the catalog differs from the file."""
        return len(self._tail) + len(self._dead)

    def refresh(self) -> None:
        """Take up a newer file, if there is one. Called before a snapshot is begun, it finds what
        that knows of; a snapshot that is older than the file could make nothing of it."""
        if (stamp := faiss_file.stamp_of(self._path)) != self._stamp:
            self._stamp = stamp
            self._start(faiss_file.load(self._path, self._store_id, self._dimension))

    def follow(self, reader: Reader) -> None:
        """Make it hold exactly the catalog's vectors.

        Raises:
            StoreDamagedError: the catalog lacks a vector that it lists.
        """
        assert isinstance(reader, LmdbReader)
        now = faiss_file.Covered(reader.generation, reader.token(reader.generation) or b"")
        if now == self._covered:
            return
        # A newer file takes the place of what was gathered here since the last.
        self.refresh()
        if not self._continue(reader):
            # Of another past, or from long ago: of no use.
            self._start(None)
            self._continue(reader)
        self._covered = now

    def _continue(self, reader: LmdbReader) -> bool:
        """Add and leave out what changed since; whether that comes to what the catalog holds."""
        if (reader.token(self._covered.generation) or b"") != self._covered.token:
            return False
        gone = reader.removed_since(self._covered.generation)
        if len(gone):
            self._tail.remove(gone)
            if self.file is not None:
                here = gone[gone <= self.file.notes.last]
                self._dead = np.union1d(self._dead, here)
        fresh = reader.image_numbers(after=self._last)
        for numbers, rows in in_chunks(reader, fresh, self._dimension):
            self._tail.add(numbers, rows)
        self._last = reader.last_image
        filed = 0 if self.file is None else self.file.notes.images
        return filed - len(self._dead) + len(self._tail) == reader.images

    def nearest(self, queries: UnitVectors, k: int, reader: LmdbReader) -> list[Neighbours]:
        """About the `k` images nearest to each of `queries` (n, d), with exact scores, best first:
        fewer where there are no more, or the index does not see them; n times (1, c).

        `reader` must be the one that it follows.
        """
        if self.file is None:
            return self._tail.nearest(queries, k)
        filed = self._filed_exact if self.file.notes.exact else self._filed_approximate
        found = filed(self.file, queries, k, reader)
        if len(self._tail):
            beside = self._tail.nearest(queries, k)
            found = [merged(parts) for parts in zip(found, beside, strict=True)]
        return [first(near, k) for near in found]

    def candidates(self, queries: UnitVectors, count: int) -> NDArray[np.int64]:
        """For each of `queries` (n, d), images that are probably nearest to it, among them `count`
        of the nearest where there are so many and the index sees them: (n, c), in no order; -1
        where there are no more."""
        parts = [self._tail.candidates(queries, count)]
        if self.file is not None:
            alive = self.file.notes.images - len(self._dead)
            wanted = count
            while True:
                ids = _offered(self.file, queries, wanted)
                ids = np.where(np.isin(ids, self._dead), -1, ids)
                enough = ((ids >= 0).sum(axis=1) >= min(count, alive)).all()
                if enough or wanted >= self.file.notes.images:
                    break
                wanted = min(2 * wanted, self.file.notes.images)
            parts.append(ids)
        return np.hstack(parts)

    def _filed_exact(
        self, file: faiss_file.VectorFile, queries: UnitVectors, k: int, reader: LmdbReader
    ) -> list[Neighbours]:
        """What the file, in which all vectors are compared, holds of what is still there."""
        if not len(self._dead):
            return file.exact.nearest(queries, k)
        images = file.notes.images
        found: list[Neighbours | None] = [None] * len(queries)
        left, wanted = list(range(len(queries))), k
        while left:
            for row, near in zip(left, file.exact.nearest(queries[left], wanted), strict=True):
                alive = ~np.isin(near.ids[0], self._dead, assume_unique=True)
                if self._enough(alive, k, images) or wanted >= images:
                    found[row] = Neighbours(near.ids[:, alive], near.scores[:, alive])
            left = [row for row in left if found[row] is None]
            wanted = min(2 * wanted, images)
        return [near for near in found if near is not None]

    def _filed_approximate(
        self, file: faiss_file.VectorFile, queries: UnitVectors, k: int, reader: LmdbReader
    ) -> list[Neighbours]:
        """The same of a file that offers candidates, which are compared with their vectors in the
        catalog. One query at a time: of many at once, FAISS offers others."""
        return [self._compared(file, row[None], k, reader) for row in queries]

    def _compared(
        self, file: faiss_file.VectorFile, query: UnitVectors, k: int, reader: LmdbReader
    ) -> Neighbours:
        from ...engine.search.faiss_index import candidates

        images, wanted = file.notes.images, k
        while True:
            ids = candidates(file.approximate, file.notes.effort, query, wanted)
            alive = ~np.isin(ids, self._dead, assume_unique=True)
            if self._enough(alive, k, images) or wanted >= images:
                break
            wanted = min(2 * wanted, images)
        known, rows = reader.vectors_there(ids[alive])
        if len(known) < alive.sum():
            lost = np.setdiff1d(ids[alive], known)[0]
            raise StoreDamagedError(
                f"the catalog has lost the vector of image {lost}; 'tll-index repair' mends it"
            )
        return ranked(query[0], known, rows.reshape(len(known), self._dimension))

    def _enough(self, alive: NDArray[np.bool_], k: int, images: int) -> bool:
        """Whether `k` were found, or all: otherwise what was removed took the place of others."""
        return bool(alive.sum() >= min(k, images - len(self._dead)))


def _offered(file: faiss_file.VectorFile, queries: UnitVectors, count: int) -> NDArray[np.int64]:
    """The images in a file that are probably nearest to each of `queries`: (n, c); -1 where there
    are no more."""
    from ...engine.search.faiss_index import RECALL_AT, candidates_of_many

    effort = file.notes.effort
    if file.notes.exact:  # more than are wanted: those that tie with the last among them
        return file.exact.candidates(queries, max(count, RECALL_AT) * effort.refine)
    return candidates_of_many(file.approximate, effort, queries, count)


def in_chunks(
    reader: Reader, numbers: NDArray[np.int64], dimension: int
) -> Iterator[tuple[NDArray[np.int64], UnitVectors]]:
    """The vectors of these images, `CHUNK` at a time.

    Raises:
        StoreDamagedError: the catalog lacks one of them, or has one of another length.
    """
    for start in range(0, len(numbers), CHUNK):
        some = numbers[start : start + CHUNK]
        yield some, vectors_of(reader, some, dimension)


def vectors_of(reader: Reader, numbers: NDArray[np.int64], dimension: int) -> UnitVectors:
    """(n, dimension) float32: the vectors of these images.

    Raises:
        StoreDamagedError: as `in_chunks`.
    """
    try:
        rows = reader.vectors(numbers)
        if rows.shape[1] != dimension:
            raise ValueError(f"{rows.shape[1]} values, expected {dimension}")
    except (KeyError, ValueError) as error:
        raise StoreDamagedError(
            f"the catalog's vectors are damaged ({error!r}); 'tll-index repair' mends it"
        ) from error
    return rows
