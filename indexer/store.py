"""A store: open it, ask it, ask about it. What everyone else uses."""

from __future__ import annotations

import os
import threading
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..config import Settings, load_settings, memory
from ..contracts import Hit, Hits, Indexed, UnitVectors
from ..engine.crops import Crop
from ..engine.decode import Limits, Picture
from ..engine.embedder import Embedder, difference, load_embedder, require_same
from ..engine.indexes import require_index
from ..engine.lens import Lens, unit
from ..engine.sources import looked_at, name_of
from ..engine.threads import calm_blas
from ..errors import UsageError
from .about import About
from .arranging import Arranger, Wanted
from .asking import Asked
from .catalog import Catalog
from .describing import about_store, indexed, number_of, sampled
from .folder import StoreFolder
from .imported import known_content, require_not_imported
from .layout import VECTORS, require_store
from .looks import Look, blend, names_of
from .making import new_store
from .own_lens import own_lens
from .report import Progress
from .searching import Searcher

if TYPE_CHECKING:
    from ..engine.sources import PictureSource


class Store:
    """An open store. Safe to use from several threads; close it or use it in `with`."""

    def __init__(
        self, folder: StoreFolder, settings: Settings, weights: Path | None = None
    ) -> None:
        self.folder = folder
        self.path = folder.path
        self.settings = settings
        self.weights = weights
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
        store = cls(new_store(path, embedder.identity, embedder.lens, weights_file), settings)
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
        self,
        picture: PictureSource | list[PictureSource],
        k: int = 10,
        *,
        minus: Sequence[PictureSource] = (),
        crop: Crop | None = None,
        only: Sequence[str] = (),
        min_score: float | None = None,
        include_self: bool = False,
        name: str = "",
    ) -> Hits:
        """The `k` indexed pictures that look most like `picture`.

        Args:
            picture: a path (text or `Path`), the bytes of a picture file, a Pillow image, or
                (height, width, 3) uint8 RGB pixels; or a list of such: pictures that look like all
                of them. `ask` weighs them.
            k: at least 1; fewer hits come back where the store holds fewer.
            minus: answers should look less like these.
            crop: the part of each picture to look at.
            only, min_score, include_self, name: see `ask`.

        Raises:
            UsageError: see `ask`.
            PictureError: a picture can't be used.
            StoreMismatchError, WeightsError: what made the store is not what is here.
        """
        _require_k(k)
        like = picture if isinstance(picture, list) else [picture]
        looks = [self.look(one, crop=crop) for one in like]
        looks += [self.look(one, crop=crop).weighing(-1) for one in minus]
        return self.ask(
            looks, k, only=only, min_score=min_score, include_self=include_self, name=name
        )

    def look(self, picture: PictureSource, *, crop: Crop | None = None, name: str = "") -> Look:
        """How a picture looks through the store's lens, to `ask` with.

        Args:
            picture, crop: see `query`.
            name: default: its path, or '-'.

        Raises:
            PictureError, StoreMismatchError, WeightsError: as `query`.
        """
        if self.about.imported:
            return self.indexed_look(known_content(self, picture, crop))
        geometry = self.embedder.backbone.spec.geometry
        found = looked_at(picture, geometry, Limits.of(self.settings), crop)
        return self.look_at(found.picture, sha256=found.sha256, name=name or name_of(picture))

    def look_at(self, picture: Picture, *, sha256: bytes | None = None, name: str = "-") -> Look:
        """The same of a picture that was decoded already, to the size of the store's backbone.

        Args:
            sha256: of its file's content, where that is known.
        """
        with calm_blas():
            return Look(name, self.embedder.looks(picture.pixels[None]), sha256)

    def indexed_look(self, sha256: str) -> Look:
        """The same of an indexed picture, from its stored vector; no file is opened.

        Args:
            sha256: see `Hit.sha256`.

        Raises:
            NotIndexedError: the store has no such picture.
        """
        with self.catalog.reading() as reader:
            found = indexed(reader, number := number_of(reader, sha256))
            stored = reader.vectors([number])
        return Look(found.paths[0], unit(self._lens.looks_of(stored)), bytes.fromhex(sha256))

    def ask(
        self,
        looks: Sequence[Look],
        k: int = 10,
        *,
        only: Sequence[str] = (),
        min_score: float | None = None,
        include_self: bool = False,
        name: str = "",
    ) -> Hits:
        """The `k` indexed pictures that look most like the sum of `looks`, each by its weight.

        Args:
            only: shell patterns: just pictures with a path that one of them lets through
                (`PathFilter` says how).
            min_score: leave out hits that score less.
            include_self: also pictures that are asked with, where the same content is indexed.
            name: what `Hits.query` says; default: the looks' names.

        Raises:
            UsageError: `k` below 1, no look, looks that cancel each other out, an empty pattern.
        """
        vector = blend(looks)
        own = frozenset() if include_self else {look.sha256 for look in looks if look.sha256}
        with calm_blas():
            hits = self.search(self._lens.asks_of(vector), k, without=own, only=only)
        if min_score is not None:
            hits = tuple(hit for hit in hits if hit.score >= min_score)
        return Hits(name or names_of(looks), hits)

    def picture(self, sha256: str) -> Indexed:
        """What the store knows of the picture with this content (see `Hit.sha256`).

        Raises:
            NotIndexedError: the store has no such picture.
        """
        with self.catalog.reading() as reader:
            return indexed(reader, number_of(reader, sha256))

    @property
    def embedder(self) -> Embedder:
        """The backbone and lens that made this store, loaded on first use.

        Raises:
            StoreMismatchError: what is installed here differs from what made it, or it was made
                elsewhere (see `import_embeddings`).
            WeightsError, LensError: what made it is missing or damaged.
        """
        with self._loading:
            if self._embedder is None:
                self._embedder = self._load_embedder()
            return self._embedder

    @property
    def loaded(self) -> Embedder | None:
        """The same, if it is loaded."""
        return self._embedder

    def lend(self, embedder: Embedder) -> None:
        """Have it use one that is loaded already, if that is the one that made it."""
        if difference(self.about.made_by, embedder.identity) is None:
            self._embedder = embedder

    def _load_embedder(self) -> Embedder:
        require_not_imported(self.path, self.about)
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
            return sorted(picture.paths[0] for picture in sampled(reader, count, seed))

    def __len__(self) -> int:
        """How many different pictures can be found."""
        with self.catalog.reading() as reader:
            return reader.images - reader.orphans

    def use_weights(self, file: Path) -> None:
        """Look for the weights in `file` from now on; only for the store's one writer."""
        self.weights = file
        if (named := os.path.abspath(file)) != self.about.weights_file:
            self.folder.set_about(replace(self.about, weights_file=named))

    def roots(self) -> list[bytes]:
        """Absolute paths of the folders that it was built from."""
        with self.catalog.reading() as reader:
            return reader.roots()

    def info(self) -> dict[str, Any]:
        """What made the store, what it holds and what it takes on disk (bytes); JSON values."""
        with self.catalog.reading() as reader:
            return about_store(self.path, self.about, reader)

    # -- the derived index -----------------------------------------------------

    def search(
        self,
        ask: UnitVectors,
        k: int = 10,
        *,
        without: Collection[bytes] = (),
        only: Sequence[str] = (),
    ) -> tuple[Hit, ...]:
        """The `k` indexed pictures with the largest inner product, best first; what `ask` does
        with its pictures' vector.

        Args:
            ask: (1, d) or (d,) float32 of length 1, as `Lens.asks_of` gives it.
            without: SHA-256 of contents; those pictures are left out.
            only: see `ask`.

        Raises:
            UsageError: `k` below 1, an `ask` of another length, an empty pattern.
        """
        _require_k(k)
        ask = np.ascontiguousarray(np.atleast_2d(ask), np.float32)
        if ask.shape != (1, self.about.dimension):
            raise UsageError(
                f"a query has {self.about.dimension} values, not {ask.shape[-1]} times {len(ask)}"
            )
        asked = Asked(ask, k, self._lens.scale, frozenset(without))
        return self._searcher.hits(asked, tuple(only))

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
    def _searcher(self) -> Searcher:
        return Searcher(lambda: self.catalog, self.path, self.about)

    @cached_property
    def _lens(self) -> Lens:
        """What made the vectors, without its backbone."""
        if self._embedder is not None:
            return self._embedder.lens
        return own_lens(self.path, self.about)


def _require_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 picture")
