"""What went wrong at an address, in our words; and hosts that are left alone for a while."""

from __future__ import annotations

import threading
import time

from ...core.errors import AddressError, MissingAddressError, UnreachableError
from .urls import family_of

_IN_A_ROW = 6
_REST = 30.0
"""After so many failures in a row, a host isn't asked for so many seconds."""

_NO_CREDENTIALS = (
    *("NoCredentialsError", "PartialCredentialsError", "CredentialRetrievalError"),
    *("DefaultCredentialsError", "TokenRetrievalError", "NoAuthTokenError"),
)
_HINTS = {
    "s3": "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or, of a public bucket, "
    "FSSPEC_S3_ANON=true",
    "gs": "set GOOGLE_APPLICATION_CREDENTIALS, or, of a public bucket, FSSPEC_GS_TOKEN=anon",
    "http": "put a name and password into ~/.netrc",
}


class TooLong(Exception):  # noqa: N818 - what it means is for whoever set the limit
    """An error about a file with more bytes than may be read."""

    def __init__(self, size: int) -> None:
        super().__init__(size)
        self.size = size


class Outages:
    """A record of which hosts did not answer lately. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: dict[str, int] = {}
        self._until: dict[str, float] = {}

    def note(self, host: str) -> None:
        """It did not answer."""
        with self._lock:
            self._failed[host] = self._failed.get(host, 0) + 1
            if self._failed[host] >= _IN_A_ROW:
                self._until[host] = time.monotonic() + _REST

    def over(self, host: str) -> None:
        """It answered."""
        if host in self._failed:
            with self._lock:
                self._failed.pop(host, None)
                self._until.pop(host, None)

    def require_none(self, host: str, address: str) -> None:
        """Spare a million files a minute each.

        Raises:
            UnreachableError: it did not answer several times in a row, just now.
        """
        if time.monotonic() < self._until.get(host, 0.0):
            raise UnreachableError("not tried: its host did not answer just now", address)


def explained(error: BaseException, address: str) -> AddressError:
    """What one of the many libraries below raised, as an error of ours."""
    if isinstance(error, AddressError):
        return error
    names = {kind.__name__ for kind in type(error).__mro__}
    hint = _HINTS.get(family_of(address), "see the documentation of the scheme's package")
    if isinstance(error, FileNotFoundError):
        return MissingAddressError("is not there", address)
    if isinstance(error, (IsADirectoryError, NotADirectoryError)):
        return AddressError("is a folder where a file was looked for, or the reverse", address)
    if names & set(_NO_CREDENTIALS):
        return AddressError(f"no credentials were found; {hint}", address)
    if isinstance(error, PermissionError) or getattr(error, "code", None) in (401, 403):
        return AddressError(f"access is denied; {hint}", address)
    if isinstance(error, MemoryError):
        return AddressError("there is not enough memory", address)
    if isinstance(error, TimeoutError) or any("Timeout" in name for name in names):
        return UnreachableError("its host does not answer", address)
    if any("onnect" in name for name in names) or "gaierror" in names:
        return UnreachableError("its host can't be reached", address)
    said = " ".join(str(error).split())[:200] or type(error).__name__
    return AddressError(said, address, passes=True)
