"""clip-retrieval's layout: numbered files of embeddings, each with one of metadata beside it.

img_emb/img_emb_0.npy          (n, d) float
metadata/metadata_0.parquet    n rows: image_path, and whatever else was known
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core import npy
from ...core.atomic_files import sync_file, sync_folder
from ...core.errors import DataError
from ...core.names import shown
from .extracts import ExportBatch
from .npz import begin_npy
from .parquet import ParquetFile, columns, shape_of

EMBEDDINGS, METADATA = "img_emb", "metadata"

_PATHS = (
    *("image_path", "path", "file_path", "filepath", "img_path", "file_name", "filename", "file"),
    *("local_path", "relative_path", "image_file", "image_filename", "image_name", "image", "img"),
)
_ADDRESSES = (
    *("url", "image_url", "img_url", "image_uri", "uri", "image_link", "link", "href", "src"),
)
_KEYS = ("key", "__key__", "image_key", "id", "image_id", "uid", "hash", "md5", "sha256")
_TEXT = re.compile("(large_)?string|dictionary|u?int")
_RAW = "raw_paths"
"""Our own: bytes of all paths."""

PER_SHARD = 1_000_000
"""Rows a file, as clip-retrieval has it by default."""


def write_shards(
    folder: Path,
    parts: Iterable[ExportBatch],
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
    """Batches of an export, cut to any number of rows."""

    def __init__(self, parts: Iterator[ExportBatch]) -> None:
        self._parts = parts
        self._rest: ExportBatch | None = None

    def take(self, rows: int) -> Iterator[ExportBatch]:
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


class MetadataRow(NamedTuple):
    """What the metadata says of where a picture is; None where it doesn't."""

    path: str | bytes | None
    address: str | None
    number: int
    """Of the row in its shard, from 0."""


@dataclass(frozen=True)
class Shard:
    """One file of embeddings and the metadata beside it."""

    number: int
    embeddings: NDArray[Any]
    """(n, d) of any float, mapped."""
    metadata: Path
    paths: tuple[str, ...]
    """Names of the columns that may say a path, the likeliest first."""
    addresses: tuple[str, ...]
    """The same of addresses."""

    def rows(self, at_most: int) -> Iterator[tuple[NDArray[np.float32], list[MetadataRow]]]:
        """Embeddings (m, d) and what is said of each, at most so many at a time.

        Raises:
            DataError: the metadata can't be read.
        """
        start = 0
        for rows in self.metadata_rows(at_most):
            yield np.asarray(self.embeddings[start : start + len(rows)], np.float32), rows
            start += len(rows)

    def metadata_rows(self, at_most: int) -> Iterator[list[MetadataRow]]:
        """What is said of each picture, at most so many at a time.

        Raises:
            DataError: the metadata can't be read.
        """
        start = 0
        for some in columns(self.metadata, [*self.paths, *self.addresses], at_most):
            yield [
                MetadataRow(_first(row, self.paths), _first(row, self.addresses), start + number)  # type: ignore[arg-type]
                for number, row in enumerate(some)
            ]
            start += len(some)


def _first(row: dict[str, Any], names: Sequence[str]) -> str | bytes | None:
    """The first of these columns that says anything."""
    for name in names:
        value = row[name]
        if isinstance(value, list):
            value = value[0] if value else None
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)  # a key
        if isinstance(value, (str, bytes)) and value:
            return value
    return None


def shards_in(folder: Path) -> list[Shard]:
    """What is in a folder of this layout, in order of number, found to fit together.

    Raises:
        DataError: it is none, or is damaged; says which file.
        TllError: pyarrow isn't installed.
    """
    embeddings = _numbered(folder, EMBEDDINGS, ".npy")
    metadata = _numbered(folder, METADATA, ".parquet")
    for number in sorted(embeddings.keys() ^ metadata.keys()):
        there = embeddings.get(number) or metadata[number]
        missing = METADATA if number in embeddings else EMBEDDINGS
        ending = ".parquet" if missing == METADATA else ".npy"
        raise DataError(
            f"{shown(there)} has no other half: {shown(folder / missing)} holds no file with the "
            f"number {number}, such as {missing}_{number}{ending}"
        )
    shards = [_shard(n, embeddings[n], metadata[n]) for n in sorted(embeddings)]
    for shard in shards:
        if shard.embeddings.shape[1] != shards[0].embeddings.shape[1]:
            raise DataError(
                f"{shown(embeddings[shard.number])} has {shard.embeddings.shape[1]} values a row, "
                f"others {shards[0].embeddings.shape[1]}"
            )
    return shards


def _shard(number: int, embeddings: Path, metadata: Path) -> Shard:
    array = _mapped(embeddings)
    rows, types = shape_of(metadata)
    # Where a column `image` holds whole pictures, it is not read.
    names = [name for name, kind in types.items() if name == _RAW or _TEXT.match(kind)]
    paths, addresses, keys = (
        _called(names, known) for known in ((_RAW, *_PATHS), _ADDRESSES, _KEYS)
    )
    if not (paths or addresses or keys):
        raise DataError(
            f"{shown(metadata)} has no column that says where a picture is, such as image_path, "
            f"url or key; it has {', '.join(map(shown, [*types][:8])) or 'none'}"
        )
    if rows != len(array):
        raise DataError(f"{shown(metadata)} has {rows:,} rows for {len(array):,} embeddings")
    return Shard(number, array, metadata, (*paths, *keys), tuple(addresses))


def _called(names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Those of a file's columns that are called like one of `known`, in that order, in letters of
    any case and with whatever between words."""

    def plain(name: str) -> str:
        return re.sub(r"[\W_]", "", name).lower()

    # A name as it is comes before one that is only like it.
    exactly = [name for name in known if name in names]
    alike = [name for one in known for name in names if plain(name) == plain(one)]
    wanted = list(map(plain, known))
    return sorted(dict.fromkeys([*exactly, *alike]), key=lambda name: wanted.index(plain(name)))


def _numbered(folder: Path, name: str, ending: str) -> dict[int, Path]:
    """The files in a folder of the layout whose name ends with a number, by that.

    Raises:
        DataError: there is no such folder, or no such file in it.
    """
    found: dict[int, Path] = {}
    inside = folder / name
    for one in _names_in(inside):
        if match := re.fullmatch(rf".*?([0-9]{{1,9}}){re.escape(ending)}", one):
            if int(match[1]) in found:
                raise DataError(f"{shown(inside)} has two files number {int(match[1])}")
            found[int(match[1])] = inside / one
    if not found:
        raise DataError(f"{shown(folder)} {_why_not(folder, name, ending)}")
    return found


def _why_not(folder: Path, name: str, ending: str) -> str:
    """Why a folder is not in this layout, and what was perhaps meant."""
    if not os.access(folder, os.R_OK | os.X_OK):
        return "does not exist, or may not be read"
    inside = _names_in(folder)
    wanted = f"is not in clip-retrieval's layout: it has no {name}/{name}_0{ending}"
    if name in inside:
        others = sorted({os.path.splitext(one)[1] or one for one in _names_in(folder / name)})
        held = ", ".join(map(shown, others[:4])) or "nothing"
        return f"{wanted}; {name} holds {held}"
    if any(one.endswith((".npy", ".parquet")) for one in inside):
        return (
            f"{wanted}; its files lie in two folders, {EMBEDDINGS} for .npy and {METADATA} for "
            ".parquet, and the folder above both is named"
        )
    holding = [
        one for one in inside if any(two.endswith(ending) for two in _names_in(folder / one))
    ]
    return f"{wanted}" + (f"; is it {shown(holding[0])}? Call that {name}" if holding else "")


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except OSError:
        return []


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
