"""A store's vectors and metadata in files that other tools read."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ...core.atomic_files import destination_for, new_folder, replace_file
from ...core.config import Settings, load_settings
from ...core.errors import TllError, UsageError
from ...core.names import shown
from ...core.progress import Progress
from ...core.version import __version__
from ..store.store import Store
from . import clip_retrieval
from .extracts import Extract
from .npz import write_npz
from .parquet import ParquetFile, parquet

Vectors = Literal["looks", "stored"]
Layout = Literal["parquet", "npz", "clip-retrieval"]


@dataclass(frozen=True)
class Exported:
    """What was written."""

    path: Path
    """Absolute."""
    rows: int
    """Pictures; in clip-retrieval's layout paths."""
    dimension: int


def export(
    destination: str | os.PathLike[str],
    *,
    store: str | os.PathLike[str] | None = None,
    layout: Layout | None = None,
    vectors: Vectors = "looks",
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> Exported:
    """Write the vectors and metadata of all pictures, as they are at one moment, into a file (which
    may be there already) or a new folder. It appears whole or not at all; docs/exchange.md says
    what is in it.

    Args:
        destination: what ends with `.parquet` or `.npz` is written so.
        store: its folder; None as in `Store.open`.
        layout: 'clip-retrieval' for a folder; None goes by the destination's ending.
        vectors: 'looks': gallery embeddings, the cosine of two being how much they look alike;
            'stored': what the store keeps, which with hubness correction is 2 values longer, and
            only of use with query embeddings of the same lens.

    Raises:
        UsageError: no such layout, or the destination can't be one.
        TllError: pyarrow isn't installed, or the file can't be written.
        StoreError: the store can't be opened, or is damaged.
    """
    layout = layout or _layout_of(destination)
    if layout not in ("parquet", "npz", "clip-retrieval") or vectors not in ("looks", "stored"):
        raise UsageError(f"there is no layout {layout!r} with vectors {vectors!r}")
    if layout != "npz":
        parquet("Parquet")  # before anything is begun
    path = destination_for(destination, new=layout == "clip-retrieval")
    settings = settings or load_settings()
    with Store.open(store, settings=settings) as opened, opened.catalog.reading() as reader:
        about = opened.about
        lens = opened.lens if vectors == "looks" else None
        dimension = about.dimension if lens is None else lens.width
        extract = Extract(reader, lens, dimension, progress or Progress())
        said = {
            "made_with": f"tll-index {__version__}",
            "store": about.id.hex(),
            "made_by": about.made_by.document(),
            "vectors": vectors,
        }
        rows = extract.paths if layout == "clip-retrieval" else extract.images
        try:
            _write(path, layout, extract, (rows, dimension), said)
        except OSError as error:
            why = error.strerror or str(error)
            raise TllError(f"{shown(path)} can't be written: {why}") from None
    return Exported(path, rows, dimension)


def _layout_of(destination: str | os.PathLike[str]) -> Layout:
    ending = os.path.splitext(os.fsdecode(destination))[1].lower()
    if ending == ".parquet":
        return "parquet"
    if ending == ".npz":
        return "npz"
    raise UsageError(
        f"{shown(os.fsencode(destination))} ends with neither .parquet nor .npz; for a folder say "
        "--layout clip-retrieval"
    )


def _write(
    path: Path, layout: Layout, extract: Extract, shape: tuple[int, int], about: dict[str, Any]
) -> None:
    if layout == "clip-retrieval":
        with new_folder(path) as folder:
            clip_retrieval.write_shards(
                folder, extract.parts(), shape, about, clip_retrieval.PER_SHARD
            )
        return

    def write(new: Path) -> None:
        if layout == "npz":
            write_npz(new, extract.parts(), shape, about)
            return
        with ParquetFile(new, about, shape[1]) as table:
            for part in extract.parts():
                table.add(part)

    replace_file(path, write)
