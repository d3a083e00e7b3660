"""A store: open it, search it, ask what it holds. What everyone else uses."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...core.config import Settings, cores, load_settings
from ...core.contracts import Hit, Hits, Indexed, UnitVectors
from ...core.errors import UsageError
from ...core.location import Location
from ...core.names import shown
from ...core.paths import named
from ...core.progress import Progress
from ...core.threads import calm_blas
from ...engine.backbones.registry import spec_of
from ...engine.backbones.runtime import pictures_a_pass
from ...engine.images.batches import batch_of
from ...engine.images.crops import Crop
from ...engine.images.decode import Limits, Picture
from ...engine.images.sources import Source, decoded_source, name_of
from ...engine.lens.embedder import Embedder
from ...engine.lens.lens import Lens
from ...engine.search.normalize import unit
from ..backends.base import Backend, Indexes
from ..backends.folder.store_folder import folder_of
from ..backends.layout import require_store
from ..backends.metadata import About
from ..catalog.base import Catalog
from ..catalog.spaces import TEXT_TABLE
from ..vector_index.hits import rank_hits
from ..vector_index.path_filter import FilterCache
from . import resolve
from .create import create_store
from .imported import known_content, require_not_imported
from .info import about_store, indexed, number_of, sampled
from .models import StoreModel
from .query import QueryEmbedding, blend, names_of, need_text, pictures_of

if TYPE_CHECKING:
    from ...engine.images.sources import PictureSource

_ONE_PICTURE = (str, bytes, bytearray, memoryview, os.PathLike)
"""What nobody means as several."""


class Store:
    """An open store: pictures are searched in it. Safe to use from several threads; close it or
    use it in `with`."""

    def __init__(self, backend: Backend, settings: Settings, weights: Path | None = None) -> None:
        self.backend = backend
        self.location = backend.location
        self.settings = settings
        self._model = StoreModel(backend, settings, weights)
        self._filters = FilterCache()

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
        backend = resolve.open_backend(require_store(path, settings), settings)
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
            text: keep text embeddings as well; of a backbone that has a text encoder.

        Raises:
            StoreError: something else is there, or it can't be written.
        """
        width = embedder.backbone.spec.joint_dimension if text else None
        backend = create_store(
            location, embedder.identity, embedder.lens, settings, weights_file, text=width
        )
        store = cls(backend, settings)
        store._model.lend(embedder)
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
        return folder_of(self.backend).path

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

    # -- searching -----------------------------------------------------------

    def query(
        self,
        picture: PictureSource | Sequence[PictureSource] | None = None,
        k: int = 10,
        *,
        text: str | Sequence[str] = (),
        minus: PictureSource | Sequence[PictureSource] = (),
        crop: Crop | None = None,
        filter: Sequence[str] = (),
        min_score: float | None = None,
        include_self: bool = False,
        name: str = "",
    ) -> Hits:
        """The `k` indexed pictures that look most like `picture`.

        Args:
            picture: a path (text or `Path`), the bytes of a picture file, a Pillow image, or
                (height, width, 3) uint8 RGB pixels; or a sequence of such: pictures that look like
                all of them together. `query_many` searches for each, `query_blend` weighs them.
                None with a text alone.
            k: at least 1; fewer hits come back where the store holds fewer.
            text: what the pictures show, or several such texts; see `encode_text`.
            minus: hits should look less like these.
            crop: the part of each picture to look at.
            filter, min_score, include_self, name: see `query_blend`.

        Raises:
            UsageError: see `query_blend`.
            PictureError: a picture can't be used.
            StoreMismatchError, WeightsError: what made the store is not what is here.
        """
        _require_k(k)
        texts = [text] if isinstance(text, str) else text
        like, unlike = pictures_of(picture), pictures_of(minus)
        embeddings = [self.encode_text(one) for one in texts]
        embeddings += [self.encode_query(one, crop=crop) for one in like]
        embeddings += [self.encode_query(one, crop=crop).weighing(-1) for one in unlike]
        return self.query_blend(
            embeddings, k, filter=filter, min_score=min_score, include_self=include_self, name=name
        )

    def query_many(
        self,
        pictures: Iterable[PictureSource],
        k: int = 10,
        *,
        crop: Crop | None = None,
        filter: Sequence[str] = (),
        min_score: float | None = None,
        include_self: bool = False,
    ) -> list[Hits]:
        """For each picture, the `k` indexed pictures that look most like it: the hits of `query`
        one by one, to the last bit. As many pictures go through the network at a time as a build
        sends, and they are searched together: sooner on a GPU, or where searching takes its time.

        Args:
            pictures: such as `query` takes; they are read a batch at a time, so they may be made
                on the way.
            k, crop, filter, min_score, include_self: see `query`.

        Raises:
            UsageError, PictureError, StoreMismatchError, WeightsError: as `query`; a picture that
                can't be used leaves nothing of the others.
        """
        _require_k(k)
        if isinstance(pictures, _ONE_PICTURE) or not isinstance(pictures, Iterable):
            raise UsageError("query_many takes several pictures; query takes one")
        found: list[Hits] = []
        rest = iter(pictures)
        while some := list(islice(rest, pictures_a_pass(self.settings))):
            blends = [[embedding] for embedding in self._encoded(some, crop)]
            found += self._query_blends(blends, k, filter, min_score, include_self)
        return found

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
        With a text among them, all are compared in the text space: scores are then cosines there,
        which are low between a text and a picture that fits it.

        Args:
            embeddings: of `encode_query`, `encode_indexed` or `encode_text`.
            filter: patterns, as in a .gitignore: just pictures with a path that they let through
                (`PathFilter` says how).
            min_score: leave out hits that score less.
            include_self: also the query's own pictures, where the same content is indexed.
            name: what `Hits.query` says; default: the embeddings' names.

        Raises:
            UsageError: `k` below 1, no embedding, embeddings that cancel each other out, an empty
                pattern.
        """
        _require_k(k)
        (hits,) = self._query_blends([embeddings], k, filter, min_score, include_self)
        return Hits(name, hits.hits) if name else hits

    def _query_blends(
        self,
        blends: Sequence[Sequence[QueryEmbedding]],
        k: int,
        filter: Sequence[str],
        min_score: float | None,
        include_self: bool,
    ) -> list[Hits]:
        """For each, as `query_blend`. Either all have a text among them or none has."""
        text = need_text(blends[0])
        without = [
            () if include_self else {one.sha256 for one in some if one.sha256} for some in blends
        ]
        with calm_blas():
            vectors = [blend(some) for some in blends]
            queries = np.concatenate(vectors if text else list(map(self.lens.query_of, vectors)))
            ranked = self.search_many(queries, k, without=without, filter=filter, text=text)
        if min_score is not None:
            ranked = [tuple(hit for hit in hits if hit.score >= min_score) for hits in ranked]
        return [Hits(names_of(some), hits) for some, hits in zip(blends, ranked, strict=True)]

    def search(
        self,
        query: UnitVectors,
        k: int = 10,
        *,
        without: Collection[bytes] = (),
        filter: Sequence[str] = (),
        text: bool = False,
    ) -> tuple[Hit, ...]:
        """The `k` indexed pictures with the largest inner product, best first; what `query_blend`
        does with its sum.

        Args:
            query: (d,) or (1, d) float32 of length 1, as `Lens.query_of` gives it.
            without: SHA-256 of contents; those pictures are left out.
            filter: see `query_blend`.
            text: `query` is in the text space (`QueryEmbedding.text`), where the store keeps one.

        Raises:
            UsageError: `k` below 1, a query of another length, an empty pattern, no text space.
        """
        query = np.atleast_2d(query)
        if len(query) != 1:
            raise UsageError(f"search takes one query, not {len(query)}; search_many takes several")
        return self.search_many(query, k, without=[without], filter=filter, text=text)[0]

    def search_many(
        self,
        queries: UnitVectors,
        k: int = 10,
        *,
        without: Sequence[Collection[bytes]] | None = None,
        filter: Sequence[str] = (),
        text: bool = False,
    ) -> list[tuple[Hit, ...]]:
        """For each of several queries what `search` finds, in one search of one state of the store.

        Args:
            queries: (n, d) float32, each of length 1.
            without: for each query, SHA-256 of contents that are left out; None leaves out nothing.
            k, filter, text: see `search`.

        Raises:
            UsageError: as `search`, or `without` is not of as many.
        """
        _require_k(k)
        if text:
            self.require_text_space()
        queries = np.ascontiguousarray(queries, np.float32)
        space = self.about.spaces[text]
        if queries.ndim != 2 or queries.shape[1] != space.dimension:
            count, length = np.atleast_2d(queries).shape[-2:]
            raise UsageError(f"a query has {space.dimension} values, not {length} times {count}")
        if without is not None and len(without) != len(queries):
            raise UsageError(f"{len(queries)} queries, and what to leave out of {len(without)}")
        index, scale = self.indexes.of(space), self.indexes.lens_of(space).scale
        with index.reading() as reader:
            allowed = self._filters.allowed(reader, filter)
            return rank_hits(
                index, reader, queries, k, scale=scale, without=without, allowed=allowed
            )

    # -- embedding -----------------------------------------------------------

    def encode_query(
        self, picture: PictureSource, *, crop: Crop | None = None, name: str = ""
    ) -> QueryEmbedding:
        """The query embedding of a picture, for `query_blend`.

        Args:
            picture, crop: see `query`.
            name: default: its path, or '-'.

        Raises:
            PictureError, StoreMismatchError, WeightsError: as `query`.
        """
        (embedding,) = self._encoded([picture], crop)
        return replace(embedding, name=name) if name else embedding

    def encode_decoded(
        self, picture: Picture, *, sha256: bytes | None = None, name: str = "-"
    ) -> QueryEmbedding:
        """The same of a picture that was decoded already, to the size of the store's backbone.

        Args:
            sha256: of its file's content, where that is known.
        """
        return self._embedded([Source(picture, sha256)], [name])[0]

    def encode_text(self, text: str) -> QueryEmbedding:
        """The query embedding of a text, by the network that knows pictures and texts. Only for a
        store with a text space.

        Raises:
            UsageError: the store has no text space (says what to build), or the text is empty or
                longer than the network reads.
            StoreMismatchError, WeightsError: as `query`.
        """
        self.require_text_space()
        return QueryEmbedding(repr(text), None, text=self._model.text.vectors([text]))

    def encode_indexed(self, sha256: str) -> QueryEmbedding:
        """The query embedding of an indexed picture, from its stored vector; no file is opened.

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

    def encode_gallery(
        self, pictures: PictureSource | Sequence[PictureSource], *, crop: Crop | None = None
    ) -> UnitVectors:
        """The gallery embeddings of pictures: what the store would keep of them.

        Args:
            pictures: one or several, such as `query` takes; or (n, height, width, 3) uint8 RGB.
            crop: the part of each to look at.

        Returns:
            (n, d) float32, each of length 1; its inner product with `Lens.query_of` a query, times
            `Lens.scale`, is the score.

        Raises:
            PictureError, StoreMismatchError, WeightsError: as `query`.
        """
        parts = [np.empty((0, self.about.dimension), np.float32)]
        rest = iter(pictures_of(pictures))
        while some := list(islice(rest, pictures_a_pass(self.settings))):
            batch = batch_of([found.picture for found in self._decoded(some, crop)])
            with calm_blas():
                parts.append(self.embedder.encode_gallery(*batch))
        return np.concatenate(parts)

    def encode_spaces(self, pictures: Sequence[Picture]) -> tuple[UnitVectors, ...]:
        """What the store keeps of some pictures, decoded for its backbone, in each of its
        `About.spaces`: (n, dimension) float32 of length 1. Raises as `embedder`."""
        if self.about.text is None:
            return (self.embedder.encode_gallery(*batch_of(pictures)),)
        return self.embedder.encode_gallery_with_text(*batch_of(pictures))

    def require_text_space(self) -> None:
        """Refuse a store that can't be searched with texts.

        Raises:
            UsageError: says what to build.
        """
        if self.about.text is None:
            from ...engine.backbones.text_encoder import require_text_space

            require_not_imported(self.location, self.about)
            name = self.about.made_by.backbone
            require_text_space(spec_of(name))
            raise UsageError(
                f"{shown(self.location)} was built without --text; build another with "
                f"'tll-index build DIR --text --backbone {name} --store NEW'"
            )

    def _encoded(
        self, pictures: Sequence[PictureSource], crop: Crop | None
    ) -> list[QueryEmbedding]:
        """The query embeddings of a batch."""
        if self.about.imported:
            limits = Limits.of(self.settings)
            return [
                self.encode_indexed(
                    known_content(self.catalog, self.location, limits, picture, crop)
                )
                for picture in pictures
            ]
        return self._embedded(self._decoded(pictures, crop), list(map(name_of, pictures)))

    def _decoded(self, pictures: Sequence[PictureSource], crop: Crop | None) -> list[Source]:
        geometry, limits = self.embedder.backbone.spec.geometry, Limits.of(self.settings)
        if len(pictures) == 1:
            return [decoded_source(pictures[0], geometry, limits, crop)]
        with ThreadPoolExecutor(cores(), "decode") as threads:
            return list(
                threads.map(lambda one: decoded_source(one, geometry, limits, crop), pictures)
            )

    def _embedded(self, found: Sequence[Source], names: Sequence[str]) -> list[QueryEmbedding]:
        batch = batch_of([one.picture for one in found])
        with calm_blas():
            if self.about.text is None:
                vectors, texts = self.embedder.embed(*batch), None
            else:
                vectors, texts = self.embedder.embed_with_text(*batch)
        return [
            QueryEmbedding(
                name,
                vectors[row : row + 1],
                one.sha256,
                text=None if texts is None else texts[row : row + 1],
            )
            for row, (name, one) in enumerate(zip(names, found, strict=True))
        ]

    # -- what it holds -------------------------------------------------------

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
        return self._model.embedder

    @property
    def loaded(self) -> Embedder | None:
        """The same, if it is loaded."""
        return self._model.loaded

    def lend(self, embedder: Embedder) -> None:
        """Have it use one that is loaded already, if that is the one that made it."""
        self._model.lend(embedder)

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
        self._model.weights = file
        if (named := os.path.abspath(file)) != self.about.weights_file:
            self.backend.set_about(replace(self.about, weights_file=named))

    @property
    def unfinished(self) -> bool:
        """Whether it is a copy that is not whole, or was not verified (see `copy_store`)."""
        with self.catalog.reading() as reader:
            return (state := reader.copy_state) is not None and state.unfinished

    def roots(self) -> list[bytes]:
        """Absolute paths of the folders that it was built from."""
        with self.catalog.reading() as reader:
            return reader.roots()

    def info(self) -> dict[str, Any]:
        """What made the store, what it holds and what it takes on disk (bytes); JSON values."""
        with self.catalog.reading() as reader:
            return about_store(self.backend, reader)

    # -- the derived index -----------------------------------------------------

    def save_index(self, progress: Progress | None = None, *, afresh: bool = False) -> None:
        """Bring each FAISS file up to the catalog, or make the one that now suits it; only for the
        store's one writer.

        Args:
            afresh: see `IndexBuilder.build`.

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
        return self._model.lens


def _require_k(k: int) -> None:
    if k < 1:
        raise UsageError(f"k is {k}; ask for at least 1 picture")
