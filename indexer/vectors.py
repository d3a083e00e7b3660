"""The FAISS file derived from the catalog: it can be deleted, and is caught up or rebuilt.

`vectors.faiss` is what FAISS writes, then a footer: which store and which state of the catalog it
covers, and a checksum of everything before. A file whose footer is missing, wrong or of another
store is not used.
"""

from __future__ import annotations

import errno
import hashlib
import os
import struct
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np

from ..engine.search import new_index
from ..errors import StoreDamagedError
from .environment import translated
from .files import replace_file
from .reader import Reader

_FOOTER = struct.Struct("<8s16sQ16s32s")  # magic, store id, generation, its token, SHA-256
_MAGIC = b"tllfais1"
_CHUNK = 8192
"""Vectors read from the catalog at a time."""


@dataclass
class VectorFile:
    """An index in memory, and which state of the catalog it covers."""

    index: faiss.IndexIDMap2
    generation: int
    token: bytes
    """Of that generation (see `Reader.token`)."""


def empty(dimension: int) -> VectorFile:
    """Covers no state of any catalog."""
    return VectorFile(new_index(dimension), 0, b"")


def load(path: Path, store_id: bytes, dimension: int) -> VectorFile:
    """The index in `path`; an empty one where the file is missing, torn or not ours."""
    try:
        with path.open("rb") as file:
            generation, token = _check(file.fileno(), store_id)
            index = faiss.read_index(faiss.PyCallbackIOReader(file.read))  # type: ignore[attr-defined]
    except (OSError, RuntimeError, ValueError):
        return empty(dimension)
    if not isinstance(index, faiss.IndexIDMap2) or index.d != dimension:
        return empty(dimension)
    return VectorFile(index, generation, token)


def is_current(path: Path, store_id: bytes, reader: Reader) -> bool:
    """Whether the file is whole and covers what `reader` sees. Reads it, but builds nothing."""
    try:
        with path.open("rb") as file:
            generation, token = _check(file.fileno(), store_id)
    except (OSError, ValueError):
        return False
    return generation == reader.generation and token == (reader.token(generation) or b"")


def catch_up(file: VectorFile, reader: Reader) -> None:
    """Make the index hold exactly the catalog's vectors.

    Raises:
        StoreDamagedError: the catalog lacks a vector that it lists.
    """
    token = reader.token(reader.generation) or b""
    if (file.generation, file.token) == (reader.generation, token):
        return
    # In one past, numbers are never used again and vectors never change: equal sets of numbers
    # are equal indexes. A file from another past, or from long ago, is of no use.
    if reader.token(file.generation) != file.token:
        file.index.reset()
    wanted = reader.image_numbers()
    held = faiss.vector_to_array(file.index.id_map).astype(np.int64)
    gone = np.setdiff1d(held, wanted)
    if len(gone):
        file.index.remove_ids(gone)  # type: ignore[arg-type]
    missing = np.setdiff1d(wanted, held)
    for start in range(0, len(missing), _CHUNK):
        numbers = missing[start : start + _CHUNK]
        try:
            vectors = reader.vectors(numbers)
            if vectors.shape[1] != file.index.d:
                raise ValueError(f"{vectors.shape[1]} values, expected {file.index.d}")
        except (KeyError, ValueError) as error:
            raise StoreDamagedError(f"the catalog's vectors are damaged: {error}") from error
        file.index.add_with_ids(vectors, numbers)
    file.generation, file.token = reader.generation, token


def save(file: VectorFile, path: Path, store_id: bytes) -> None:
    """Write the index beside `path`, then put it in its place in one step.

    Raises:
        StoreFullError, StoreReadOnlyError, StoreError: it can't be written; `path` is as before.
    """

    def write(new: Path) -> None:
        hasher = hashlib.sha256()
        with new.open("wb") as out:

            def pass_on(part: bytes) -> int:
                hasher.update(part)
                return out.write(part)

            faiss.write_index(file.index, faiss.PyCallbackIOWriter(pass_on))  # type: ignore[attr-defined]
            out.write(_FOOTER.pack(_MAGIC, store_id, file.generation, file.token, hasher.digest()))

    try:
        replace_file(path, write)
    except OSError as error:
        raise translated(path, error) from error
    except RuntimeError as error:  # how FAISS reports a failed write, without an error number
        raise translated(path, OSError(errno.EIO, str(error))) from error


def _check(descriptor: int, store_id: bytes) -> tuple[int, bytes]:
    """Generation and token that a whole file of this store covers; ValueError for any other."""
    size = os.fstat(descriptor).st_size - _FOOTER.size
    if size < 0:
        raise ValueError("too short")
    magic, owner, generation, token, digest = _FOOTER.unpack(
        os.pread(descriptor, _FOOTER.size, size)
    )
    if magic != _MAGIC or owner != store_id or digest != _digest(descriptor, size):
        raise ValueError("torn, or of another store")
    return int(generation), token if generation else b""


def _digest(descriptor: int, size: int) -> bytes:
    hasher = hashlib.sha256()
    offset = 0
    while offset < size:
        chunk = os.pread(descriptor, min(1 << 20, size - offset), offset)
        if not chunk:
            raise ValueError("shorter than it says")
        hasher.update(chunk)
        offset += len(chunk)
    return hasher.digest()
