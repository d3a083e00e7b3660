"""clip-retrieval's layout: numbered files of embeddings, each with one of metadata beside it.

img_emb/img_emb_0.npy          (n, d) float
metadata/metadata_0.parquet    n rows: image_path, and whatever else was known
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .arrays import begin_npy
from .extracts import Part
from .files import sync_file, sync_folder
from .tables import ParquetFile

EMBEDDINGS, METADATA = "img_emb", "metadata"

PER_SHARD = 1_000_000
"""Rows a file, as clip-retrieval has it by default."""


def write_shards(
    folder: Path,
    parts: Iterable[Part],
    shape: tuple[int, int],
    about: dict[str, Any],
    per_shard: int,
) -> None:
    """Write one row for each path of the parts.

    Args:
        folder: an empty one.
        shape: of all embeddings together.

    Raises:
        TllError: pyarrow isn't installed.
        OSError
    """
    rows, dimension = shape
    for name in (EMBEDDINGS, METADATA):
        (folder / name).mkdir()
    digits = len(str(max(0, rows - 1) // per_shard))
    ahead = _Ahead(part.by_path() for part in parts)
    for number, start in enumerate(range(0, max(rows, 1), per_shard)):
        count = min(per_shard, rows - start)
        embeddings = folder / EMBEDDINGS / f"{EMBEDDINGS}_{number:0{digits}}.npy"
        metadata = folder / METADATA / f"{METADATA}_{number:0{digits}}.parquet"
        with embeddings.open("wb") as file, ParquetFile(metadata, about, 0, "image_path") as table:
            begin_npy(file, (count, dimension), "<f4")
            for part in ahead.take(count):
                file.write(np.ascontiguousarray(part.vectors, "<f4").data)
                table.add(part)
        for path in (embeddings, metadata):
            sync_file(path)
    for _ in ahead.take(1):  # to its end, where it is compared with what was promised
        raise AssertionError("more rows than were promised")
    for name in (EMBEDDINGS, METADATA):
        sync_folder(folder / name)


class _Ahead:
    """Parts, cut to any number of rows."""

    def __init__(self, parts: Iterator[Part]) -> None:
        self._parts = parts
        self._rest: Part | None = None

    def take(self, rows: int) -> Iterator[Part]:
        """The next so many rows, or what is left."""
        while rows:
            part = self._rest or next(self._parts, None)
            if part is None:
                return
            cut = part[:rows]
            self._rest = part[rows:] if len(part) > rows else None
            rows -= len(cut)
            if len(cut):
                yield cut
