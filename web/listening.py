"""The socket that a server listens on, and the names by which it is called."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Iterable
from ipaddress import ip_address
from urllib.parse import urlsplit

from ..core.errors import TllError, UsageError
from ..core.names import shown
from .http.origins import is_loopback

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; port 0 takes one that is free.

    Raises:
        UsageError, TllError
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port: {port} is not a port; choose 1 to 65535, or 0 for a free one")
    try:
        family, kind, _, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise UsageError(f"--host: {shown(host)!r} is not an address of this machine") from None
    made = socket.socket(family, kind)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind(where)
        made.listen(1024)
        return made
    except OSError as error:
        made.close()
        if error.errno == errno.EADDRINUSE:
            raise TllError(
                f"port {port} of {host} is taken; choose another with --port, or 0 for any"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"--host: {shown(host)!r} is not an address of this machine") from None
        raise TllError(
            f"can't listen on port {port} of {host}: {os.strerror(error.errno or 0)}"
        ) from None


def host_names(host: str, more: Iterable[str]) -> frozenset[str] | None:
    """The names by which the server may be called; None for any, where it listens everywhere."""
    others = {one for name in more for one in _parse_name(name)}
    if is_loopback(host):
        return frozenset({*_LOOPBACK, host.lower(), *others})
    return None if _is_everywhere(host) else frozenset({host.lower(), *others})


def _parse_name(value: str) -> set[str]:
    """The name of --allow-host and, where it has one, the name with its port. A URL is taken as
    well.

    Raises:
        UsageError: it is none.
    """
    text = value.lower().strip()
    with contextlib.suppress(ValueError):
        return {str(ip_address(text))}
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        name, port = parts.hostname, parts.port
    except ValueError:
        name = port = None
    if not name or parts.path.strip("/") or parts.query or "@" in parts.netloc or " " in text:
        raise UsageError(f"--allow-host: {shown(value)!r} is not a name, such as pictures.example")
    name = name.removesuffix(".")
    return {name} if port is None else {name, f"{name}:{port}"}


def _is_everywhere(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")


def name_of(host: str) -> str:
    """The name under which people reach it."""
    return socket.gethostname() if _is_everywhere(host) else host
