"""The FAISS file derived from the catalog: it can be deleted, and is caught up or rebuilt.

`vectors.faiss` is what FAISS writes, then a footer: which store and which catalog generation it
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
from .environment import translated_os_error
from .files import replace_file
from .reader import Reader

_FOOTER = struct.Struct("<8s16sq32s")  # magic, store id, generation, SHA-256
_MAGIC = b"tllfais1"
_CHUNK = 8192
"""Vectors read from the catalog at a time."""


@dataclass
class VectorFile:
    """An index in memory and how far it has followed the catalog."""

    index: faiss.IndexIDMap2
    generation: int
    """Of the catalog, that the index covers; -1 is none."""


def load(path: Path, store_id: bytes, dimension: int) -> VectorFile:
    """The index in `path`; a new, empty one where the file is missing, torn or not ours."""
    try:
        with path.open("rb") as file:
            footer = _check(file.fileno(), store_id)
        index = faiss.read_index(os.fspath(path))
    except (OSError, RuntimeError, ValueError):
        return VectorFile(new_index(dimension), -1)
    if not isinstance(index, faiss.IndexIDMap2) or index.d != dimension:
        return VectorFile(new_index(dimension), -1)
    return VectorFile(index, footer)


def is_current(path: Path, store_id: bytes, generation: int) -> bool:
    """Whether the file is whole and covers this generation. Reads it, but builds nothing."""
    try:
        with path.open("rb") as file:
            return _check(file.fileno(), store_id) == generation
    except (OSError, ValueError):
        return False


def catch_up(file: VectorFile, reader: Reader) -> bool:
    """Make the index hold exactly the catalog's vectors; returns whether it had to change.

    Raises:
        StoreDamagedError: the catalog lacks a vector that it lists.
    """
    if file.generation == reader.generation:
        return False
    # Numbers are never used again and a vector never changes, so equal sets are equal indexes.
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
    file.generation = reader.generation
    return True


def save(file: VectorFile, path: Path, store_id: bytes) -> None:
    """Write the index beside `path`, then put it in its place in one step.

    Raises:
        StoreFullError, StoreReadOnlyError, StoreError: it can't be written; `path` is as before.
    """

    def write(new: Path) -> None:
        faiss.write_index(file.index, os.fspath(new))
        with new.open("rb+") as out:
            digest = _digest(out.fileno(), os.fstat(out.fileno()).st_size)
            out.seek(0, os.SEEK_END)
            out.write(_FOOTER.pack(_MAGIC, store_id, file.generation, digest))

    try:
        replace_file(path, write)
    except OSError as error:
        raise translated_os_error(path, error) from error
    except RuntimeError as error:  # how FAISS reports a failed write, without an error number
        raise translated_os_error(path, OSError(errno.EIO, str(error))) from error


def _check(descriptor: int, store_id: bytes) -> int:
    size = os.fstat(descriptor).st_size - _FOOTER.size
    if size < 0:
        raise ValueError("too short")
    magic, owner, generation, digest = _FOOTER.unpack(os.pread(descriptor, _FOOTER.size, size))
    if magic != _MAGIC or owner != store_id or digest != _digest(descriptor, size):
        raise ValueError("torn, or of another store")
    return int(generation)


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
