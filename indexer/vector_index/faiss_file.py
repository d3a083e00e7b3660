"""The FAISS file derived from the catalog: it can be deleted, and is made again.

`vectors.faiss` is what FAISS writes, then notes (JSON: which index it is, how hard it looks and
what that gave), then a footer: which store and which state of the catalog it covers, and a
checksum of everything before. A file whose footer is missing, wrong or of another store is not
used. Lists of vectors are not read but mapped into memory, where the operating system keeps as
much of them as there is room for.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import struct
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

import faiss

from ...core.atomic_files import replace_file
from ...core.config import cores
from ...engine.search.faiss_index import Effort, ready
from ..catalog.lmdb_environment import translated

_FOOTER = struct.Struct("<8s16sQ16sQ32s")  # magic, store id, generation, its token, notes, SHA-256
_MAGIC = b"tllfais2"
_BLOCK = 16 << 20
"""Of the checksum: blocks are hashed apart, so that all cores can check a large file."""


@dataclass(frozen=True)
class Notes:
    """What a file says of its index."""

    factory: str
    """FAISS's name for it."""
    family: str
    """See `IndexPlan.family`."""
    images: int
    """How many vectors it holds."""
    last: int
    """It holds every image up to this number that there was."""
    trained_on: int
    """How many images there were when it was trained."""
    measured_on: int
    """How many there were when its recall was measured."""
    effort: Effort

    @property
    def exact(self) -> bool:
        """Whether what it finds need not be compared again."""
        return self.factory == "Flat"


@dataclass(frozen=True)
class Covered:
    """Which state of a catalog a file covers."""

    generation: int
    token: bytes
    """Of that generation (see `Reader.token`)."""


@dataclass(frozen=True)
class VectorFile:
    """An index that was read, and what it covers. It is not changed any more."""

    index: faiss.Index
    notes: Notes
    covered: Covered
    stamp: tuple[int, int]
    """Device and inode: which file it was."""


def load(path: Path, store_id: bytes, dimension: int, *, mapped: bool = True) -> VectorFile | None:
    """The index in `path`; None where the file is missing, torn or not ours.

    Args:
        mapped: leave lists of vectors in the file and map them; False reads all of it, to be
            changed.
    """
    try:
        with _opened(path) as descriptor:
            notes, covered = _check(descriptor, store_id)
            status = os.fstat(descriptor)
            # By its number: the very file that was checked, whatever its name, which FAISS takes
            # as UTF-8 only.
            name = f"/dev/fd/{descriptor}"
            index = faiss.read_index(name, faiss.IO_FLAG_MMAP if mapped else 0)
        if index.d != dimension or index.ntotal != notes.images:
            return None
        ready(index, notes.effort)
    except (OSError, RuntimeError, ValueError, KeyError, TypeError):
        return None
    return VectorFile(index, notes, covered, (status.st_dev, status.st_ino))


def glance(path: Path, store_id: bytes, *, whole: bool = False) -> tuple[Notes, Covered] | None:
    """What the file in `path` says of itself; None as `load`. Builds nothing.

    Args:
        whole: also that every byte is what was written.
    """
    try:
        with _opened(path) as descriptor:
            return _check(descriptor, store_id, whole=whole)
    except (OSError, ValueError, KeyError, TypeError):
        return None


def stamp_of(path: Path) -> tuple[int, int] | None:
    """Which file is in `path` now (see `VectorFile.stamp`); None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def save(index: faiss.Index, notes: Notes, covered: Covered, path: Path, store_id: bytes) -> None:
    """Write the index beside `path`, then put it in its place in one step.

    Raises:
        StoreFullError, StoreReadOnlyError, StoreError: it can't be written; `path` is as before.
    """

    def write(new: Path) -> None:
        checksum = _Checksum()
        with new.open("wb") as out:

            def pass_on(part: bytes) -> int:
                checksum.update(part)
                return out.write(part)

            faiss.write_index(index, faiss.PyCallbackIOWriter(pass_on))  # type: ignore[attr-defined]
            text = json.dumps(asdict(notes)).encode()
            head = (_MAGIC, store_id, covered.generation, covered.token, len(text))
            out.write(text)
            out.write(_FOOTER.pack(*head, checksum.digest(text, repr(head).encode())))

    try:
        replace_file(path, write)
    except OSError as error:
        raise translated(path, error) from error
    except RuntimeError as error:  # how FAISS reports a failed write, without an error number
        raise translated(path, OSError(errno.EIO, str(error))) from error


class _Checksum:
    """A checksum in the making: SHA-256 of the SHA-256 of each block, and of what follows."""

    def __init__(self) -> None:
        self._blocks: list[bytes] = []
        self._hasher = hashlib.sha256()
        self._filled = 0

    def update(self, part: bytes) -> None:
        rest = memoryview(part)
        while rest:
            now = rest[: _BLOCK - self._filled]
            self._hasher.update(now)
            self._filled += len(now)
            rest = rest[len(now) :]
            if self._filled == _BLOCK:
                self._end_block()

    def digest(self, *following: bytes) -> bytes:
        if self._filled:
            self._end_block()
        return _joined(self._blocks, *following)

    def _end_block(self) -> None:
        self._blocks.append(self._hasher.digest())
        self._hasher, self._filled = hashlib.sha256(), 0


def _joined(blocks: list[bytes], *following: bytes) -> bytes:
    hasher = hashlib.sha256(b"".join(blocks))
    for part in following:
        hasher.update(part)
    return hasher.digest()


def _check(descriptor: int, store_id: bytes, *, whole: bool = True) -> tuple[Notes, Covered]:
    """What a whole file of this store says of itself; ValueError for any other."""
    size = os.fstat(descriptor).st_size - _FOOTER.size
    if size < 0:
        raise ValueError("too short")
    *head, digest = _FOOTER.unpack(os.pread(descriptor, _FOOTER.size, size))
    magic, owner, generation, token, length = head
    if magic != _MAGIC or owner != store_id or length > size:
        raise ValueError("torn, or of another store")
    text = os.pread(descriptor, length, size - length)
    if whole:
        blocks = list(_block_digests(descriptor, size - length))
        if _joined(blocks, text, repr(tuple(head)).encode()) != digest:
            raise ValueError("not what was written")
    notes = json.loads(text)
    effort = Effort(**notes.pop("effort"))
    return Notes(**notes, effort=effort), Covered(generation, token if generation else b"")


def _block_digests(descriptor: int, size: int) -> Iterator[bytes]:
    def one(at: int) -> bytes:
        hasher = hashlib.sha256()
        end = min(at + _BLOCK, size)
        while at < end:
            part = os.pread(descriptor, min(1 << 20, end - at), at)
            if not part:
                raise ValueError("shorter than it says")
            hasher.update(part)
            at += len(part)
        return hasher.digest()

    starts = range(0, size, _BLOCK)
    if len(starts) == 1:
        return iter([one(0)])
    with ThreadPoolExecutor(cores()) as threads:
        return iter(list(threads.map(one, starts)))


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
