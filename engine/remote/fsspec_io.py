"""Files at addresses: listed folder by folder and read within limits, through fsspec.

fsspec and what a scheme needs are loaded only when an address is looked at.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeVar

from ...core.errors import AddressError, MissingAddressError, TllError, UnreachableError, UsageError
from ...core.extras import extra
from .backoff import Outages, TooLong, explained
from .entries import CONNECT_SECONDS, READ_SECONDS, Entry, stamp_of
from .urls import family_of, host_of, is_web, require_unsigned, scheme_of, tidied

_Result = TypeVar("_Result")

_PAUSE = 0.5
"""Seconds before what failed is tried once more."""

_OPTIONS: dict[str, dict[str, Any]] = {
    "s3": {
        "config_kwargs": {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS // 2,  # s3fs asks several times
            "retries": {"total_max_attempts": 1},
        }
    },
    "gs": {"requests_timeout": READ_SECONDS},
    "sftp": {"timeout": CONNECT_SECONDS, "banner_timeout": CONNECT_SECONDS},
    "ftp": {"timeout": READ_SECONDS},
}
"""What file systems are made with; fsspec's own configuration comes first."""
_PACKAGES = {
    **{"s3": "s3fs", "gs": "gcsfs", "http": "aiohttp", "sftp": "paramiko", "abfs": "adlfs"},
    **{"hdfs": "pyarrow", "webdav": "webdav4", "smb": "smbprotocol", "hf": "huggingface_hub"},
    **{"oci": "ocifs", "oss": "ossfs"},
}
_SAID = ("s3", "gs", "abfs", "http", "https", "sftp", "ftp", "hdfs", "smb", "webdav")


def entries(address: bytes, wanted: Callable[[str, bool], bool]) -> list[Entry]:
    """What the folder at a tidy address holds, in no order; asks for no more than one folder.

    Args:
        wanted: whether a name is of interest, and whether it is a folder: of files that aren't,
            nothing is asked.

    Raises:
        AddressError: it can't be listed. `MissingAddressError`: it is not there.
        UsageError: fsspec knows no such scheme.
        TllError: a package is missing; the message names it.
    """
    text = os.fsdecode(address)
    system = file_system(text)
    if is_web(text):
        from .http_listing import listed

        return _tried(text, lambda: listed(system, text, wanted))
    return _tried(text, lambda: _listed(system, text, wanted))


def read(address: bytes, most: int) -> bytes:
    """The bytes of the file at an address.

    Raises:
        As `entries`; UsageError also for an address with credentials.
        TooLong: they are more than `most`.
    """
    text = os.fsdecode(tidied(address))
    require_unsigned(text)
    system = file_system(text)
    if is_web(text):
        from .http_listing import fetched

        return _tried(text, lambda: fetched(system, text, most))
    return _tried(text, lambda: _read(system, text, most))


# -- file systems --------------------------------------------------------------

_shared: dict[tuple[int, str], Any] = {}
_making = threading.Lock()


def file_system(address: str) -> Any:
    """fsspec's file system for an address: one for all threads where it takes turns itself, else
    one for each.

    Raises:
        As `entries`.
    """
    scheme = scheme_of(address)
    kind = _kind(scheme)
    from fsspec.config import conf

    options = {**deepcopy(_OPTIONS.get(family_of(address), {})), **conf.get(scheme, {})}
    if is_web(address):
        from .http_listing import options as web_options

        options = web_options(options)
    options.update(kind._get_kwargs_from_urls(address))
    if not kind.async_impl:
        return _made(kind, options, address)
    key = os.getpid(), f"{scheme} {sorted(kind._get_kwargs_from_urls(address).items())}"
    with _making:
        if key not in _shared:
            _shared[key] = _made(kind, {**options, "skip_instance_cache": True}, address)
        return _shared[key]


def _made(kind: Any, options: dict[str, Any], address: str) -> Any:
    try:
        return kind(**options)
    except Exception as error:  # whatever a file system raises: it may connect
        raise explained(error, address) from None


def _kind(scheme: str) -> Any:
    """The class of a scheme's file systems."""
    fsspec = extra("fsspec", "urls", f"{scheme}://")
    try:
        return fsspec.get_filesystem_class(scheme)
    except ValueError:
        raise UsageError(
            f"{scheme}:// is not a kind of address that fsspec knows, such as {', '.join(_SAID)}"
        ) from None
    except ImportError as error:
        package = _PACKAGES.get(family_of(scheme))
        advice = f"pip install {package}" if package else str(error)
        raise TllError(f"{scheme}:// needs a package that is not here: {advice}") from None


_outages = Outages()


def _tried(address: str, work: Callable[[], _Result]) -> _Result:
    """What `work` returns, at the second attempt if it failed for a reason that passes."""
    host = host_of(address)
    for last in (False, True):
        _outages.require_none(host, address)
        try:
            result = work()
        except (MissingAddressError, UsageError, TooLong):
            _outages.over(host)
            raise
        except Exception as error:  # file systems raise whatever their libraries do
            known = explained(error, address)
            if isinstance(known, UnreachableError):
                _outages.note(host)
            if last or not known.passes:
                raise known from None
            time.sleep(_PAUSE)
        else:
            _outages.over(host)
            return result
    raise AssertionError


# -- one file system, through what all of them have -----------------------------


def _listed(system: Any, address: str, wanted: Callable[[str, bool], bool]) -> list[Entry]:
    folder = system._strip_protocol(address)
    system.invalidate_cache()  # some keep what they listed, for ever
    try:
        found = system.ls(folder, detail=True)
    finally:
        system.invalidate_cache()
    here: list[Entry] = []
    for facts in found:
        path, kind = str(facts["name"]), facts.get("type")
        if path == folder and kind == "file" and len(found) == 1:
            raise AddressError("is a file, not a folder", address)
        name = _below(path, folder)
        if name is None or kind not in ("file", "directory"):
            continue
        if wanted(name, kind == "directory"):
            size, stamp = int(facts.get("size") or 0), stamp_of(facts)
            here.append(Entry(name, kind == "directory", size, stamp))
    return here


def _below(path: str, folder: str) -> str | None:
    """The name of what lies in this folder itself; None of anything else, which some list too."""
    above = folder.rstrip("/")
    if above and not path.startswith(above + "/"):
        return None
    name = path[len(above) + 1 :] if above else path.removeprefix("/")
    name = name.removesuffix("/")
    return name if name not in ("", ".", "..") and not {"/", "\0"} & set(name) else None


def _read(system: Any, address: str, most: int) -> bytes:
    with system.open(system._strip_protocol(address), "rb") as file:
        size = getattr(file, "size", None)
        if size is not None and size > most:
            raise TooLong(size)
        data = bytes(file.read(most + 1))
        if len(data) > most:
            raise TooLong(len(data))
        if size is not None and len(data) < size:
            raise UnreachableError("ended before its end", address)
        return data
