"""Parquet: metadata and vectors as columns, written part by part. Needs pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

from ...core.errors import DataError
from ...core.extras import extra
from ...core.names import shown
from .extracts import ExportBatch


def parquet(what: str) -> Any:
    """The library.

    Raises:
        TllError: it isn't installed; `what` begins the sentence.
    """
    return extra("pyarrow.parquet", "tables", what)


class ParquetFile:
    """A Parquet file with a row for each row of the batches that are added. Use it in `with`."""

    def __init__(
        self, path: Path, about: dict[str, Any], dimension: int = 0, path_column: str = "path"
    ) -> None:
        """
        Args:
            about: goes into the schema's metadata as JSON, under `tll_index`.
            dimension: of the column `vector`; 0 for none.
            path_column: what the column with the first path is called.

        Raises:
            TllError: pyarrow isn't installed.
            OSError
        """
        self._parquet = parquet("Parquet")
        self._arrow = extra("pyarrow", "tables", "Parquet")
        self._path_column = path_column
        self._dimension = dimension
        a = self._arrow
        fields = [
            (path_column, a.string()),
            ("id", a.string()),
            ("paths", a.list_(a.string())),
            ("raw_paths", a.list_(a.binary())),
            ("is_link", a.list_(a.bool_())),
            ("width", a.int32()),
            ("height", a.int32()),
            ("format", a.string()),
            ("file_bytes", a.int64()),
        ]
        if dimension:
            fields.append(("vector", a.list_(a.float32(), dimension)))
        self._schema = a.schema(fields, {"tll_index": json.dumps(about)})
        self._writer = self._parquet.ParquetWriter(path, self._schema, compression="zstd")

    def __enter__(self) -> ParquetFile:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.close()

    def add(self, part: ExportBatch) -> None:
        """Write some rows, as a row group of their own.

        Raises:
            OSError
        """
        texts = [[_text(path) for path in paths] for paths in part.paths]
        columns: dict[str, Any] = {
            self._path_column: [paths[0] for paths in texts],
            "id": [record.sha256 for record in part.records],
            "paths": texts,
            "raw_paths": [None if all(map(_is_text, paths)) else paths for paths in part.paths],
            "is_link": part.links,
            "width": [record.width for record in part.records],
            "height": [record.height for record in part.records],
            "format": [record.format for record in part.records],
            "file_bytes": [record.file_bytes for record in part.records],
        }
        if self._dimension:
            flat = self._arrow.array(part.vectors.ravel())
            columns["vector"] = self._arrow.FixedSizeListArray.from_arrays(flat, self._dimension)
        self._writer.write_table(self._arrow.table(columns, self._schema))


def shape_of(path: Path) -> tuple[int, dict[str, str]]:
    """How many rows a file has, and the types of its columns by name, as Arrow spells them.

    Raises:
        DataError: it can't be read.
    """
    with _reading(path) as file:
        return int(file.metadata.num_rows), {one.name: str(one.type) for one in file.schema_arrow}


def columns(path: Path, names: Sequence[str], at_most: int) -> Iterator[list[dict[str, Any]]]:
    """The rows of a file, at most so many at a time: of each the columns of these names.

    Raises:
        DataError: it can't be read.
    """
    with _reading(path) as file:
        for batch in file.iter_batches(batch_size=at_most, columns=list(names)):
            yield batch.to_pylist()


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    file_type = parquet("Parquet").ParquetFile
    arrow = extra("pyarrow", "tables", "Parquet")
    try:
        with file_type(path) as file:
            yield file
    except (OSError, arrow.ArrowException, UnicodeDecodeError) as error:
        what = " ".join(str(error).split())[:200]
        raise DataError(f"{shown(path)} can't be read: {what}") from None


def _text(path: bytes) -> str:
    r"""Parquet's text is UTF-8: stray bytes become \xff; `raw_paths` has them as they are."""
    return path.decode("utf-8", "backslashreplace")


def _is_text(path: bytes) -> bool:
    try:
        path.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
