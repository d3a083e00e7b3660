"""Arrays of any length into .npy and .npz files, row by row: nothing is held in memory."""

from __future__ import annotations

import json
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .extracts import ExportBatch

_COLUMNS: dict[str, str] = {
    "id": "S64",
    "width": "<i4",
    "height": "<i4",
    "format": "S16",
    "file_bytes": "<i8",
    "paths": "u1",
    "path_ends": "<i8",
    "path_rows": "<i8",
    "path_is_link": "?",
}
"""What an .npz file holds beside `vectors`, and of which dtype: see `_Columns.of`."""


def begin_npy(file: IO[bytes], shape: tuple[int, ...], dtype: DTypeLike) -> None:
    """Write the head of a .npy file; the array's bytes follow it."""
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)


def write_npz(
    path: Path, parts: Iterable[ExportBatch], shape: tuple[int, int], about: dict[str, Any]
) -> None:
    """Write `vectors` of that shape and a column for each of `_COLUMNS`, without pickles.

    Raises:
        OSError
    """
    lengths = dict.fromkeys(_COLUMNS, 0)
    made = _Columns()
    with ExitStack() as stack:
        archive = stack.enter_context(zipfile.ZipFile(path, "w", zipfile.ZIP_STORED))
        spools = {
            name: stack.enter_context(tempfile.TemporaryFile(dir=path.parent)) for name in _COLUMNS
        }
        with _member(archive, "vectors") as file:
            begin_npy(file, shape, "<f4")
            for part in parts:
                file.write(np.ascontiguousarray(part.vectors, "<f4").data)
                for name, column in made.of(part).items():
                    spools[name].write(column.tobytes())
                    lengths[name] += len(column)
        for name, spool in spools.items():
            spool.seek(0)
            with _member(archive, name) as file:
                begin_npy(file, (lengths[name],), _COLUMNS[name])
                shutil.copyfileobj(spool, file, 1 << 20)
        text = np.frombuffer(json.dumps(about).encode(), np.uint8)
        with _member(archive, "about") as file:
            np.lib.format.write_array(file, text, allow_pickle=False)


def _member(archive: zipfile.ZipFile, name: str) -> IO[bytes]:
    return archive.open(f"{name}.npy", "w", force_zip64=True)


class _Columns:
    """Metadata as arrays, batch after batch."""

    def __init__(self) -> None:
        self._rows = 0
        self._bytes = 0

    def of(self, part: ExportBatch) -> dict[str, NDArray[Any]]:
        """`paths` holds the bytes of all paths, one after the other; of the i-th, `path_ends[i]` is
        where it ends, `path_rows[i]` the row of the picture that it shows, and `path_is_link[i]`
        whether it leads to the file of a path before it."""
        paths = [path for some in part.paths for path in some]
        times = [len(some) for some in part.paths]
        path_ends = self._bytes + np.cumsum([len(path) for path in paths], dtype=np.int64)
        path_rows = np.repeat(self._rows + np.arange(len(times)), times)
        self._rows += len(times)
        self._bytes += sum(map(len, paths))
        found = {
            "id": [record.sha256 for record in part.records],
            "width": [record.width for record in part.records],
            "height": [record.height for record in part.records],
            "format": [record.format for record in part.records],
            "file_bytes": [record.file_bytes for record in part.records],
            "paths": np.frombuffer(b"".join(paths), np.uint8),
            "path_ends": path_ends,
            "path_rows": path_rows,
            "path_is_link": [link for some in part.links for link in some],
        }
        return {name: np.asarray(found[name], dtype) for name, dtype in _COLUMNS.items()}
