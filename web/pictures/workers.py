"""What takes time is done here: threads beside the event loop, decoder processes behind them."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ...core.config import Settings, cores
from ...engine.images.decode import Geometry, Limits
from ...indexer.decoding.decoder_process import Decoder
from ..http.responses import RETRY_AFTER, refuse

_T = TypeVar("_T")

_FEW = 8
"""Explanations that may wait: each takes a second."""


class Threads:
    """A pool of threads with a bounded queue before them."""

    def __init__(self, count: int, waiting: int, name: str) -> None:
        """`waiting`: so many may wait beyond those that are served."""
        self._pool = ThreadPoolExecutor(count, thread_name_prefix=name)
        self._most = count + waiting
        self.under_way = 0
        """How many requests are served or wait."""

    async def do(self, work: Callable[[], _T]) -> _T:
        """What `work` returns or raises, in one of the threads.

        Raises:
            HTTPException: 503, too many wait already.
        """
        if self.under_way >= self._most:
            refuse(503, "too many requests at once; try again soon", RETRY_AFTER)
        self.under_way += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self.under_way -= 1

    def stop(self) -> None:
        """Drop the work that waits, and wait for the work under way."""
        self._pool.shutdown(wait=True, cancel_futures=True)


class Decoders:
    """A pool of decoder processes, as many as the settings say, each with a thread that waits for
    it. They start when first needed, and the one used last is used first: few clients need few."""

    def __init__(self, geometry: Geometry, settings: Settings, waiting: int) -> None:
        limits = Limits.of(settings)
        self._all = [
            Decoder(geometry, limits, settings.decode_seconds) for _ in range(settings.decoders())
        ]
        self._free: queue.LifoQueue[Decoder] = queue.LifoQueue()
        for decoder in self._all:
            self._free.put(decoder)
        self._threads = Threads(len(self._all), waiting, "decode")

    async def do(self, work: Callable[[Decoder], _T]) -> _T:
        """What `work` returns or raises, with a decoder that is free, in a thread.

        Raises:
            HTTPException: 503, too many wait already.
        """

        def with_decoder() -> _T:
            decoder = self._free.get()
            try:
                return work(decoder)
            finally:
                self._free.put(decoder)

        return await self._threads.do(with_decoder)

    @property
    def lost(self) -> int:
        """How many processes died or were given up."""
        return sum(max(0, decoder.started - (decoder.pid is not None)) for decoder in self._all)

    def stop(self) -> None:
        """End the processes, whatever they are at."""
        for decoder in self._all:
            decoder.kill()
        self._threads.stop()
        for decoder in self._all:
            decoder.stop()


class Workers:
    """All threads and processes of one server, by what they do."""

    def __init__(self, geometry: Geometry, settings: Settings, waiting: int) -> None:
        self.decoders = Decoders(geometry, settings, waiting)
        self.searching = Threads(max(4, cores()), waiting, "search")
        """For the catalog and the index."""
        self.reading = Threads(max(4, cores()), waiting, "read")
        """For files, whose disk may be slow."""
        self.encoding = Threads(1, waiting, "encode")
        """For the network, which takes all cores for one picture."""
        self.explaining = Threads(1, min(waiting, _FEW), "why")
        """For what takes a second each time."""

    def stop(self) -> None:
        """End them."""
        self.decoders.stop()
        for threads in (self.searching, self.reading, self.encoding, self.explaining):
            threads.stop()
