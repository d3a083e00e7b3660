"""What goes over the network in a build on several machines: names one way, vectors the other.

Both are Arrow tables with a row for each file. Paths and messages travel as bytes, so that any name
that a file system can hold survives.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ...core import errors
from ...core.contracts import UnitVectors
from ...core.errors import PictureError, TllError
from ...core.extras import extra
from ...engine.images.decode import Picture
from ..decoding.pipeline import File, Prepared
from ..scan.walk import FileState

_FAILURES = {kind.__name__: kind for kind in PictureError.__subclasses__()}
_NO_PIXELS = np.empty((0, 0, 3), np.uint8)
_UTF8 = ("utf-8", "surrogatepass")
_BROKEN = -1
"""The number of a row that is about no file: the worker itself can't go on."""


class ThereError(Exception):
    """The traceback of a worker's error, for those who want to see it."""


@dataclass(frozen=True)
class FileTask:
    """A file to read, as a worker gets it."""

    number: int
    """By which the result is recognised."""
    file: File
    known: bytes
    """SHA-256 of what the catalog has of it; empty where that is nothing."""


def task_table(tasks: Sequence[FileTask]) -> Any:
    """A `pyarrow.Table` for a worker."""
    arrow = _arrow()
    return arrow.table(
        {
            "number": arrow.array([one.number for one in tasks], arrow.int64()),
            "folder": arrow.array([one.file.folder for one in tasks], arrow.binary()),
            "name": arrow.array([one.file.name for one in tasks], arrow.binary()),
            "known": arrow.array([one.known for one in tasks], arrow.binary()),
        }
    )


def tasks_of(table: Any) -> list[FileTask]:
    """What `task_table` was made of, but for the states of files: a worker reads its own."""
    return [
        FileTask(
            row["number"], File(row["folder"], row["name"], FileState(0, 0), True), row["known"]
        )
        for row in table.to_pylist()
    ]


def result_table(results: Sequence[tuple[int, Prepared]]) -> Any:
    """A `pyarrow.Table` for the driver. Files with a picture have vectors as well; pixels stay."""
    return _table(_result_row(number, prepared) for number, prepared in results)


def broken_table(kind: str, message: str) -> Any:
    """The same from a worker that can't work.

    Args:
        kind: the name of one of our errors; empty for what is none of ours.
        message: one line; what follows it is a traceback.
    """
    return _table(
        [{**_NOTHING, "number": _BROKEN, "error": kind, "message": message.encode(*_UTF8)}]
    )


def results_of(table: Any, files: Mapping[int, File]) -> Iterator[tuple[int, Prepared]]:
    """What `result_table` was made of.

    Args:
        files: by number, those that were handed out and have no result yet; results of others are
            left out.

    Raises:
        TllError: a worker can't work.
    """
    for row in table.to_pylist():
        if (number := row["number"]) == _BROKEN:
            message, _, traceback = row["message"].decode(*_UTF8).partition("\n")
            kind = getattr(errors, row["error"], TllError) if row["error"] else TllError
            raise kind(message) from (ThereError(traceback) if traceback else None)
        if (file := files.get(number)) is not None:
            yield number, _prepared(row, file)


# -- rows --------------------------------------------------------------------

_NOTHING: dict[str, Any] = {
    **{"sha256": b"", "bytes": 0, "size": 0, "mtime_ns": 0},
    **{"width": 0, "height": 0, "format": "", "vectors": [], "error": "", "message": b""},
}


def _result_row(number: int, prepared: Prepared) -> dict[str, Any]:
    row = {
        **_NOTHING,
        "number": number,
        "sha256": prepared.sha256,
        "bytes": prepared.file_bytes,
        "size": prepared.file.state.size,
        "mtime_ns": prepared.file.state.mtime_ns,
    }
    if (picture := prepared.picture) is not None:
        row |= {"width": picture.width, "height": picture.height, "format": picture.format}
        row["vectors"] = [np.asarray(one, "<f4").tobytes() for one in prepared.vectors]
    if (error := prepared.error) is not None:
        row |= {"error": type(error).__name__, "message": error.message.encode(*_UTF8)}
    return row


def _prepared(row: Mapping[str, Any], file: File) -> Prepared:
    if row["error"]:
        kind = _FAILURES[row["error"]]
        error = kind(row["message"].decode(*_UTF8), file.path)
        if not row["sha256"]:  # it was not read: what is known of it is what the walk saw
            return Prepared(file, error=error)
    else:
        error = None
    file = replace(file, state=FileState(row["size"], row["mtime_ns"]))
    picture, vectors = None, tuple(_vector(one) for one in row["vectors"])
    if vectors:
        picture = Picture(_NO_PIXELS, row["width"], row["height"], row["format"])
    return Prepared(file, row["sha256"], row["bytes"], picture, error, vectors)


def _vector(data: bytes) -> UnitVectors:
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False)


def _table(rows: Any) -> Any:
    arrow = _arrow()
    binary, number, text = arrow.binary(), arrow.int64(), arrow.string()
    kinds = {
        **{"number": number, "sha256": binary, "bytes": number, "size": number},
        **{"mtime_ns": number, "width": number, "height": number, "format": text},
        **{"vectors": arrow.list_(binary), "error": text, "message": binary},
    }
    return arrow.Table.from_pylist(list(rows), schema=arrow.schema(list(kinds.items())))


def _arrow() -> Any:
    return extra("pyarrow", "ray", "a build on Ray")
