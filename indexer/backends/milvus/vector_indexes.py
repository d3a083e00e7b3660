"""Searching the vectors of a store in a Milvus: its index offers, the exact product decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....core.config import INDEXES, Settings
from ....core.contracts import UnitVectors
from ....core.errors import UsageError
from ....core.progress import Progress
from ....engine.lens.lens import Lens
from ....engine.search.index_plan import IndexPlan
from ....engine.search.search import Neighbours, first, merged, ranked
from ...catalog.base import Reader
from ...catalog.spaces import LENS_TABLE, Space
from ...vector_index.vector_index import VectorIndex
from ..base import Indexes
from ..metadata import About
from .catalog import MilvusCatalog
from .connection import AT_ONCE, Connection
from .reader import MilvusReader
from .schema import IMAGE_FIELDS, KINDS, Names, effort, field_of, index_of

_NAMED = 5_000
"""So many images can be named in one search."""
_ENLARGED = 3
"""How often the index is asked for more, before images are named."""


class MilvusIndex(VectorIndex[MilvusReader]):
    """The index of one space of a store in a Milvus: what that finds, compared exactly."""

    def __init__(
        self, connection: Connection, names: Names, catalog: MilvusCatalog, space: Space
    ) -> None:
        self._connection = connection
        self._names = names
        self._catalog = catalog
        self._space = space
        self._field = field_of(space.table)
        self._kind: str | None = None

    def reading(self) -> AbstractContextManager[MilvusReader]:
        """See `VectorIndex.reading`."""
        return self._catalog.reading(self._space.table)

    def nearest(
        self,
        queries: UnitVectors,
        k: int,
        reader: MilvusReader,
        allowed: NDArray[np.int64] | None = None,
    ) -> list[Neighbours]:
        """See `VectorIndex.nearest`."""
        if allowed is None:
            return self._compared(queries, k, reader)
        found: list[Neighbours | None] = [None] * len(queries)
        if len(allowed) > _NAMED:
            found = self._filtered(queries, k, reader, allowed)
        if left := [row for row, near in enumerate(found) if near is None]:
            rest = iter(self._named(queries[left], k, reader, allowed))
            return [next(rest) if near is None else near for near in found]
        return [near for near in found if near is not None]

    def _compared(
        self, queries: UnitVectors, k: int, reader: MilvusReader, filter: str = ""
    ) -> list[Neighbours]:
        """What Milvus finds, by exact scores."""
        ranks: list[Neighbours] = []
        at_a_time = max(1, AT_ONCE // min(k, AT_ONCE))
        for start in range(0, len(queries), at_a_time):
            some = queries[start : start + at_a_time]
            for query, hits in zip(
                some, self.search(some, k, [*IMAGE_FIELDS, self._field], filter), strict=True
            ):
                rows = [{"image": _number_of(one), **one["entity"]} for one in hits]
                matrix = np.array([row.pop(self._field) for row in rows], np.float32)
                ids = np.fromiter((row["image"] for row in rows), np.int64, len(rows))
                reader.remember_images(rows)
                ranks.append(ranked(query, ids, matrix.reshape(len(rows), self._space.dimension)))
        reader.look_up(number for near in ranks for number in near.ids[0].tolist())
        return ranks

    def _filtered(
        self, queries: UnitVectors, k: int, reader: MilvusReader, allowed: NDArray[np.int64]
    ) -> list[Neighbours | None]:
        """Those of `allowed` among the nearest of all, enlarged a few times; None for a query that
        has too few of them even so."""
        wanted = int(1.5 * k * reader.images / len(allowed)) + 1
        found: list[Neighbours | None] = [None] * len(queries)
        left = list(range(len(queries)))
        for _ in range(_ENLARGED):
            for row, near in zip(
                left, self._compared(queries[left], min(wanted, AT_ONCE), reader), strict=True
            ):
                there = np.isin(near.ids[0], allowed, assume_unique=True)
                if there.sum() >= k:
                    found[row] = Neighbours(near.ids[:, there], near.scores[:, there])
            left = [row for row in left if found[row] is None]
            if not left or wanted >= AT_ONCE:
                break
            wanted *= 4
        return found

    def _named(
        self, queries: UnitVectors, k: int, reader: MilvusReader, allowed: NDArray[np.int64]
    ) -> list[Neighbours]:
        """The same of all of `allowed`, which are named to Milvus."""
        best = [Neighbours(np.empty((1, 0), np.int64), np.empty((1, 0)))] * len(queries)
        for start in range(0, len(allowed), _NAMED):
            named = allowed[start : start + _NAMED].tolist()
            parts = self._compared(queries, k, reader, f"image in {named}")
            best = [first(merged([near, part]), k) for near, part in zip(best, parts, strict=True)]
        return best

    def search(
        self, queries: UnitVectors, count: int, fields: Sequence[str] = (), filter: str = ""
    ) -> list[list[dict[str, Any]]]:
        """What Milvus says of each of `queries` (n, d), at most `count` images of each."""
        found = self._connection.call(
            "search",
            self._names.images,
            data=list(queries),
            anns_field=self._field,
            limit=min(count, AT_ONCE),
            filter=filter,
            output_fields=list(fields),
            search_params={"metric_type": "IP", "params": effort(self.kind, count)},
            consistency_level="Bounded",
        )
        return [list(one) for one in found]

    @property
    def kind(self) -> str:
        """Milvus's name of the index."""
        if self._kind is None:
            said = self._connection.call("describe_index", self._names.images, self._field)
            self._kind = str((said or {}).get("index_type", ""))
        return self._kind

    def change(self, kind: str) -> None:
        """Have Milvus make an index of this kind in the place of the one there is."""
        from pymilvus import MilvusClient

        call, name = self._connection.call, self._names.images
        call("release_collection", name)
        call("drop_index", name, self._field)
        indexes = MilvusClient.prepare_index_params()
        indexes.add_index(self._field, **index_of(kind))
        call("create_index", name, indexes)
        call("load_collection", name)
        self._kind = None


class MilvusIndexes(Indexes):
    """The indexes of a store in a Milvus, which keeps them itself."""

    in_files = False

    def __init__(
        self,
        connection: Connection,
        names: Names,
        catalog: MilvusCatalog,
        about: About,
        lens: Callable[[], Lens],
        settings: Settings,
    ) -> None:
        """
        Args:
            lens: the store's own, read when it is needed.
        """
        self._connection = connection
        self._names = names
        self._catalog = catalog
        self._about = about
        self._lens = lens
        self._settings = settings
        self._indexes = {
            space: MilvusIndex(connection, names, catalog, space) for space in about.spaces
        }

    # -- searching ---------------------------------------------------------

    def of(self, space: Space) -> MilvusIndex:
        """See `Indexes.of`."""
        return self._indexes[space]

    def offers(self) -> MilvusOffers:
        """See `Indexes.offers`."""
        return MilvusOffers(self._indexes[self._about.spaces[0]].search)

    def lens_of(self, space: Space) -> Lens:
        """See `Indexes.lens_of`."""
        if space.table == LENS_TABLE:
            return self._lens()
        return Lens(self._about.made_by.backbone, space.dimension)

    # -- keeping -----------------------------------------------------------

    def due(self) -> list[IndexPlan]:
        """None: Milvus keeps its indexes."""
        return []

    def save(self, progress: Progress, *, afresh: bool = False) -> None:
        """Have what was written put where it is found fast; make another index where another is
        wanted."""
        with self._catalog.reading() as reader:
            told = reader.index_settings().get("index", "auto")
        self._catalog.flush()
        # A store that came from a folder may have been told of one that only FAISS has.
        wanted = kind_of(told if told in KINDS else "auto", self._connection.is_lite)
        for space in self._about.spaces:
            if (index := self._indexes[space]).kind != wanted:
                index.change(wanted)

    def remember_wanted(self) -> None:
        """See `Indexes.remember_wanted`."""
        if index := self._settings.index:
            kind_of(index, self._connection.is_lite)
            self._catalog.write(
                lambda writer: writer.set_index_settings(
                    {**writer.index_settings(), "index": index}
                )
            )


class MilvusOffers:
    """What a Milvus offers of candidates for many queries at a time."""

    def __init__(self, search: Callable[[UnitVectors, int], list[list[dict[str, Any]]]]) -> None:
        self._search = search

    def follow(self, reader: Reader) -> None:
        """Milvus offers what it holds."""

    def candidates(self, queries: UnitVectors, count: int) -> NDArray[np.int64]:
        """See `Offers.candidates`."""
        found = self._search(queries, count)
        width = max(map(len, found), default=0)
        rows = np.full((len(queries), width), -1, np.int64)
        for row, hits in zip(rows, found, strict=True):
            row[: len(hits)] = list(map(_number_of, hits))
        return rows


def _number_of(hit: dict[str, Any]) -> int:
    """Of a hit, the image; before 2.4, a Milvus did not say what its key is called."""
    return int(hit["image"] if "image" in hit else hit["id"])


def kind_of(index: str, is_lite: bool) -> str:
    """Of Milvus's indexes, the one that is meant.

    Raises:
        UsageError: none is.
    """
    if index in ("", "auto"):
        return "FLAT" if is_lite else "HNSW"
    if index not in KINDS:
        raise UsageError(
            f"--index {index}: Milvus has no such index; choose one of {', '.join(INDEXES)}"
        )
    return KINDS[index]
