"""The indexes of a store in a folder, a file for each of its spaces: searched, kept in step."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....core.config import Settings, memory
from ....core.progress import Progress
from ....engine.lens.lens import Lens
from ....engine.search.index_plan import IndexPlan, require_index
from ...catalog.lmdb_catalog import LmdbCatalog
from ...catalog.spaces import LENS_TABLE, Space
from ...vector_index.faiss_file import glance
from ...vector_index.folder_index import FolderIndex
from ...vector_index.live_index import LiveIndex
from ..base import Indexes
from ..layout import is_ours
from ..metadata import About

if TYPE_CHECKING:
    from ...vector_index.index_builder import IndexBuilder, IndexRequest


class FolderIndexes(Indexes):
    """The indexes of a store in a folder: FAISS files beside the catalog."""

    in_files = True

    def __init__(
        self,
        path: Path,
        about: About,
        catalog: Callable[[], LmdbCatalog],
        lens: Callable[[], Lens],
        settings: Settings,
    ) -> None:
        """
        Args:
            path: the store's folder.
            catalog: says which it is now.
            lens: the store's own, read when it is needed.
        """
        self._path = path
        self._about = about
        self._catalog = catalog
        self._lens = lens
        self._settings = settings
        self._indexes = {space: FolderIndex(catalog, path, space) for space in about.spaces}

    def of(self, space: Space) -> FolderIndex:
        """See `Indexes.of`."""
        return self._indexes[space]

    def lens_of(self, space: Space) -> Lens:
        """What made the vectors of a space: one that does nothing, where the network alone did."""
        if space.table == LENS_TABLE:
            return self._lens()
        return Lens(self._about.made_by.backbone, space.dimension)

    def offers(self) -> LiveIndex:
        """See `Indexes.offers`."""
        embeddings = self._about.spaces[0]
        index = LiveIndex(self._path / embeddings.file, embeddings.file_id, embeddings.dimension)
        index.refresh()
        return index

    def due(self) -> list[IndexPlan]:
        """The indexes that `save` would make or bring up to date."""
        plans = (builder.due(self._wanted(space)) for space, builder in self._builders.items())
        return [plan for plan in plans if plan is not None]

    def save(self, progress: Progress, *, afresh: bool = False) -> None:
        """See `Store.save_index`."""
        for space, builder in self._builders.items():
            builder.build(self._wanted(space), progress, afresh=afresh)

    def remember_wanted(self) -> None:
        """Let the store be told, where the settings say something of its indexes."""
        for space in self._about.spaces:
            require_index(self._settings.index, space.dimension)
        said = {"index": self._settings.index, "memory": self._settings.memory}
        said = {name: value for name, value in said.items() if value}
        if said:
            self._catalog().write(
                lambda writer: writer.set_index_settings({**writer.index_settings(), **said})
            )

    @cached_property
    def _builders(self) -> dict[Space, IndexBuilder]:
        """What keeps the FAISS files."""
        from ...vector_index.index_builder import IndexBuilder

        files = {space: (self._path / space.file, space.file_id) for space in self._about.spaces}
        return {
            space: IndexBuilder(
                self._catalog(),
                *file,
                space.dimension,
                partial(self.lens_of, space),
                space=space.table,
                beside=[files[other] for other in files if other != space],
            )
            for space, file in files.items()
        }

    def _wanted(self, space: Space) -> IndexRequest:
        """The index to make: by the settings, else as the store was last told; of the memory, its
        share."""
        from ...vector_index.index_builder import IndexRequest

        with self._catalog().reading() as reader:
            told = reader.index_settings()
        most = self._settings.memory or told.get("memory", 0) or memory() // 2
        values = sum(one.dimension for one in self._about.spaces)
        return IndexRequest(
            self._settings.index or told.get("index", "auto"), most * space.dimension // values
        )


def about_files(path: Path, about: About) -> dict[str, Any]:
    """What there is to say of the indexes of the store in the folder `path`, and what its files
    take on disk (bytes); JSON values."""
    disk = {
        name: (path / name).stat().st_blocks * 512
        for name in sorted(os.listdir(path))
        if is_ours(name)
    }
    return {
        "index": _about_index(path, about.spaces[0]),
        "words": _text_index_info(path, about),
        "disk_bytes": disk,
    }


def _text_index_info(path: Path, about: About) -> dict[str, Any] | None:
    """What there is to say of the text space; None where there is none."""
    if about.text is None:
        return None
    return {"dimension": about.text, "index": _about_index(path, about.spaces[1])}


def _about_index(path: Path, space: Space) -> dict[str, Any]:
    """What a FAISS file says of itself."""
    known = glance(path / space.file, space.file_id)
    if known is None:
        return {"kind": "none yet: the next build makes it"}
    notes = known[0]
    exact = notes.exact
    return {
        "kind": notes.factory,
        "vectors": notes.images,
        "recall_at_10": 1.0 if exact else notes.effort.recall,
        "recall_at_10_unlike": 1.0 if exact else notes.effort.recall_unlike,
        "recall_measured_with": None if exact else notes.effort.queries,
        "recall_measured_at": None if exact else notes.measured_on,
    }
