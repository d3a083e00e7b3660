"""Asking the vectors of a store in a Milvus: its index offers, the exact inner product decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ....core.config import INDEXES, Settings
from ....core.contracts import Hit, UnitVectors
from ....core.errors import UsageError
from ....core.progress import Progress
from ....engine.lens.lens import Lens
from ....engine.search.faiss_index import Plan
from ....engine.search.search import Neighbours, merged, ranked
from ...catalog.base import Reader
from ...catalog.spaces import LENS_TABLE, Space
from ...vector_index.hits import SearchRequest, best_hits
from ...vector_index.path_filter import Choices, PathFilter
from ..base import Indexes
from ..metadata import About
from .catalog import MilvusCatalog
from .connection import AT_ONCE, Connection
from .reader import MilvusReader
from .schema import IMAGE_FIELDS, KINDS, Names, effort, field_of, index_of

_NAMED = 5_000
"""So many images can be named in one question."""
_ENLARGED = 3
"""How often the index is asked for more, before images are named."""


class MilvusIndexes(Indexes):
    """What finds vectors; Milvus keeps its index itself."""

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
        self._choices = Choices()
        self._kinds: dict[str, str] = {}

    # -- asking ------------------------------------------------------------

    def hits(
        self, space: Space, request: SearchRequest, filter: tuple[str, ...]
    ) -> tuple[Hit, ...]:
        """See `Indexes.hits`."""
        with self._catalog.reading(space.table) as reader:
            if not filter:
                return best_hits(
                    reader,
                    lambda count: self._nearest(reader, space, request.query, count),
                    request,
                )
            allows = PathFilter(filter, reader.roots())
            chosen = self._choices.images(reader, allows)
            return best_hits(
                reader,
                lambda count: self._some(reader, space, request.query, count, chosen),
                request,
                allows.allows,
            )

    def _nearest(
        self, reader: MilvusReader, space: Space, query: UnitVectors, count: int, filter: str = ""
    ) -> Neighbours:
        """The `count` images nearest to `query` (1, d), with their exact scores."""
        field = field_of(space.table)
        found = self._search(space, query, count, [*IMAGE_FIELDS, field], filter)[0]
        rows = [{"image": _number_of(one), **one["entity"]} for one in found]
        vectors = [row.pop(field) for row in rows]
        reader.remember_images(rows)
        reader.look_up(row["image"] for row in rows)
        ids = np.fromiter((row["image"] for row in rows), np.int64, len(rows))
        matrix = np.array(vectors, np.float32).reshape(len(rows), space.dimension)
        return ranked(query[0], ids, matrix)

    def _some(
        self,
        reader: MilvusReader,
        space: Space,
        query: UnitVectors,
        count: int,
        chosen: NDArray[np.int64],
    ) -> Neighbours:
        """The same, of the images `chosen` (sorted)."""
        if len(chosen) > _NAMED:
            wanted = int(1.5 * count * reader.images / len(chosen)) + 1
            for _ in range(_ENLARGED):
                found = self._nearest(reader, space, query, min(wanted, AT_ONCE))
                there = np.isin(found.ids[0], chosen, assume_unique=True)
                if there.sum() >= count:
                    return Neighbours(found.ids[:, there], found.scores[:, there])
                if wanted >= AT_ONCE:
                    break
                wanted *= 4
        best = Neighbours(np.empty((1, 0), np.int64), np.empty((1, 0)))
        for start in range(0, len(chosen), _NAMED):
            named = chosen[start : start + _NAMED].tolist()
            part = self._nearest(reader, space, query, count, f"image in {named}")
            best = merged([best, part])
            best = Neighbours(best.ids[:, :count], best.scores[:, :count])
        return best

    def _search(
        self,
        space: Space,
        queries: UnitVectors,
        count: int,
        fields: Sequence[str] = (),
        filter: str = "",
    ) -> list[list[dict[str, Any]]]:
        kind = self._kind(space)
        found = self._connection.call(
            "search",
            self._names.images,
            data=list(queries),
            anns_field=field_of(space.table),
            limit=min(count, AT_ONCE),
            filter=filter,
            output_fields=list(fields),
            search_params={"metric_type": "IP", "params": effort(kind, count)},
            consistency_level="Bounded",
        )
        return [list(one) for one in found]

    def _kind(self, space: Space) -> str:
        if space.table not in self._kinds:
            said = self._connection.call(
                "describe_index", self._names.images, field_of(space.table)
            )
            self._kinds[space.table] = str((said or {}).get("index_type", ""))
        return self._kinds[space.table]

    def offers(self) -> MilvusOffers:
        """See `Indexes.offers`."""
        return MilvusOffers(
            lambda queries, count: self._search(self._about.spaces[0], queries, count)
        )

    def lens_of(self, space: Space) -> Lens:
        """See `Indexes.lens_of`."""
        if space.table == LENS_TABLE:
            return self._lens()
        return Lens(self._about.made_by["backbone"], space.dimension)

    # -- keeping -----------------------------------------------------------

    def due(self) -> list[Plan]:
        """None: Milvus keeps its indexes."""
        return []

    def save(self, progress: Progress, *, afresh: bool = False) -> None:
        """Have what was written put where it is found fast; make another index where another was
        asked for."""
        with self._catalog.reading() as reader:
            told = reader.settings().get("index", "auto")
        self._catalog.flush()
        # A store that came from a folder may have been told of one that only FAISS has.
        wanted = kind_of(told if told in KINDS else "auto", self._connection.is_lite)
        for space in self._about.spaces:
            if self._kind(space) != wanted:
                self._change(space, wanted)

    def remember_wanted(self) -> None:
        """See `Indexes.remember_wanted`."""
        if index := self._settings.index:
            kind_of(index, self._connection.is_lite)
            self._catalog.write(
                lambda writer: writer.set_settings({**writer.settings(), "index": index})
            )

    def _change(self, space: Space, kind: str) -> None:
        call, name, field = self._connection.call, self._names.images, field_of(space.table)
        call("release_collection", name)
        call("drop_index", name, field)
        from pymilvus import MilvusClient

        indexes = MilvusClient.prepare_index_params()
        indexes.add_index(field, **index_of(kind))
        call("create_index", name, indexes)
        call("load_collection", name)
        self._kinds.pop(space.table, None)


class MilvusOffers:
    """Candidates for many questions at a time."""

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
            f"--index {index}: a Milvus has no such index; choose of {', '.join(INDEXES)}"
        )
    return KINDS[index]
