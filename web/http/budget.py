"""Bytes that may be in memory at once for all clients together."""

from __future__ import annotations


class Budget:
    """A number of bytes that requests take and give back; for the event loop's thread only."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.taken = 0

    def take(self, size: int) -> bool:
        """Take so many, if they are left or nobody has any; whether that was so."""
        if self.taken and self.taken + size > self.most:
            return False
        self.taken += size
        return True

    def give_back(self, size: int) -> None:
        """Others may have them now."""
        self.taken -= size
