"""Files -> bytes, digest and pixels, several at a time, in order, in bounded memory."""

from __future__ import annotations

import hashlib
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

from ...core.contracts import UnitVectors
from ...core.errors import PictureError
from ...core.threads import calm_blas
from ...engine.images.decode import Limits, Picture
from ...engine.images.file_bytes import FileBytes, read_file
from ..catalog.records import PathEntry
from ..scan.walk import FileState
from .decoder_process import Decoder

_File = TypeVar("_File", bound="File")


@dataclass(frozen=True)
class File:
    """A file to read."""

    folder: bytes
    name: bytes
    state: FileState
    is_new: bool
    """False where this path was indexed before, with another state."""

    @property
    def path(self) -> bytes:
        """Absolute."""
        return self.folder.rstrip(b"/") + b"/" + self.name

    def as_read(self: _File, read: FileBytes) -> _File:
        """It may have changed since the walk: what is remembered must be the state of these bytes.
        Where nothing says that, at an address, it stays that of the walk: if the file changed
        since, the next walk finds another."""
        if read.mtime_ns is None:
            return self
        return replace(self, state=FileState.of(len(read.data), read.mtime_ns))


@dataclass(frozen=True)
class Listed(File):
    """A file to read, and what is known of it."""

    entry: PathEntry | None
    """As the catalog has it; None where this path is not indexed."""
    listed_ns: int
    """When it was handed out, since 1970: its bytes are read later."""


@dataclass(frozen=True)
class Prepared:
    """What became of a file: exactly one of `picture` and `error` is set, or neither where its
    content is known."""

    file: File
    sha256: bytes = b""
    file_bytes: int = 0
    picture: Picture | None = None
    error: PictureError | None = None
    vectors: tuple[UnitVectors, ...] = ()
    """What a store keeps of the picture in each of its spaces, (d,) float32 of length 1, where that
    is known already: its pixels are then not needed, and may be none (0, 0, 3)."""


class Pipeline:
    """Decoder processes, each fed by a thread of its own that also reads and hashes."""

    def __init__(
        self,
        decoders: list[Decoder],
        limits: Limits,
        depth: int,
        readers: int = 0,
        read: Callable[[bytes, Limits], FileBytes] = read_file,
    ) -> None:
        """
        Args:
            depth: how many files may be under way or waiting at once.
            readers: how many are read at once, if that is more than there are decoders.
            read: reads them; raises `PictureError`.
        """
        self._decoders: queue.SimpleQueue[Decoder] = queue.SimpleQueue()
        self._all = decoders
        for decoder in decoders:
            self._decoders.put(decoder)
        self._threads = ThreadPoolExecutor(max(len(decoders), readers), thread_name_prefix="decode")
        self._limits = limits
        self._read = read
        self._depth = depth
        self._calm = ExitStack()

    def __enter__(self) -> Pipeline:
        self._calm.enter_context(calm_blas())
        return self

    def __exit__(self, *_: object) -> None:
        self._calm.close()
        self._threads.shutdown(wait=False, cancel_futures=True)
        for decoder in self._all:
            decoder.kill()
        self._threads.shutdown(wait=True)
        for decoder in self._all:
            decoder.stop()

    def run(self, files: Iterable[File], is_known: Callable[[bytes], bool]) -> Iterator[Prepared]:
        """Each of `files`, in order. `is_known(sha256)` says, from any thread, whether that
        content needs no decoding."""
        rest = iter(files)
        waiting: deque[Future[Prepared]] = deque()
        while True:
            for file in islice(rest, self._depth - len(waiting)):
                waiting.append(self._threads.submit(self._prepare, file, is_known))
            if not waiting:
                return
            yield waiting.popleft().result()

    def _prepare(self, file: File, is_known: Callable[[bytes], bool]) -> Prepared:
        try:
            read = self._read(file.path, self._limits)
        except PictureError as error:
            return Prepared(file, error=error)
        file, data = file.as_read(read), read.data
        digest = hashlib.sha256(data).digest()
        if is_known(digest):
            return Prepared(file, digest, len(data))
        decoder = self._decoders.get()
        try:
            return Prepared(file, digest, len(data), picture=decoder.decode(data))
        except PictureError as error:
            return Prepared(file, digest, len(data), error=error.at(file.path))
        finally:
            self._decoders.put(decoder)
