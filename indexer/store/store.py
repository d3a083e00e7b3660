"""A store: open it, ask it, ask about it. What everyone else uses."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.config import Settings, load_settings
from ...core.contracts import Hit, Hits, Indexed, Pixels, UnitVectors
from ...core.errors import UsageError
from ...core.location import Location
from ...core.names import shown
from ...core.paths import named
from ...core.progress import Progress
from ...core.threads import calm_blas
from ...engine.backbones.registry import spec_of
from ...engine.backbones.text_encoder import require_text_space
from ...engine.images.crops import Crop
from ...engine.images.decode import Limits, Picture
from ...engine.images.sources import decoded_source, name_of
from ...engine.lens.embedder import Embedder
from ...engine.lens.lens import Lens
from ...engine.search.normalize import unit
from ..backends.base import Backend, Indexes
from ..backends.layout import require_folder, require_store
from ..backends.metadata import About
from ..catalog.base import Catalog
from ..catalog.spaces import TEXT_TABLE
from ..vector_index.hits import SearchRequest
from . import resolve
from .create import new_store
from .imported import known_content, require_not_imported
from .info import UNFINISHED, about_store, indexed, number_of, sampled
from .models import Loading
from .query import QueryEmbedding, blend, names_of, need_text

if TYPE_CHECKING:
    from ...engine.images.sources import PictureSource


class Store:
    """An open store. Safe to use from several threads; close it or use it in `with`."""

    def __init__(self, backend: Backend, settings: Settings, weights: Path | None = None) -> None:
        self.backend = backend
        self.location = backend.location
        self.settings = settings
        self._made_by = Loading(backend, settings, weights)

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
            path: its folder, or the address of one in a Milvus (`milvus://host:19530/photos`);
                None takes `TLL_STORE`, or the nearest `.tll-index` here or above.
            weights: where the weights file that made it is now, if it was named and has moved.

        Raises:
            NoStoreError, StoreMismatchError (a newer format), StoreDamagedError
        """
        settings = settings or load_settings()
        backend = resolve.opened(require_store(path, settings), settings)
        return cls(backend, settings, None if weights is None else named(weights))

    @classmethod
    def create(
        cls,
        location: Location,
        embedder: Embedder,
        settings: Settings,
        weights_file: Path | None = None,
        *,
        text: bool = False,
    ) -> Store:
        """Make an empty store for what `embedder` will put in. The caller is its
        `resolve.only_writer`.

        Args:
            words: keep also where pictures are among texts; of a backbone that has these.

        Raises:
            StoreError: something else is there, or it can't be written.
        """
        width = embedder.backbone.spec.joint_dimension if text else None
        backend = new_store(
            location, embedder.identity, embedder.lens, settings, weights_file, text=width
        )
        store = cls(backend, settings)
        store._made_by.lend(embedder)
        return store

    @property
    def about(self) -> About:
        """Which store it is, and what made it."""
        return self.backend.about

    @property
    def path(self) -> Path:
        """The folder of a store that is in one.

        Raises:
            UsageError: it is in a Milvus; `location` says in which.
        """
        return require_folder(self.location)

    @property
    def catalog(self) -> Catalog:
        """The truth about what is indexed."""
        return self.backend.catalog

    def close(self) -> None:
        """Let go of the files, or of the connection."""
        self.backend.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- asking --------------------------------------------------------------

    def query(
        self,
        picture: PictureSource | list[PictureSource] | None = None,
        k: int = 10,
        *,
        text: str | Sequence[str] = (),
        minus: Sequence[PictureSource] = (),
        crop: Crop | None = None,
        filter: Sequence[str] = (),
        min_score: float | None = None,
        include_self: bool = False,
        name: str = "",
    ) -> Hits:
        """The `k` indexed pictures that look most like `picture`.

        Args:
            picture: a path (text or `Path`), the bytes of a picture file, a Pillow image, or
                (height, width, 3) uint8 RGB pixels; or a list of such: pictures that look like all
                of them. `query` weighs them. None with a text alone.
            k: at least 1; fewer hits come back where the store holds fewer.
            text: what the pictures show, in words, or several such texts; see `encode_text`.
            minus: answers should look less like these.
            crop: the part of each picture to look at.
            only, min_score, include_self, name: see `query`.

        Raises:
            UsageError: see `query`.
            PictureError: a picture can't be used.
            StoreMismatchError, WeightsError: what made the store is not what is here.
        """
        _require_k(k)
        like = picture if isinstance(picture, list) else [] if picture is None else [picture]
        texts = [text] if isinstance(text, str) else text
        embeddings = [self.encode_text(one) for one in texts]
        embeddings += [self.encode_query(one, crop=crop) for one in like]
        embeddings += [self.encode_query(one, crop=crop).weighing(-1) for one in minus]
        return self.query_blend(
            embeddings, k, filter=filter, min_score=min_score, include_self=include_self, name=name
        )

    def encode_query(
        self, picture: PictureSource, *, crop: Crop | None = None, name: str = ""
    ) -> QueryEmbedding:
        """How a picture looks through the store's lens, to `query` with.

        Args:
            picture, crop: see `query`.
            name: default: its path, or '-'.

        Raises:
            PictureError, StoreMismatchError, WeightsError: as `query`.
        """
        if self.about.imported:
            limits = Limits.of(self.settings)
            return self.encode_indexed(
                known_content(self.catalog, self.location, limits, picture, crop)
            )
        geometry = self.embedder.backbone.spec.geometry
        found = decoded_source(picture, geometry, Limits.of(self.settings), crop)
        return self.encode_decoded(
            found.picture, sha256=found.sha256, name=name or name_of(picture)
        )

    def encode_decoded(
        self, picture: Picture, *, sha256: bytes | None = None, name: str = "-"
    ) -> QueryEmbedding:
        """The same of a picture that was decoded already, to the size of the store's backbone.

        Args:
            sha256: of its file's content, where that is known.
        """
        pixels = picture.pixels[None]
        with calm_blas():
            if self.about.text is None:
                return QueryEmbedding(name, self.embedder.embed(pixels), sha256)
            vector, text = self.embedder.embed_with_text(pixels)
            return QueryEmbedding(name, vector, sha256, text=text)

    def encode_text(self, text: str) -> QueryEmbedding:
        """A text in words, to `query` with: where it is among pictures, by the network that knows
        both. Only for a store that was built with words.

        Raises:
            UsageError: the store keeps no words (says what to build), or the text is empty or
                longer than the network reads.
            StoreMismatchError, WeightsError: as `query`.
        """
        self.require_text_space()
        return QueryEmbedding(repr(text), None, text=self._made_by.text.vectors([text]))

    def require_text_space(self) -> None:
        """Refuse a store that can't be asked with texts.

        Raises:
            UsageError: says what to build.
        """
        if self.about.text is None:
            require_not_imported(self.location, self.about)
            name = self.about.made_by["backbone"]
            require_text_space(spec_of(name))
            raise UsageError(
                f"{shown(self.location)} was built without words; build another with "
                f"'tll-index build DIR --text --backbone {name} --store NEW'"
            )

    def encode_indexed(self, sha256: str) -> QueryEmbedding:
        """The same of an indexed picture, from its stored vector; no file is opened.

        Args:
            sha256: see `Hit.sha256`.

        Raises:
            NotIndexedError: the store has no such picture.
        """
        with self.catalog.reading() as reader:
            found = indexed(reader, number := number_of(reader, sha256))
            stored = reader.vectors([number])
            keeps = self.about.text is not None
            text = reader.of_space(TEXT_TABLE).vectors([number]) if keeps else None
        vector = unit(self.lens.embeddings_of(stored))
        return QueryEmbedding(found.paths[0], vector, bytes.fromhex(sha256), text=text)

    def query_blend(
        self,
        embeddings: Sequence[QueryEmbedding],
        k: int = 10,
        *,
        filter: Sequence[str] = (),
        min_score: float | None = None,
        include_self: bool = False,
        name: str = "",
    ) -> Hits:
        """The `k` indexed pictures that look most like the sum of `embeddings`, each by its weight.
        With a text among them, all are compared by the network that knows texts: scores are then
        its cosines, which are low between a text and a picture that fits it.

        Args:
            only: patterns, as in a .gitignore: just pictures with a path that they let through
                (`PathFilter` says how).
            min_score: leave out hits that score less.
            include_self: also pictures that are asked with, where the same content is indexed.
            name: what `Hits.query` says; default: the looks' names.

        Raises:
            UsageError: `k` below 1, no look, looks that cancel each other out, an empty pattern.
        """
        vector = blend(embeddings)
        own = frozenset() if include_self else {look.sha256 for look in embeddings if look.sha256}
        text = need_text(embeddings)
        with calm_blas():
            query = vector if text else self.lens.query_of(vector)
            hits = self.search(query, k, without=own, filter=filter, text=text)
        if min_score is not None:
            hits = tuple(hit for hit in hits if hit.score >= min_score)
        return Hits(name or names_of(embeddings), hits)

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
        return self._made_by.embedder

    @property
    def loaded(self) -> Embedder | None:
        """The same, if it is loaded."""
        return self._made_by.loaded

    def lend(self, embedder: Embedder) -> None:
        """Have it use one that is loaded already, if that is the one that made it."""
        self._made_by.lend(embedder)

    def encode_gallery(self, pixels: Pixels) -> tuple[UnitVectors, ...]:
        """(n, size, size, 3) uint8 RGB -> what the store keeps of these pictures in each of its
        `About.spaces`: (n, dimension) float32 of length 1. Raises as `embedder`."""
        if self.about.text is None:
            return (self.embedder.encode_gallery(pixels),)
        return self.embedder.encode_gallery_with_text(pixels)

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
        self._made_by.weights = file
        if (named := os.path.abspath(file)) != self.about.weights_file:
            self.backend.set_about(replace(self.about, weights_file=named))

    @property
    def unfinished(self) -> bool:
        """Whether it is a copy that is not whole, or was not verified (see `copy_store`)."""
        with self.catalog.reading() as reader:
            return bool(reader.settings().get(UNFINISHED))

    def roots(self) -> list[bytes]:
        """Absolute paths of the folders that it was built from."""
        with self.catalog.reading() as reader:
            return reader.roots()

    def info(self) -> dict[str, Any]:
        """What made the store, what it holds and what it takes on disk (bytes); JSON values."""
        with self.catalog.reading() as reader:
            return about_store(self.backend, reader)

    # -- the derived index -----------------------------------------------------

    def search(
        self,
        query: UnitVectors,
        k: int = 10,
        *,
        without: Collection[bytes] = (),
        filter: Sequence[str] = (),
        text: bool = False,
    ) -> tuple[Hit, ...]:
        """The `k` indexed pictures with the largest inner product, best first; what `query` does
        with its pictures' vector.

        Args:
            ask: (1, d) or (d,) float32 of length 1, as `Lens.query_of` gives it.
            without: SHA-256 of contents; those pictures are left out.
            only: see `query`.
            words: `query` is in the text space (`QueryEmbedding.text`), where the store keeps one.

        Raises:
            UsageError: `k` below 1, an `query` of another length, an empty pattern, no words.
        """
        _require_k(k)
        if text:
            self.require_text_space()
        query = np.ascontiguousarray(np.atleast_2d(query), np.float32)
        space = self.about.spaces[text]
        if query.shape != (1, space.dimension):
            raise UsageError(
                f"a query has {space.dimension} values, not {query.shape[-1]} times {len(query)}"
            )
        request = SearchRequest(query, k, self.indexes.lens_of(space).scale, frozenset(without))
        return self.indexes.hits(space, request, tuple(filter))

    def save_index(self, progress: Progress | None = None, *, afresh: bool = False) -> None:
        """Bring each FAISS file up to the catalog, or make the one that now suits it; only for the
        store's one writer.

        Args:
            afresh: see `Arranger.arrange`.

        Raises:
            UsageError: `settings.index` is no index, or can't hold these vectors.
            StoreError: it can't be written; queries go on with what there was.
        """
        self.indexes.save(progress or Progress(), afresh=afresh)

    @cached_property
    def indexes(self) -> Indexes:
        """What is derived from the catalog."""
        return self.backend.indexes(lambda: self.lens, self.settings)

    @property
    def lens(self) -> Lens:
        """What made its vectors, without the backbone.

        Raises:
            LensError, StoreDamagedError: the store's copy of it is missing, damaged or another.
        """
        return self._made_by.lens


def _require_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 picture")
