"""Embeddings that were made elsewhere, in clip-retrieval's layout, into a store."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np

from ...core.config import Settings, load_settings
from ...core.errors import (
    DataError,
    MissingPictureError,
    PictureError,
    StoreMismatchError,
    UsageError,
)
from ...core.names import shown
from ...core.paths import is_folder, named, why_hidden
from ...core.progress import Progress
from ...engine.backbones.registry import spec_of
from ...engine.images.batches import batch_of
from ...engine.images.decode import Geometry, Limits
from ...engine.images.file_bytes import FileBytes, read_file
from ...engine.images.sources import decoded_source
from ...engine.lens.embedder import Embedder, load_embedder
from ...engine.lens.identity import ModelIdentity, difference
from ...engine.lens.lens import Lens
from ...engine.remote.urls import is_address, is_secret
from ..backends.layout import location_to_build
from ..backends.metadata import IMPORTED
from ..catalog.base import Writer
from ..decoding.decoder_process import Decoder
from ..decoding.pipeline import Pipeline, Prepared
from ..ingest.background_indexer import BackgroundIndexer
from ..maintenance.forget import settle
from ..scan.walk import LONGEST_NAME, FileState, absolute
from ..store import resolve
from ..store.create import create_store
from ..store.store import Store
from .clip_retrieval import MetadataRow, Shard, shards_in
from .imported_rows import Imported, ImportedRow, record_rows

_ROWS = 1024
"""At a time, and a transaction."""
_COMPARED, _ALIKE = 16, 0.99
"""Pictures that are embedded here to see whether a backbone made the vectors, and the least cosine
between the two of each."""
_SMALL = Geometry(size=32, fit="squash")
"""To which pictures are decoded of which only the true size is wanted."""


def import_embeddings(
    folder: str | os.PathLike[str],
    *,
    store: str | os.PathLike[str] | None = None,
    backbone: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    model: str = "",
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> Imported:
    """Put embeddings in clip-retrieval's layout (`img_emb/*.npy`, `metadata/*.parquet`) into a
    store. Vectors are scaled to length 1. Files that are there are read, for their SHA-256 and
    size; a picture whose file isn't is known by its path or address alone. Where keys begin anew in
    each file, no row is lost: see `Imported.renamed`. Run again, it goes on.

    Args:
        folder: holds `img_emb` and `metadata`. Relative paths in it are relative to here.
        store: its folder, made where there is none; None as in `build`.
        backbone: registry name of what made them, the embedding being its last layer, such as
            CLIP's joint one. Some pictures are embedded here to see whether that is so. The store
            then is one like others, and can be searched with any picture. None: nothing here made
            them, and it can be searched with its own pictures and with vectors.
        weights: file of the backbone's weights, where it isn't the one that is found.
        model: without `backbone`, what made them, as free text. Stores of one `model` can be
        merged.

    Raises:
        DataError: the folder is not in that layout, or can't be read.
        StoreMismatchError: the store's vectors are of another kind, or not the backbone's.
        UsageError: there is no such backbone, or `model` is given as well; or an address is signed,
            or holds credentials: nothing is imported then.
        TllError: pyarrow isn't installed.
    """
    if backbone is not None and model:
        raise UsageError("--backbone says what made the vectors: leave --model out")
    settings = settings or load_settings()
    progress = progress or Progress()
    source = Path(os.path.abspath(named(folder)))
    _require_open(source)
    shards = shards_in(source)
    _require_unsigned(shards)
    dimension = int(shards[0].embeddings.shape[1])
    origin = f"imported from {source.name} in clip-retrieval's layout"
    weights_file = None if weights is None else named(weights)
    if backbone is None:
        made_by, lens = _made_elsewhere(model, dimension), Lens(IMPORTED, dimension)
    else:
        embedder = _joint(backbone, dimension, weights_file, settings)
        origin += f", {_compared(shards, embedder, settings)}"
        made_by, lens = embedder.identity, embedder.lens
    path = location_to_build(store, settings)
    with ExitStack() as stack:
        there = resolve.is_there(path)
        known = stack.enter_context(Store.open(path, settings=settings)) if there else None
        if known is not None:
            _require_alike(known, made_by, model)
        stack.enter_context(resolve.only_writer(path))
        if known is None:
            about = create_store(path, made_by, lens, settings, weights_file, origin)
            known = stack.enter_context(Store(about, settings))
        else:
            settle(known, progress)
        known.indexes.remember_wanted()
        return _take_in(known, shards, settings, progress)


def _require_open(source: Path) -> None:
    """Refuse a layout that is there and can't be looked into.

    Raises:
        DataError: says why.
    """
    for folder in (source, source / "img_emb", source / "metadata"):
        why = why_hidden(folder / ".")
        if why or (is_folder(folder) and not os.access(folder, os.R_OK | os.X_OK)):
            raise DataError(f"{shown(folder)} can't be read: {why or 'Permission denied'}")


def _made_elsewhere(model: str, dimension: int) -> ModelIdentity:
    """What takes the place of an embedder's identity. Vectors of which nobody says what made them
    are like no others."""
    said = model or f"unknown ({uuid.uuid4().hex[:12]})"
    return ModelIdentity(IMPORTED, None, None, dimension, recipe={"model": said})


def _joint(backbone: str, dimension: int, weights: Path | None, settings: Settings) -> Embedder:
    """The embedder whose vectors are the backbone's last layer alone."""
    spec = spec_of(backbone)
    view, last = list(spec.pooled())[-1]
    width = last.width
    if width != dimension or view is not None:
        raise StoreMismatchError(
            f"the embeddings have {dimension} values, the last layer of {backbone} {width}"
            f"{' for each of its views' * (view is not None)}: it did not make them"
        )
    picking = np.zeros((width, spec.dimension), np.float32)
    picking[:, -width:] = np.eye(width, dtype=np.float32)
    lens = Lens(
        backbone,
        spec.dimension,
        spec.layout,
        adaptation=picking,
        provenance={"made": "for imported embeddings: the last layer alone"},
    )
    return load_embedder(backbone, settings, weights=weights, lens=lens)


def _compared(shards: Sequence[Shard], embedder: Embedder, settings: Settings) -> str:
    """Embed some of the pictures here, and say how that compares.

    Raises:
        StoreMismatchError: other vectors come out.
        DataError: no picture is here.
    """
    geometry, limits = embedder.backbone.spec.geometry, Limits.of(settings)
    cosines: list[float] = []
    for row in _rows(shards, Imported()):
        if is_address(row.path):
            continue  # there may be as many hosts as rows
        try:
            picture = decoded_source(os.fsdecode(row.path), geometry, limits).picture
        except PictureError:
            continue
        cosines.append(float(embedder.embed(*batch_of([picture]))[0] @ row.vector))
        if len(cosines) == _COMPARED:
            break
    name = embedder.backbone.spec.name
    if not cosines:
        raise DataError(
            f"no picture is here to check whether {name} made the embeddings; without --backbone "
            "they can still be imported"
        )
    if (least := min(cosines)) < _ALIKE:
        raise StoreMismatchError(
            f"{name} did not make these embeddings: with its weights here, pictures get different "
            f"ones (cosine {least:.3f}, {_ALIKE} is wanted); without --backbone they can still be "
            "imported"
        )
    return f"as {name} makes them (cosine {least:.4f} or more for {len(cosines)} pictures)"


def _require_alike(store: Store, made_by: ModelIdentity, model: str) -> None:
    mine = store.about.made_by
    if store.about.imported and made_by.backbone == IMPORTED and not model:
        made_by = replace(made_by, recipe=mine.recipe)  # to go on needs no name
    if found := difference(mine, made_by):
        raise StoreMismatchError(
            f"{shown(store.location)} was made with another {found.what} ({found.one}, here "
            f"{found.other}); import into another store with --store"
        )
    if store.about.text is not None:
        raise StoreMismatchError(
            f"{shown(store.location)} also keeps text embeddings, which the layout lacks; import "
            "into another store with --store"
        )


def _require_unsigned(shards: Sequence[Shard]) -> None:
    """Refuse all, before anything is stored, where one address would let in whoever reads it.

    Raises:
        UsageError: says which row, and nothing of the address.
    """
    for shard in shards:
        for rows in shard.metadata_rows(_ROWS):
            for row in rows:
                if _is_secret(row.address) or (_is_secret(row.path) and not _is_here(row.path)):
                    raise UsageError(
                        f"{shown(shard.metadata)}, row {row.number} (of 0 to "
                        f"{len(shard.embeddings) - 1:,}): its address is signed or holds "
                        "credentials, and whoever reads the store could use it. Nothing is "
                        "imported; write the addresses without that first"
                    )


def _is_secret(text: str | bytes | None) -> bool:
    return text is not None and is_secret(text)


def _is_here(path: str | bytes | None) -> bool:
    return path is not None and not is_address(path) and os.path.lexists(path)


def _rows(shards: Sequence[Shard], counts: Imported) -> Iterator[ImportedRow]:
    """What can be imported; what can't is counted."""
    for shard in shards:
        for vectors, metadata in shard.rows(_ROWS):
            with np.errstate(over="ignore", invalid="ignore"):
                lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
            for vector, length, row in zip(vectors, lengths.tolist(), metadata, strict=True):
                path = _path_of(row)
                if not np.isfinite(length) or length == 0:
                    counts.refused += 1
                elif path is None:
                    counts.nameless += 1
                else:
                    where, _, name = path.rpartition(b"/")
                    unit = (vector / length).astype(np.float32)
                    now = time.time_ns()
                    of = f"part{shard.number}-row{row.number}"
                    yield ImportedRow(
                        where or b"/", name, FileState(0, 0), True, None, now, unit, of
                    )


def _path_of(row: MetadataRow) -> bytes | None:
    """Where the picture of a row is: a path that is there, else an address, else that path."""
    try:
        path = absolute(row.path) if row.path else None
        if row.address and (path is None or not os.path.lexists(path)):
            path = absolute(row.address)
    except (UsageError, ValueError):  # an address that is none; a null character
        return None
    if path is None or b"\0" in path or (is_address(path) and path.rstrip(b"/").count(b"/") < 3):
        return None
    name = path.rpartition(b"/")[2]
    return path if name and len(name) <= LONGEST_NAME else None


def _take_in(
    store: Store, shards: Sequence[Shard], settings: Settings, progress: Progress
) -> Imported:
    counts = Imported()
    progress.start("importing", sum(len(shard.embeddings) for shard in shards), "rows")
    limits = Limits.of(settings)
    decoders = [
        Decoder(_SMALL, limits, settings.decode_seconds) for _ in range(settings.decoders())
    ]

    def is_known(sha256: bytes) -> bool:
        with store.catalog.reading() as reader:
            return reader.image_of(sha256) is not None

    with (
        BackgroundIndexer(store) as indexer,
        Pipeline(decoders, limits, 4 * len(decoders), read=_read_here) as pipeline,
    ):
        prepared = pipeline.run(_rows(shards, counts), is_known)
        while batch := list(islice(prepared, _ROWS)):

            def record(writer: Writer, batch: Sequence[Prepared] = batch) -> Imported:
                return record_rows(writer, batch)

            came = store.catalog.write(record)
            for name in ("images", "paths", "known", "absent", "nameless", "renamed"):
                setattr(counts, name, getattr(counts, name) + getattr(came, name))
            progress.advance(len(batch))
            indexer.grown()
        store.catalog.remove_orphans()
        indexer.finish(progress)
    return counts


def _read_here(path: bytes, limits: Limits) -> FileBytes:
    """What is on disk. Addresses are not fetched: there may be as many hosts as rows."""
    if is_address(path):
        raise MissingPictureError("an address is not fetched", path)
    return read_file(path, limits)
