"""A store: open it, ask it, ask about it. What everyone else uses."""

from __future__ import annotations

import datetime
import hashlib
import os
import random
import threading
import uuid
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from .. import __version__
from ..config import Settings, load_settings, memory
from ..contracts import Hit, Hits, UnitVectors
from ..engine.decode import Limits, Picture, decode, from_image, read_bytes
from ..engine.embedder import Embedder, load_embedder, require_same
from ..engine.indexes import require_index
from ..engine.lens import Lens
from ..engine.search import Neighbours
from ..engine.threads import calm_blas
from ..errors import PictureError, UsageError
from .about import About
from .arranging import Arranger, Wanted
from .asking import best_hits
from .catalog import Catalog
from .environment import translated
from .files import replace_file
from .folder import StoreFolder
from .layout import LENS, VECTORS, is_ours, refuse_foreign, require_store
from .live import LiveIndex
from .own_lens import own_lens
from .report import Progress
from .vectors import glance

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from PIL import Image

    PictureSource: TypeAlias = (
        str | os.PathLike[str] | bytes | bytearray | memoryview | Image.Image | NDArray[np.uint8]
    )


class Store:
    """An open store. Safe to use from several threads; close it or use it in `with`."""

    def __init__(
        self, folder: StoreFolder, settings: Settings, weights: Path | None = None
    ) -> None:
        self.folder = folder
        self.path = folder.path
        self.settings = settings
        self.weights = weights
        self._searching = threading.Lock()
        self._loading = threading.Lock()
        self._embedder: Embedder | None = None

    # -- opening -------------------------------------------------------------

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str] | None = None,
        *,
        weights: str | os.PathLike[str] | None = None,
        settings: Settings | None = None,
    ) -> Store:
        """Open a store.

        Args:
            path: its folder; None takes `TLL_STORE`, or the nearest `.tll-index` here or above.
            weights: where the weights file that made it is now, if it was named and has moved.

        Raises:
            NoStoreError, StoreMismatchError (a newer format), StoreDamagedError
        """
        settings = settings or load_settings()
        folder = require_store(path, settings)
        return cls(StoreFolder.open(folder), settings, None if weights is None else Path(weights))

    @classmethod
    def create(
        cls, path: Path, embedder: Embedder, settings: Settings, weights_file: Path | None = None
    ) -> Store:
        """Make an empty store in the folder `path` for what `embedder` will put in. The caller
        holds `writer_lock(path)`.

        Raises:
            StoreError: the folder holds something else, or can't be written.
        """
        refuse_foreign(path)
        about = About(
            id=uuid.uuid4().bytes,
            created=datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
            made_with=f"tll-index {__version__}",
            made_by=embedder.identity,
            weights_file=None if weights_file is None else os.path.abspath(weights_file),
        )
        try:
            if embedder.lens.trained:
                replace_file(path / LENS, embedder.lens.save)
            folder = StoreFolder.create(path, about)
            try:
                folder.finish()
            except BaseException:
                folder.close()
                raise
        except OSError as error:
            raise translated(path / LENS, error) from error
        store = cls(folder, settings)
        store._embedder = embedder
        return store

    @property
    def about(self) -> About:
        """Which store it is, and what made it."""
        return self.folder.about

    @property
    def catalog(self) -> Catalog:
        """The truth about what is indexed."""
        return self.folder.catalog

    def close(self) -> None:
        """Let go of the files."""
        self.folder.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- asking --------------------------------------------------------------

    def query(
        self, picture: PictureSource, k: int = 10, *, include_self: bool = False, name: str = ""
    ) -> Hits:
        """The `k` indexed pictures that look most like `picture`.

        Args:
            picture: a path (text or `Path`), the bytes of a picture file, a Pillow image, or
                (height, width, 3) uint8 RGB pixels.
            k: at least 1; fewer hits come back where the store holds fewer.
            include_self: also the query itself, where the same file content is indexed.
            name: what `Hits.query` says; default: the path, or '-'.

        Raises:
            UsageError: `k` below 1.
            PictureError: the picture can't be used.
            StoreMismatchError, WeightsError: what made the store is not what is here.
        """
        _require_k(k)
        decoded, digest = self._look_at(picture)
        if not name:
            name = os.fsdecode(picture) if isinstance(picture, (str, os.PathLike)) else "-"
        embedder = self.embedder
        with calm_blas():
            ask = embedder.asks(decoded.pixels[None])
            return Hits(name, self.search(ask, k, without=None if include_self else digest))

    @property
    def embedder(self) -> Embedder:
        """The backbone and lens that made this store, loaded on first use.

        Raises:
            StoreMismatchError: what is installed here differs from what made it.
            WeightsError, LensError: what made it is missing or damaged.
        """
        with self._loading:
            if self._embedder is None:
                self._embedder = self._load_embedder()
            return self._embedder

    def _load_embedder(self) -> Embedder:
        made_by = self.about.made_by
        hint = self.about.weights_file
        weights = self.weights
        if weights is None and hint is not None and Path(hint).is_file():
            weights = Path(hint)
        embedder = load_embedder(
            made_by["backbone"], self.settings, weights=weights, lens=self._lens
        )
        require_same(made_by, embedder)
        return embedder

    def sample(self, count: int, seed: int = 0) -> list[str]:
        """Paths of `count` indexed pictures (or all there are), by chance but the same each time,
        in order of path."""
        with self.catalog.reading() as reader:
            numbers = [int(number) for number in reader.image_numbers()]
            random.Random(seed).shuffle(numbers)
            paths: list[str] = []
            for number in numbers:
                if len(paths) == count:
                    break
                paths.extend(os.fsdecode(path) for path in reader.paths_of(number)[:1])
        return sorted(paths)

    def __len__(self) -> int:
        """How many different pictures can be found."""
        with self.catalog.reading() as reader:
            return reader.images - reader.orphans

    def use_weights(self, file: Path) -> None:
        """Look for the weights in `file` from now on; only for the store's one writer."""
        self.weights = file
        self.folder.set_about(replace(self.about, weights_file=os.path.abspath(file)))

    def roots(self) -> list[bytes]:
        """Absolute paths of the folders that it was built from."""
        with self.catalog.reading() as reader:
            return reader.roots()

    def info(self) -> dict[str, Any]:
        """What made the store, what it holds and what it takes on disk (bytes); JSON values."""
        made_by = self.about.made_by
        with self.catalog.reading() as reader:
            counts = {
                "images": reader.images - reader.orphans,
                "paths": reader.places,
                "unusable_files": reader.rejected,
                "generation": reader.generation,
            }
        disk = {
            name: (self.path / name).stat().st_blocks * 512
            for name in sorted(os.listdir(self.path))
            if is_ours(name)
        }
        return {
            "store": os.fspath(self.path),
            "format": self.about.format,
            "created": self.about.created,
            "made_with": self.about.made_with,
            "folders": [os.fsdecode(root) for root in self.roots()],
            **counts,
            "backbone": made_by["backbone"],
            "weights_sha256": made_by["weights_sha256"],
            "lens": made_by["lens_sha256"],
            "dimension": made_by["dimension"],
            "metric": made_by["metric"],
            "index": self._about_index(),
            "disk_bytes": disk,
        }

    def _about_index(self) -> dict[str, Any]:
        """What the FAISS file says of itself."""
        known = glance(self.path / VECTORS, self.about.id)
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

    # -- the derived index -----------------------------------------------------

    def search(
        self, ask: UnitVectors, k: int = 10, *, without: bytes | None = None
    ) -> tuple[Hit, ...]:
        """The `k` indexed pictures with the largest inner product, best first; what `query` does
        with a picture's vector.

        Args:
            ask: (1, d) or (d,) float32 of length 1, as `Embedder.asks` gives it.
            without: SHA-256 of a file's content; that picture is left out.

        Raises:
            UsageError: `k` below 1, or an `ask` of another length.
        """
        _require_k(k)
        ask = np.ascontiguousarray(np.atleast_2d(ask), np.float32)
        if ask.shape != (1, self.about.dimension):
            raise UsageError(
                f"a query has {self.about.dimension} values, not {ask.shape[-1]} times {len(ask)}"
            )
        with self._searching:
            self._index.look()
        with self.catalog.reading() as reader:

            def nearest(count: int) -> Neighbours:
                with self._searching:
                    self._index.follow(reader)
                    return self._index.nearest(ask, count, reader)

            return best_hits(reader, nearest, k, without, self._lens.scale)

    def save_index(self, progress: Progress | None = None) -> None:
        """Bring the FAISS file up to the catalog, or make the one that now suits it; only for the
        store's one writer.

        Raises:
            UsageError: `settings.index` is no index, or can't hold these vectors.
            StoreError: it can't be written; queries go on with what there was.
        """
        self.arranger.arrange(self.wanted(), progress or Progress())

    @cached_property
    def arranger(self) -> Arranger:
        """What keeps the FAISS file."""
        about = self.about
        return Arranger(
            self.catalog,
            self.path / VECTORS,
            about.id,
            about.dimension,
            lambda: self._lens,
        )

    def wanted(self) -> Wanted:
        """What is asked of the index: by the settings, else as the store was last told."""
        with self.catalog.reading() as reader:
            told = reader.settings()
        return Wanted(
            self.settings.index or told.get("index", "auto"),
            self.settings.memory or told.get("memory", 0) or memory() // 2,
        )

    def remember_wanted(self) -> None:
        """Let the store be told, where the settings say something of its index; only for its one
        writer."""
        require_index(self.settings.index, self.about.dimension)
        said = {"index": self.settings.index, "memory": self.settings.memory}
        said = {name: value for name, value in said.items() if value}
        if said:
            self.catalog.write(lambda writer: writer.set_settings({**writer.settings(), **said}))

    @cached_property
    def _index(self) -> LiveIndex:
        return LiveIndex(self.path / VECTORS, self.about.id, self.about.dimension)

    @cached_property
    def _lens(self) -> Lens:
        """What made the vectors, without its backbone."""
        if self._embedder is not None:
            return self._embedder.lens
        return own_lens(self.path, self.about)

    def _look_at(self, picture: PictureSource) -> tuple[Picture, bytes | None]:
        geometry = self.embedder.backbone.spec.geometry
        limits = Limits.of(self.settings)
        if isinstance(picture, (str, os.PathLike)):
            data = read_bytes(os.fspath(picture), limits)
            try:
                return decode(data, geometry, limits), hashlib.sha256(data).digest()
            except PictureError as error:
                raise error.at(os.fspath(picture)) from None
        if isinstance(picture, (bytes, bytearray, memoryview)):
            data = bytes(picture)
            return decode(data, geometry, limits), hashlib.sha256(data).digest()
        if isinstance(picture, np.ndarray):
            from PIL import Image

            shape = picture.shape
            if picture.dtype != np.uint8 or len(shape) != 3 or shape[2] != 3 or 0 in shape:
                raise UsageError(
                    f"pixels must be (height, width, 3) uint8, not {picture.dtype}{shape}"
                )
            picture = Image.fromarray(picture)
        return from_image(picture, geometry), None


def _require_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 picture")
