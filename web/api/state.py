"""What the routes share: the store, who works for it, what was uploaded, what is counted."""

from __future__ import annotations

import os
import random
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.errors import StoreError
from ...core.version import __version__
from ...engine.images.decode import Picture
from ...indexer.backends.layout import thumbnails_of
from ...indexer.store.info import indexed, sampled
from ..http import schemas as schemas
from ..http.budget import Budget
from ..http.metrics import Metrics
from ..http.responses import log
from ..pictures.public_paths import Folders, PublicPaths
from ..pictures.refs import of_picture
from ..pictures.thumbnails import ThumbnailFiles, Thumbnails
from ..pictures.uploaded_queries import UploadedQueries
from ..pictures.workers import Workers

if TYPE_CHECKING:
    from ...core.contracts import Indexed
    from ...indexer.catalog.base import Reader
    from ...indexer.store.store import Store
    from ..http.settings import Options

_FEW = 10_000
"""Up to so many pictures are listed to take some by chance."""

_DRAWS = 8
"""Numbers that are drawn for each picture wanted, most of which some picture has."""


class ApiState:
    """Of one server."""

    def __init__(self, store: Store, options: Options) -> None:
        """Loads the network.

        Raises:
            StoreMismatchError, WeightsError, LensError: what made the store is not what is here.
        """
        settings = store.settings
        geometry = store.embedder.backbone.spec.geometry
        self.store = store
        self.options = options
        self.budget = Budget(options.held_bytes)
        self.workers = Workers(geometry, settings, options.waiting)
        self.embeddings = UploadedQueries(options.embeddings, options.look_seconds)
        self.thumbnails = Thumbnails(
            store,
            self.workers,
            ThumbnailFiles(thumbnails_of(store.about.id, settings), options.thumbnail_bytes),
        )
        self.metrics = Metrics()
        self._folders = Folders(store)
        self._watch()

    def warm_up(self) -> None:
        """Look at a grey square and ask with it, so that the first question is as quick as others.

        Raises:
            StoreError: the store can't be read.
        """
        size = self.store.embedder.backbone.spec.geometry.size
        grey = Picture(np.full((size, size, 3), 128, np.uint8), size, size, "")
        self.store.query_blend([self.store.encode_decoded(grey)], 1)

    def info(self) -> dict[str, Any]:
        """A `schemas.Info`."""
        with self.store.catalog.reading() as reader:
            counts = {
                "pictures": reader.images - reader.orphans,
                "paths": reader.entries,
                "generation": reader.generation,
            }
        made_by = self.store.about.made_by
        return {
            "version": __version__,
            "store": os.path.basename(self.store.location),
            **counts,
            "backbone": made_by.backbone,
            "lens": made_by.lens_sha256 is not None,
            "dimension": made_by.dimension,
            "words": self.store.about.text is not None,
            "why": True,
            "folders": self._folders.now(),
            "limits": {
                "upload_bytes": self.options.upload_bytes,
                "page": schemas.LARGEST_PAGE,
                "deepest": schemas.DEEPEST,
                "pictures_a_query": schemas.MOST_PICTURES,
            },
        }

    def sample(self, count: int) -> list[dict[str, Any]]:
        """Pictures by chance, each a `schemas.PictureFacts`."""
        with self.store.catalog.reading() as reader:
            found = _by_chance(reader, count)
            entries = PublicPaths(reader.roots())
        return [of_picture(picture, entries) for picture in found]

    def stop(self) -> None:
        """End the threads and processes; the store stays open."""
        self.workers.stop()

    def _watch(self) -> None:
        self.metrics.watch("pictures", "Pictures in the store.", self._pictures)
        self.metrics.watch(
            "looks", "Uploaded pictures that are remembered.", lambda: len(self.embeddings)
        )
        self.metrics.watch(
            "decoders_lost",
            "Decoder processes that died or were given up.",
            lambda: self.workers.decoders.lost,
        )
        self.metrics.watch(
            "held_bytes", "Bytes of uploads and originals in memory.", lambda: self.budget.taken
        )

    def _pictures(self) -> float:
        try:
            return len(self.store)
        except StoreError as error:
            log.error("%s", error)
            return float("nan")


def _by_chance(reader: Reader, count: int) -> list[Indexed]:
    """Different pictures, `count` of them or all there are."""
    if reader.images > _FEW:
        shown = [number for number in reader.drawn(_DRAWS * count) if reader.paths_of(number, 1)]
        if len(shown) >= count:
            return [indexed(reader, number) for number in shown[:count]]
    return list(sampled(reader, count, random.randrange(1 << 30)))
