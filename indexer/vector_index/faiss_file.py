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
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ...core.atomic_files import replace_file
from ...core.config import cores
from ...engine.search.exact_index import ExactIndex, from_faiss, read_buffer
from ...engine.search.index_plan import Effort
from ..catalog.lmdb_environment import translated

if TYPE_CHECKING:
    import faiss

_FOOTER = struct.Struct("<8s16sQ16sQ32s")  # magic, store id, generation, its token, notes, SHA-256
_MAGIC = b"tllfais2"
_BLOCK = 16 << 20
"""Of the checksum: blocks are hashed apart, so that all cores can check a large file."""
_UNUSABLE = (OSError, RuntimeError, ValueError, KeyError, TypeError)
"""What bytes that are anything may raise."""


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

    index: ExactIndex | faiss.Index
    """The first where `notes.exact`."""
    notes: Notes
    covered: Covered
    stamp: tuple[int, int]
    """Device and inode: which file it was."""

    @property
    def exact(self) -> ExactIndex:
        """Its index, where all vectors are compared."""
        assert isinstance(self.index, ExactIndex)
        return self.index

    @property
    def approximate(self) -> faiss.Index:
        """Its index, where it offers candidates."""
        assert not isinstance(self.index, ExactIndex)
        return self.index

    def ids(self) -> NDArray[np.int64]:
        """(n,): which images it holds, in the index's own order."""
        if self.notes.exact:
            return self.exact.ids
        from ...engine.search.faiss_index import ids_in

        return ids_in(self.approximate)


def load(path: Path, store_id: bytes, dimension: int) -> VectorFile | None:
    """The index in `path`, to be searched; None where the file is missing, torn or not ours. Lists
    of vectors are left in the file and mapped."""
    try:
        with _opened(path) as descriptor:
            seal = _seal_of(descriptor, store_id)
            status = os.fstat(descriptor)
            notes, covered = seal.notes(), seal.covered
            if notes.exact:
                index: ExactIndex | faiss.Index = (exact := _exact(descriptor, seal))
                fits = exact.rows.shape == (notes.images, dimension)
            else:
                seal.require(_file_digests(descriptor, seal.size))
                index = _by_faiss(descriptor, mapped=True)
                fits = (index.ntotal, index.d) == (notes.images, dimension)
                if fits:
                    _make_ready(index, notes.effort)
    except _UNUSABLE:
        return None
    return VectorFile(index, notes, covered, (status.st_dev, status.st_ino)) if fits else None


def load_to_change(path: Path, store_id: bytes, dimension: int) -> tuple[faiss.Index, Notes] | None:
    """What FAISS wrote into `path`, all of it read, and its notes; None as `load`."""
    try:
        with _opened(path) as descriptor:
            seal = _seal_of(descriptor, store_id)
            seal.require(_file_digests(descriptor, seal.size))
            index, notes = _by_faiss(descriptor, mapped=False), seal.notes()
            if (index.ntotal, index.d) != (notes.images, dimension):
                return None
            _make_ready(index, notes.effort)
    except _UNUSABLE:
        return None
    return index, notes


def glance(path: Path, store_id: bytes, *, whole: bool = False) -> tuple[Notes, Covered] | None:
    """What the file in `path` says of itself; None as `load`. Builds nothing.

    Args:
        whole: also that every byte is what was written.
    """
    try:
        with _opened(path) as descriptor:
            seal = _seal_of(descriptor, store_id)
            if whole:
                seal.require(_file_digests(descriptor, seal.size))
            return seal.notes(), seal.covered
    except _UNUSABLE:
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

    import faiss

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


def _joined(blocks: Iterable[bytes], *following: bytes) -> bytes:
    hasher = hashlib.sha256(b"".join(blocks))
    for part in following:
        hasher.update(part)
    return hasher.digest()


@dataclass(frozen=True)
class _Seal:
    """What follows the index in a file of this store."""

    size: int
    """Of the index, in bytes."""
    text: bytes
    """The notes."""
    covered: Covered
    head: tuple[object, ...]
    """The footer, its checksum aside."""
    checksum: bytes

    def notes(self) -> Notes:
        """What the file says of its index; ValueError and others where that is nothing."""
        notes = json.loads(self.text)
        return Notes(**{**notes, "effort": Effort(**notes["effort"])})

    def require(self, blocks: Iterable[bytes]) -> None:
        """Refuse, by a ValueError, an index whose blocks have these digests, if it is not what was
        written."""
        if _joined(blocks, self.text, repr(self.head).encode()) != self.checksum:
            raise ValueError("not what was written")


def _seal_of(descriptor: int, store_id: bytes) -> _Seal:
    """That of a file; ValueError for one of another store or of none."""
    size = os.fstat(descriptor).st_size - _FOOTER.size
    if size < 0:
        raise ValueError("too short")
    *head, checksum = _FOOTER.unpack(os.pread(descriptor, _FOOTER.size, size))
    magic, owner, generation, token, length = head
    if magic != _MAGIC or owner != store_id or length > size:
        raise ValueError("torn, or of another store")
    text = os.pread(descriptor, length, size - length)
    covered = Covered(generation, token if generation else b"")
    return _Seal(size - length, text, covered, tuple(head), checksum)


def _file_digests(descriptor: int, size: int) -> Iterable[bytes]:
    """The digest of each block of the index in a file."""

    def digest(start: int) -> bytes:
        hasher = hashlib.sha256()
        end = min(start + _BLOCK, size)
        while start < end:
            part = os.pread(descriptor, min(1 << 20, end - start), start)
            if not part:
                raise ValueError("shorter than it says")
            hasher.update(part)
            start += len(part)
        return hasher.digest()

    return _of_each_block(digest, size)


def _of_each_block(digest: Callable[[int], bytes], size: int) -> Iterable[bytes]:
    """The digests of all blocks, of which `digest` says that of the one that begins somewhere."""
    starts = range(0, size, _BLOCK)
    if len(starts) <= 1:
        return list(map(digest, starts))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(cores()) as threads:
        return list(threads.map(digest, starts))


def _exact(descriptor: int, seal: _Seal) -> ExactIndex:
    """The vectors of a file, read once; ValueError where they are not what was written."""
    data, filled = read_buffer(seal.size), 0
    while filled < seal.size:
        if not (count := os.preadv(descriptor, [data[filled:]], filled)):
            raise ValueError("shorter than it says")
        filled += count
    blocks = _of_each_block(
        lambda start: hashlib.sha256(data[start : start + _BLOCK]).digest(), seal.size
    )
    seal.require(blocks)
    if (found := from_faiss(data)) is not None:
        return found
    from ...engine.search.faiss_index import ids_in

    index: Any = _by_faiss(descriptor, mapped=False)  # as another version of FAISS writes it
    return ExactIndex(ids_in(index), index.index.reconstruct_n(0, index.ntotal))


def _by_faiss(descriptor: int, *, mapped: bool) -> faiss.Index:
    import faiss

    # By its number: the very file that was checked, whatever its name, which FAISS takes as UTF-8
    # only.
    return faiss.read_index(f"/dev/fd/{descriptor}", faiss.IO_FLAG_MMAP if mapped else 0)


def _make_ready(index: faiss.Index, effort: Effort) -> None:
    from ...engine.search.faiss_index import ready

    ready(index, effort)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
