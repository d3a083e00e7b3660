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
from ..http.budget import Budget
from ..http.metrics import Metrics
from ..http.responses import log
from ..http.schemas import DEEPEST_HIT, LARGEST_PAGE, MOST_PICTURES
from ..pictures.facts import describe_picture
from ..pictures.public_paths import PublicPaths, TopFolders
from ..pictures.thumbnails import ThumbnailFiles, Thumbnails
from ..pictures.uploaded_queries import UploadedQueries
from ..pictures.workers import Workers

if TYPE_CHECKING:
    from ...core.contracts import Indexed
    from ...indexer.catalog.base import Reader
    from ...indexer.store.store import Store
    from ..http.settings import Options

_FEW = 10_000
"""Of up to so many pictures, random ones are taken from a list of all."""

_DRAWS = 8
"""Numbers that are drawn for each picture wanted; some belong to no picture any more."""


class ApiState:
    """What all requests to one server share."""

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
        self.uploads = UploadedQueries(options.remembered_uploads, options.remembered_seconds)
        self.thumbnails = Thumbnails(
            store,
            self.workers,
            ThumbnailFiles(thumbnails_of(store.about.id, settings), options.thumbnail_bytes),
        )
        self.metrics = Metrics()
        self._folders = TopFolders(store)
        self._add_gauges()

    def warm_up(self) -> None:
        """Encode a grey square and search with it, so that the first query is as quick as others.

        Raises:
            StoreError: the store can't be read.
        """
        size = self.store.embedder.backbone.spec.geometry.size
        grey = Picture(np.full((size, size, 3), 128, np.uint8), size, size, "")
        self.store.query_blend([self.store.encode_decoded(grey)], 1)

    def info(self) -> dict[str, Any]:
        """A `ServiceInfo`."""
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
            "text": self.store.about.text is not None,
            "why": True,
            "folders": self._folders.now(),
            "limits": {
                "upload_bytes": self.options.upload_bytes,
                "page": LARGEST_PAGE,
                "deepest": DEEPEST_HIT,
                "pictures_a_query": MOST_PICTURES,
            },
        }

    def random_pictures(self, count: int) -> list[dict[str, Any]]:
        """Random pictures, each a `PictureFacts`."""
        with self.store.catalog.reading() as reader:
            found = _draw(reader, count)
            public = PublicPaths(reader.roots())
        return [describe_picture(picture, public) for picture in found]

    def stop(self) -> None:
        """End the threads and processes; the store stays open."""
        self.workers.stop()

    def _add_gauges(self) -> None:
        self.metrics.add_gauge("pictures", "Pictures in the store.", self._pictures)
        self.metrics.add_gauge(
            "uploads_remembered",
            "Uploaded pictures that are remembered.",
            lambda: len(self.uploads),
        )
        self.metrics.add_gauge(
            "decoders_lost",
            "Decoder processes that died or were given up.",
            lambda: self.workers.decoders.lost,
        )
        self.metrics.add_gauge(
            "held_bytes", "Bytes of uploads and originals in memory.", lambda: self.budget.taken
        )

    def _pictures(self) -> float:
        try:
            return len(self.store)
        except StoreError as error:
            log.error("%s", error)
            return float("nan")


def _draw(reader: Reader, count: int) -> list[Indexed]:
    """Random pictures, all different: `count` of them, or all there are."""
    if reader.images > _FEW:
        shown = [number for number in reader.drawn(_DRAWS * count) if reader.paths_of(number, 1)]
        if len(shown) >= count:
            return [indexed(reader, number) for number in shown[:count]]
    return list(sampled(reader, count, random.randrange(1 << 30)))
