"""Making the FAISS file: which index it should be, made anew or brought up to date, and judged.

Everything is read from the catalog in short transactions, so nobody waits for it; the file takes
the place of the one before in one step, so queries use either. What is killed on the way has done
nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...core.errors import StoreDamagedError
from ...core.progress import Progress
from ...engine.lens.lens import Lens
from ...engine.search import faiss_index, index_plan
from ...engine.search.faiss_index import RECALL_AT, Questions
from ...engine.search.index_plan import Effort, IndexPlan
from ...engine.search.normalize import unit
from ..catalog.lmdb_catalog import LmdbCatalog
from ..catalog.spaces import LENS_TABLE
from . import faiss_file
from .faiss_file import Covered, Notes
from .live_index import CHUNK, in_chunks

QUERIES = 256
"""Pictures of the store itself that its index is judged with."""

_GROWTH, _LOSS = 4, 8
"""An index is made anew when there are so many times as many images as it was trained for, or so
many times fewer."""

_SHARE = 1000
"""What differs by less than one in so many is left to readers, who catch up on their own."""


@dataclass(frozen=True)
class IndexRequest:
    """Which index a store was told to have, and the memory for it."""

    index: str = "auto"
    memory: int = 0
    """Bytes; see `index_plan.plan`."""


@dataclass(frozen=True)
class _Snapshot:
    """What the catalog holds at one moment, and how that differs from a file."""

    covered: Covered
    images: int
    last: int
    before: Covered
    """The token that it knows for the generation that the file covers."""
    removed: NDArray[np.int64]
    """Images in the file that are gone."""
    fresh: NDArray[np.int64]
    """Images that came since then."""
    changes: int
    """How many came or went, or both."""

    def continues(self, notes: Notes, covered: Covered) -> bool:
        """Whether it is the file's state with these changes."""
        images = notes.images - len(self.removed) + len(self.fresh)
        return self.before == covered and images == self.images


class IndexBuilder:
    """What makes one FAISS file of a store and keeps it in step with the catalog; only for the
    store's one writer."""

    def __init__(
        self,
        catalog: LmdbCatalog,
        path: Path,
        store_id: bytes,
        dimension: int,
        lens: Callable[[], Lens],
        *,
        space: str = LENS_TABLE,
        beside: Sequence[tuple[Path, bytes]] = (),
    ) -> None:
        """
        Args:
            path: of the file.
            store_id: that the file carries.
            lens: that the vectors were made with, read when it is needed.
            space: their table.
            beside: files that are derived from the same catalog, and what those carry.
        """
        self._catalog = catalog
        self._path = path
        self._store_id = store_id
        self._dimension = dimension
        self._lens = lens
        self._space = space
        self._beside = beside

    def due(self, wanted: IndexRequest) -> IndexPlan | None:
        """The index that should be made, or the one there brought up to date; None where nothing
        is to do."""
        return self._decide(wanted)[0]

    def build(self, wanted: IndexRequest, progress: Progress, *, afresh: bool = False) -> None:
        """Do what is due.

        Args:
            afresh: make it from nothing, if anything at all has changed since it was made.

        Raises:
            UsageError: there is no such index, or it can't hold these vectors.
            StoreDamagedError: the catalog lacks a vector that it lists.
            StoreError: the file can't be written; the one before is as it was.
        """
        plan, state, from_nothing = self._decide(wanted, afresh)
        if plan is None:
            return
        made = None if from_nothing else self._updated(state, progress)
        index, notes = made or self._made(plan, state, progress)
        # Whichever of the two files a power failure leaves, its past is known.
        known = [faiss_file.glance(*file) for file in self._beside]
        generations = [covered.generation for _, covered in filter(None, known)]
        generations.append(state.covered.generation)
        before = state.before.generation
        self._catalog.write(lambda writer: writer.covers(before, *generations))
        faiss_file.save(index, notes, state.covered, self._path, self._store_id)
        self._catalog.write(lambda writer: writer.covers(*generations))

    def _decide(
        self, wanted: IndexRequest, afresh: bool = False
    ) -> tuple[IndexPlan | None, _Snapshot, bool]:
        """What to make, from what, and whether from nothing."""
        known = faiss_file.glance(self._path, self._store_id, whole=True)
        notes, covered = known or (None, Covered(0, b""))
        state = self._state(covered, notes.last if notes else 0)
        now = notes.family if notes else ""
        plan = index_plan.plan(state.images, self._dimension, wanted.memory, wanted.index, now)
        if notes is None or not state.continues(notes, covered):
            return plan, state, True
        if plan.family != notes.family or _outgrown(plan, notes, state.images):
            return plan, state, True
        if state.covered == covered or (state.changes * _SHARE < state.images and not afresh):
            return None, state, False
        return plan, state, afresh

    def _state(self, file: Covered, last: int) -> _Snapshot:
        with self._catalog.reading(self._space) as reader:
            removed = reader.removed_since(file.generation)
            fresh = reader.image_numbers(after=last)
            return _Snapshot(
                Covered(reader.generation, reader.token(reader.generation) or b""),
                reader.images,
                reader.last_image,
                Covered(file.generation, reader.token(file.generation) or b""),
                removed[removed <= last],
                fresh,
                len(removed) + len(fresh),
            )

    def _updated(self, state: _Snapshot, progress: Progress) -> tuple[faiss.Index, Notes] | None:
        """The file's index with what changed since; None where that can't be done."""
        there = faiss_file.load_to_change(self._path, self._store_id, self._dimension)
        if there is None:
            return None
        index, notes = there
        if len(state.removed):
            try:
                index.remove_ids(state.removed)  # type: ignore[arg-type]
            except RuntimeError:  # graphs can't forget
                return None
        with self._catalog.reading(self._space) as reader:
            progress.start("arranging", len(state.fresh), "vectors")
            for numbers, rows in in_chunks(reader, state.fresh, self._dimension):
                index.add_with_ids(rows, numbers)
                progress.advance(len(numbers))
        if index.ntotal != state.images:
            return None
        return index, Notes(
            notes.factory,
            notes.family,
            state.images,
            state.last,
            notes.trained_on,
            notes.measured_on,
            notes.effort,
        )

    def _made(
        self, plan: IndexPlan, state: _Snapshot, progress: Progress
    ) -> tuple[faiss.Index, Notes]:
        chosen = np.random.default_rng(0)
        with self._catalog.reading(self._space) as reader:
            numbers = reader.image_numbers()

        def some(count: int) -> NDArray[np.int64]:
            count = min(count, len(numbers))
            return np.sort(chosen.choice(numbers, count, replace=False, shuffle=False))

        progress.start("arranging", len(numbers), "vectors")
        index = faiss_index.make(plan, self._dimension, self._read(some(plan.training)))
        own, unlike = (
            _ExactNearest(*questions)
            for questions in self._questions(0 if plan.exact else QUERIES, some)
        )
        after = 0
        while after < state.last:
            with self._catalog.reading(self._space) as reader:
                try:
                    ids, rows = reader.vectors_from(after, CHUNK)
                except ValueError as error:
                    raise StoreDamagedError(f"the catalog's vectors are damaged: {error}") from None
            keep = ids <= state.last
            if not keep.any():
                break
            self._require_dimension(rows)
            index.add_with_ids(rows[keep], ids[keep])
            own.see(ids[keep], rows[keep])
            unlike.see(ids[keep], rows[keep])
            after = int(ids[-1])
            progress.advance(int(keep.sum()))
        if index.ntotal != state.images:
            raise StoreDamagedError(
                f"the catalog lists {state.images:,} images and holds {index.ntotal:,} vectors"
            )
        effort = Effort() if plan.exact else self._tuned(index, own, unlike)
        images = state.images
        notes = Notes(plan.factory, plan.family, images, state.last, images, images, effort)
        return index, notes

    def _read(self, numbers: NDArray[np.int64]) -> UnitVectors:
        parts = [np.empty((0, self._dimension), np.float32)]
        for start in range(0, len(numbers), CHUNK):
            with self._catalog.reading(self._space) as reader:
                _, rows = reader.vectors_there(numbers[start : start + CHUNK])
            self._require_dimension(rows)
            parts.append(rows)
        return np.concatenate(parts)

    def _require_dimension(self, rows: UnitVectors) -> None:
        if len(rows) and rows.shape[1] != self._dimension:
            raise StoreDamagedError(
                "the catalog's vectors are damaged: "
                f"{rows.shape[1]} values, expected {self._dimension}"
            )

    def _questions(
        self, count: int, some: Callable[[int], NDArray[np.int64]]
    ) -> Iterator[tuple[NDArray[np.int64], UnitVectors]]:
        """Queries, and which image each is of (-1: of none): pictures of the store; then, as those
        of other collections would be, the same moved by what tells two others apart."""
        sources = some(count)
        if not len(sources):
            yield from 2 * [(sources, np.empty((0, self._dimension), np.float32))]
            return
        lens = self._lens()
        embeddings, here, there = (
            lens.embeddings_of(self._read(one)) for one in _thrice(sources, some)
        )
        yield sources, lens.query_of(embeddings)
        yield np.full(len(sources), -1), lens.query_of(unit(embeddings + here - there))

    def _tuned(self, index: faiss.Index, own: _ExactNearest, unlike: _ExactNearest) -> Effort:
        held: dict[int, NDArray[np.float32]] = {}  # the same ones are compared again and again

        def rerank(query: NDArray[np.float32], ids: NDArray[np.int64]) -> NDArray[np.int64]:
            if missing := [number for number in ids.tolist() if number not in held]:
                with self._catalog.reading(self._space) as reader:
                    there, rows = reader.vectors_there(np.array(missing))
                held.update(zip(there.tolist(), rows, strict=True))
            there = np.array([number for number in ids.tolist() if number in held], np.int64)
            if not len(there):
                return there
            products = np.stack([held[number] for number in there.tolist()]) @ query
            return there[np.argsort(-products, kind="stable")]

        return faiss_index.tuned(index, own.questions(), unlike.questions(), rerank)


def _thrice(
    sources: NDArray[np.int64], some: Callable[[int], NDArray[np.int64]]
) -> Iterator[NDArray[np.int64]]:
    chosen = np.random.default_rng(1)
    yield sources
    for _ in range(2):
        yield chosen.permutation(some(len(sources)))


def _outgrown(plan: IndexPlan, notes: Notes, images: int) -> bool:
    then = notes.trained_on
    return bool(plan.training) and (images > _GROWTH * then or _LOSS * images < then)


@dataclass
class _ExactNearest:
    """The exact nearest of some queries, gathered while all vectors pass by."""

    sources: NDArray[np.int64]
    """(n,): their numbers."""
    queries: UnitVectors
    """(n, d)."""
    _ids: NDArray[np.int64] = field(init=False)
    _scores: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        shape = (len(self.sources), RECALL_AT)
        self._ids = np.full(shape, -1, np.int64)
        self._scores = np.full(shape, -np.inf, np.float32)

    def see(self, ids: NDArray[np.int64], rows: UnitVectors) -> None:
        """The next vectors (n, d) and their numbers."""
        if not len(self.sources):
            return
        scores = self.queries @ rows.T
        scores[self.sources[:, None] == ids[None]] = -np.inf
        better = scores > self._scores[:, -1:]
        for row in np.flatnonzero(better.any(axis=1)):
            columns = np.flatnonzero(better[row])
            all_scores = np.concatenate([self._scores[row], scores[row, columns]])
            all_ids = np.concatenate([self._ids[row], ids[columns]])
            best = np.argsort(-all_scores, kind="stable")[:RECALL_AT]
            self._scores[row], self._ids[row] = all_scores[best], all_ids[best]

    def questions(self) -> Questions:
        """The queries, and of each the nearest that passed by, but not itself."""
        return Questions(self.queries, [row[row >= 0] for row in self._ids], self.sources)
