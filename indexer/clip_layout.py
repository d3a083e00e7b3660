"""clip-retrieval's layout: numbered files of embeddings, each with one of metadata beside it.

img_emb/img_emb_0.npy          (n, d) float
metadata/metadata_0.parquet    n rows: image_path, and whatever else was known
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..engine import npy
from ..errors import DataError
from ..names import shown
from .arrays import begin_npy
from .extracts import Part
from .files import sync_file, sync_folder
from .tables import ParquetFile, rows_in, text_columns

EMBEDDINGS, METADATA = "img_emb", "metadata"

_COLUMNS = ("image_path", "raw_paths", "url")
"""That say where a picture is; `raw_paths` is our own."""

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


# -- reading -------------------------------------------------------------------


@dataclass(frozen=True)
class Shard:
    """One file of embeddings and the metadata beside it."""

    embeddings: NDArray[Any]
    """(n, d) of any float, mapped."""
    metadata: Path

    def rows(self, at_most: int) -> Iterator[tuple[NDArray[np.float32], list[dict[str, Any]]]]:
        """Embeddings (m, d) and what `text_columns` says of each, at most so many at a time.

        Raises:
            DataError: the metadata can't be read.
        """
        start = 0
        for rows in text_columns(self.metadata, _COLUMNS, at_most):
            yield np.asarray(self.embeddings[start : start + len(rows)], np.float32), rows
            start += len(rows)


def shards_in(folder: Path) -> list[Shard]:
    """What is in a folder of this layout, in order of number, found to fit together.

    Raises:
        DataError: it is none, or is damaged; says which file.
        TllError: pyarrow isn't installed.
    """
    embeddings = _numbered(folder / EMBEDDINGS, ".npy")
    metadata = _numbered(folder / METADATA, ".parquet")
    if not embeddings:
        raise DataError(
            f"{shown(folder)} is not in clip-retrieval's layout: it has no "
            f"{EMBEDDINGS}/{EMBEDDINGS}_0.npy"
        )
    if alone := sorted(embeddings.keys() ^ metadata.keys()):
        raise DataError(f"{shown(folder)}: number {alone[0]} is in only one of its two folders")
    shards = [Shard(_mapped(embeddings[n]), metadata[n]) for n in sorted(embeddings)]
    for number, shard in zip(sorted(embeddings), shards, strict=True):
        if shard.embeddings.shape[1] != shards[0].embeddings.shape[1]:
            raise DataError(
                f"{shown(embeddings[number])} has {shard.embeddings.shape[1]} values a row, others "
                f"{shards[0].embeddings.shape[1]}"
            )
        rows, wanted = rows_in(shard.metadata, _COLUMNS), len(shard.embeddings)
        if rows != wanted:
            raise DataError(f"{shown(shard.metadata)} has {rows:,} rows for {wanted:,} embeddings")
    return shards


def _numbered(folder: Path, ending: str) -> dict[int, Path]:
    """The files in `folder` whose name ends with a number, by that."""
    found: dict[int, Path] = {}
    for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
        if match := re.fullmatch(rf".*?([0-9]{{1,9}}){re.escape(ending)}", name):
            if int(match[1]) in found:
                raise DataError(f"{shown(folder)} has two files number {int(match[1])}")
            found[int(match[1])] = folder / name
    return found


def _mapped(path: Path) -> NDArray[Any]:
    try:
        array = npy.load(path, mmap_mode="r")
    except (OSError, ValueError) as error:
        raise DataError(f"{shown(path)} can't be read: {error}") from None
    if array.ndim != 2 or array.dtype.kind != "f":
        raise DataError(f"{shown(path)} holds no (n, d) array of floats")
    if array.shape[1] < 1:
        raise DataError(f"{shown(path)} holds vectors of no values")
    return array
