"""The error tree: each message says what is wrong, where, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from .names import shown


class TllError(Exception):
    """Anything that tll-index itself reports; the command line prints it as one line, exit 1."""


class UsageError(TllError):
    """An argument or setting that makes no sense; exit 2."""


class PictureError(TllError):
    """One picture that can't be used. `reason` is a short, stable code for reports."""

    reason: ClassVar[str] = "unusable"

    def __init__(self, message: str, source: str | bytes | Path | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.source = source

    def __str__(self) -> str:
        return self.message if self.source is None else f"{shown(self.source)}: {self.message}"

    def at(self, source: str | bytes | Path) -> PictureError:
        """The same error, saying which file it is about."""
        return type(self)(self.message, source)


class MissingPictureError(PictureError):
    """There is no such file."""

    reason = "missing"


class UnreadablePictureError(PictureError):
    """The file is there but can't be read: permissions, a folder, a device, an I/O error."""

    reason = "unreadable"


class EmptyPictureError(PictureError):
    """The file has no bytes."""

    reason = "empty"


class NotAPictureError(PictureError):
    """The bytes are of no picture format that tll-index reads."""

    reason = "not a picture"


class DamagedPictureError(PictureError):
    """A picture that is cut off or broken."""

    reason = "damaged"


class DecoderFailedError(PictureError):
    """A picture on which the decoder crashed or hung."""

    reason = "decoder failed"


class TooLargePictureError(PictureError):
    """More pixels or bytes than the limits allow."""

    reason = "too large"


class OutsidePictureError(PictureError):
    """The part of a picture that was asked for is not in it."""

    reason = "outside"


class MissingCodecError(PictureError):
    """A picture format whose decoder is an extra that isn't installed."""

    reason = "needs an extra"


class AddressError(TllError):
    """What is at an address can't be listed or read: its host, its package, its permissions.
    `what` says why, without the address; `passes`, whether another attempt may do."""

    def __init__(self, what: str, address: str, passes: bool = False) -> None:
        super().__init__(f"{shown(address)}: {what}")
        self.what = what
        self.passes = passes


class MissingAddressError(AddressError):
    """There is certainly nothing at an address."""


class UnreachableError(AddressError):
    """Its host can't be reached, or does not answer."""

    def __init__(self, what: str, address: str, passes: bool = True) -> None:
        super().__init__(what, address, passes)


class NoAttributionError(UsageError):
    """A backbone of which it can't be said where in a picture its features come from."""


class WeightsError(TllError):
    """The weights of a backbone are missing, damaged or not what they should be."""


class LensError(TllError):
    """A lens file that can't be read or that belongs to another backbone."""


class DataError(TllError):
    """Look-alike pairs or candidates that can't be used: a picture is missing, a row malformed."""


class NoPicturesError(TllError):
    """There is no picture to make a store of."""


class StoreError(TllError):
    """Something about a store."""


class NoStoreError(StoreError):
    """There is no store where one was looked for."""


class NotIndexedError(StoreError):
    """The store has no such picture."""


class StoreBusyError(StoreError):
    """Another process is writing to this store."""


class StoreMismatchError(StoreError):
    """The store was made by another backbone, lens or format than the one asked for."""


class StoreDamagedError(StoreError):
    """A file of the store is missing or damaged in a way that can't be rebuilt."""


class StoreFullError(StoreError):
    """The disk (or quota) that holds the store is full."""


class StoreReadOnlyError(StoreError):
    """The store can be read but not written."""
