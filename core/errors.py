"""The error tree: each message says what is wrong, where, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from .names import shown


class TllError(Exception):
    """An error that tll-index itself reports; the command line prints it as one line, exit 1."""


class UsageError(TllError):
    """An error in an argument or setting, which makes no sense; exit 2."""


class PictureError(TllError):
    """An error about one picture that can't be used. `reason` is a short, stable code for
    reports."""

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
    """An error about a file that is not there."""

    reason = "missing"


class UnreadablePictureError(PictureError):
    """An error about a file that is there but can't be read: permissions, a folder, a device, an
    I/O error."""

    reason = "unreadable"


class EmptyPictureError(PictureError):
    """An error about a file without bytes."""

    reason = "empty"


class NotAPictureError(PictureError):
    """An error about bytes that are of no picture format that tll-index reads."""

    reason = "not a picture"


class DamagedPictureError(PictureError):
    """An error about a picture that is cut off or broken."""

    reason = "damaged"


class DecoderFailedError(PictureError):
    """An error about a picture on which the decoder crashed or hung."""

    reason = "decoder failed"


class TooLargePictureError(PictureError):
    """An error about more pixels or bytes than the limits allow."""

    reason = "too large"


class OutsidePictureError(PictureError):
    """An error about a part of a picture that is not in it."""

    reason = "outside"


class MissingCodecError(PictureError):
    """An error about a picture format whose decoder is an extra that isn't installed."""

    reason = "needs an extra"


class AddressError(TllError):
    """An error about an address whose content can't be listed or read: its host, its package, its
    permissions. `what` says why, without the address; `passes`, whether another attempt may do."""

    def __init__(self, what: str, address: str, passes: bool = False) -> None:
        super().__init__(f"{shown(address)}: {what}")
        self.what = what
        self.passes = passes


class MissingAddressError(AddressError):
    """An error about an address at which there is certainly nothing."""


class UnreachableError(AddressError):
    """An error about a host that can't be reached, or does not answer."""

    def __init__(self, what: str, address: str, passes: bool = True) -> None:
        super().__init__(what, address, passes)


class NoAttributionError(UsageError):
    """An error about a backbone whose features can't be traced to regions of a picture."""


class WeightsError(TllError):
    """An error about a backbone's weights: missing, damaged or not what they should be."""


class LensError(TllError):
    """An error about a lens: one that can't be read, or belongs to another backbone."""


class DataError(TllError):
    """An error about look-alike pairs or candidates: a picture is missing, a row malformed."""


class NoPicturesError(TllError):
    """An error about a build that found no picture to make a store of."""


class StoreError(TllError):
    """An error about a store."""


class NoStoreError(StoreError):
    """An error about a location where there is no store."""


class NotIndexedError(StoreError):
    """An error about a picture that the store does not have."""


class StoreBusyError(StoreError):
    """An error about a store that another process is writing to."""


class StoreMismatchError(StoreError):
    """An error about a store that another backbone, lens or format made than is to be used."""


class StoreDamagedError(StoreError):
    """An error about a file of a store, missing or damaged, that can't be rebuilt."""


class StoreFullError(StoreError):
    """An error about the disk (or quota) that holds the store: it is full."""


class StoreReadOnlyError(StoreError):
    """An error about a store that can be read but not written."""
