"""By which names the server may be called, and whether a page of another site sent a request."""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import Headers

_PORTS = {"http": 80, "https": 443}

_IN_NO_HOST = frozenset("@/?#\\ ")


class Origins:
    """The names by which a server may be called; see `Options.hosts`."""

    def __init__(self, hosts: frozenset[str] | None) -> None:
        self._hosts = hosts

    def knows(self, host: str) -> bool:
        """Whether a Host header has a name by which the server may be called."""
        name = _name(host)
        if name is None:
            return False
        return self._hosts is None or name in self._hosts

    def is_own(self, method: str, headers: Headers, scheme: str, hosts: Sequence[str]) -> bool:
        """Whether no page of another site had a browser send this request. What is no browser says
        nothing of where it comes from, and may come in; so may whoever follows a link to here, or
        types the address."""
        changes = method not in ("GET", "HEAD", "OPTIONS")
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        if changes and origin is not None and not self._is_ours(origin, site, scheme, hosts):
            return False
        if site in ("same-origin", "none", None):
            return True
        return (
            not changes
            and headers.get("sec-fetch-mode") == "navigate"
            and headers.get("sec-fetch-dest") == "document"
        )

    def _is_ours(self, origin: str, site: str | None, scheme: str, hosts: Sequence[str]) -> bool:
        """Whether a page of that origin is this server's. Where the browser itself says so, which
        no page can have it do, the port need not be known: proxies often don't pass it on."""
        try:
            parts = urlsplit(origin)
            name, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
        except ValueError:
            return False
        if name is None:
            return False
        if site == "same-origin":
            return self.knows(parts.netloc)
        if scheme and parts.scheme != scheme:
            return False
        is_named = self._hosts is not None and f"{name}:{port}" in self._hosts
        return is_named or any(_is_at(host, name, port, parts.scheme) for host in hosts)


def _name(host: str) -> str | None:
    """A Host header's name or address, without port, brackets and a last dot; None where it is
    none."""
    if not host or set(host) & _IN_NO_HOST:
        return None
    try:
        name = urlsplit(f"//{host}").hostname
    except ValueError:
        return None
    return name and (name.removesuffix(".") or None)


def _is_at(host: str, name: str, port: int | None, scheme: str) -> bool:
    """Whether a Host header is of that name and port; without a port, it is of the scheme's own."""
    try:
        parts = urlsplit(f"//{host}")
        return _name(host) == name.removesuffix(".") and port == (parts.port or _PORTS.get(scheme))
    except ValueError:
        return False


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
