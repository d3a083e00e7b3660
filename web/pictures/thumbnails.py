"""Thumbnails of indexed pictures: made once, kept in the cache folder, within a limit."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ...core.errors import NotIndexedError
from ...core.sealed import read_sealed, write_sealed
from ..http.responses import log
from .originals import original

if TYPE_CHECKING:
    from ...indexer.decoding.decoder_process import Decoder
    from ...indexer.store.store import Store
    from .workers import Workers

THUMBNAIL_SIDES = (160, 320, 640)
"""Of the longer side, in pixels."""

_LEFT = 0.9
"""Of the limit: what is kept when it is exceeded and the longest unused are removed."""

_NOTE_USE_AFTER = 3600.0
"""Seconds until a file's use is noted again."""


class ThumbnailFiles:
    """A folder of JPEG files, sealed, by content and side.

    Safe to use from several threads and processes: a file is there whole or not at all, and may be
    gone at any time.
    """

    def __init__(self, folder: Path, most: int) -> None:
        """`most`: bytes that all of them may take."""
        self.folder = folder
        self._most = most
        self._lock = threading.Lock()
        self._bytes: int | None = None

    def get(self, sha256: str, side: int) -> bytes | None:
        """The file's bytes, if it is there."""
        path = self._path(sha256, side)
        if (data := read_sealed(path)) is not None:
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _NOTE_USE_AFTER:
                    os.utime(path)
        return data

    def put(self, sha256: str, side: int, data: bytes) -> None:
        """Keep it, and make room for it.

        Raises:
            OSError: it can't be written.
        """
        self.folder.mkdir(0o700, parents=True, exist_ok=True)
        write_sealed(self._path(sha256, side), data)
        with self._lock:
            if self._bytes is None:
                self._bytes = sum(size for _, size, _ in self._files())
            else:
                self._bytes += len(data)
            if self._bytes > self._most:
                self._make_room()

    def remove(self, sha256: str) -> None:
        """Remove all of this picture."""
        for side in THUMBNAIL_SIDES:
            with contextlib.suppress(OSError):
                self._path(sha256, side).unlink()

    def _make_room(self) -> None:
        files = sorted(self._files())
        self._bytes = sum(size for _, size, _ in files)
        for _, size, path in files:
            if self._bytes <= _LEFT * self._most:
                break
            with contextlib.suppress(OSError):
                os.unlink(path)
            self._bytes -= size

    def _files(self) -> list[tuple[float, int, str]]:
        """When each was last used, its bytes, its path."""
        found = []
        for folder, _, names in os.walk(self.folder):
            for name in names:
                path = os.path.join(folder, name)
                with contextlib.suppress(OSError):
                    status = os.stat(path)
                    found.append((status.st_mtime, status.st_size, path))
        return found

    def _path(self, sha256: str, side: int) -> Path:
        return self.folder / sha256[:2] / f"{sha256}-{side}"


class Thumbnails:
    """The thumbnails of one store's pictures, made when first wanted; for the event loop's thread
    only."""

    def __init__(self, store: Store, workers: Workers, files: ThumbnailFiles) -> None:
        self._store = store
        self._workers = workers
        self._files = files
        self._making: dict[tuple[str, int], asyncio.Task[bytes]] = {}

    async def of(self, sha256: str, side: int) -> bytes:
        """A JPEG file. Requests for the same one wait together.

        Raises:
            NotIndexedError: the store has no such picture.
            PictureError: its file is gone or can't be decoded.
            HTTPException: 503, there is too much to do.
        """
        kept = await self._workers.searching.do(lambda: self._kept(sha256, side))
        if kept is not None:
            return kept
        key = sha256, side
        if (task := self._making.get(key)) is None:
            task = asyncio.create_task(self._make(sha256, side))
            self._making[key] = task
            task.add_done_callback(lambda _: self._making.pop(key))
        return await asyncio.shield(task)

    def _kept(self, sha256: str, side: int) -> bytes | None:
        self._store.picture(sha256)  # what was forgotten is shown to nobody
        return self._files.get(sha256, side)

    async def _make(self, sha256: str, side: int) -> bytes:
        return await self._workers.decoders.do(lambda decoder: self._made(decoder, sha256, side))

    def _made(self, decoder: Decoder, sha256: str, side: int) -> bytes:
        data = decoder.thumbnail(original(self._store.picture(sha256)), side)
        try:
            self._files.put(sha256, side, data)
            self._store.picture(sha256)
        except NotIndexedError:  # forgotten just now, so it must not stay
            self._files.remove(sha256)
            raise
        except OSError as error:
            log.warning("thumbnails can't be kept: %s", error)
        return data
