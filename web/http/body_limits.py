"""How large a request's body may be, how slow, and how much all clients may send at once."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from starlette.exceptions import HTTPException

from .responses import RETRY_AFTER

if TYPE_CHECKING:
    from starlette.types import Message, Receive

    from .budget import Budget
    from .settings import Options


class LimitedBody:
    """A request's body, as large and as slow as the options allow."""

    def __init__(self, receive: Receive, largest: int, options: Options, budget: Budget) -> None:
        self._receive = receive
        self._largest = largest
        self._pause = options.pause_seconds
        self._deadline = time.monotonic() + options.body_seconds
        self._budget = budget
        self._bytes = 0
        self._is_whole = False

    async def receive(self) -> Message:
        """The next part of it.

        Raises:
            HTTPException: 413 too large, 408 too slow, 503 too much at once.
        """
        if self._is_whole:  # what comes now is that the client went away, whenever that is
            return await self._receive()
        seconds = min(self._pause, self._deadline - time.monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), max(0.0, seconds))
        except asyncio.TimeoutError:
            raise HTTPException(408, "the rest of it did not come in time") from None
        if message["type"] != "http.request":
            self._is_whole = True
            return message
        size = len(message.get("body", b""))
        if self._bytes + size > self._largest:
            raise HTTPException(413, too_large(self._largest))
        if not self._budget.take(size):
            raise HTTPException(503, "too much is uploaded at once; try again soon", RETRY_AFTER)
        self._bytes += size
        self._is_whole = not message.get("more_body", False)
        return message

    def done(self) -> None:
        """Give back what it took of the budget: it is no longer in memory."""
        self._budget.give_back(self._bytes)


def too_large(largest: int) -> str:
    """The error of a body with more bytes than `largest`."""
    return f"the body is larger than {largest >> 10:,} KiB"
