"""Who may ask, from where and how much: the outermost layer of the server, plain ASGI.

It keeps away foreign pages (names that lead here by DNS rebinding, requests that a browser sends
for another site), those without the token, and bodies that are too large or too slow; it tells
browsers that what is sent here concerns nobody else; and nobody gets to see a traceback.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException

from .forwarded import reached_as, route_of
from .responses import COME_AGAIN, error_response, log

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .budget import Budget
    from .settings import Options

_BESIDE = 64 << 10
"""Bytes that a body may have besides the picture in it: the borders of multipart."""

_LARGEST_JSON = 256 << 10

_OPEN = ("/", "/healthz", "/favicon.ico")
"""What is there for everyone, besides /static/: nothing in it is about anybody's pictures."""

_PORTS = {"http": 80, "https": 443}

_IN_NO_HOST = frozenset("@/?#\\ ")

_FOREIGN = (
    "this was asked by a page of another site; a proxy has to pass on the name and port by which "
    "it is reached (Host, or X-Forwarded-Host)"
)

_SURPRISE = "unexpected: a bug; the server's own output says more"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)

_HEADERS = {
    "content-security-policy": POLICY,
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}
"""Of each response that doesn't say otherwise."""


class Guard:
    """Lets through what may come in."""

    def __init__(self, app: ASGIApp, options: Options, budget: Budget) -> None:
        self._app = app
        self._options = options
        self._budget = budget

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI wants it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        has_begun = False

        async def send_guarded(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                headers = MutableHeaders(scope=message)
                for name, value in _HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            status, error = refusal
            more = {"WWW-Authenticate": "Bearer"} if status == 401 else {}
            await error_response(status, error, more)(scope, receive, send_guarded)
            return
        body = _Body(receive, self._largest(headers), self._options, self._budget)
        try:
            await self._app(scope, body.receive, send_guarded)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if has_begun:
                raise
            await error_response(500, _SURPRISE)(scope, receive, send_guarded)
        finally:
            body.done()

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Why this may not come in; None where it may."""
        scheme, hosts = reached_as(scope, headers)
        if not all(map(self._knows, hosts)):  # the Host header, whatever a proxy says besides
            return 403, "this server is not known by that name; see --allow-host"
        if not self._is_own(scope["method"], headers, scheme, hosts):
            return 403, _FOREIGN
        path = route_of(scope)
        is_open = path in _OPEN or path.startswith("/static/")
        token = self._options.token
        if not (token is None or is_open or _shows(token, scope, headers)):
            return 401, "this needs the token: Authorization: Bearer TOKEN"
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._largest(headers):
            return 413, _too_large(self._largest(headers))
        return None

    def _knows(self, host: str) -> bool:
        name = _name(host)
        if name is None:
            return False
        return self._options.hosts is None or name in self._options.hosts

    def _is_own(self, method: str, headers: Headers, scheme: str, hosts: Sequence[str]) -> bool:
        """Whether no page of another site has a browser ask this. What is no browser says nothing
        of where it comes from, and may come in; one may follow a link to here, or type the
        address."""
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
            return self._knows(parts.netloc)
        if scheme and parts.scheme != scheme:
            return False
        told = self._options.hosts is not None and f"{name}:{port}" in self._options.hosts
        return told or any(_is_at(host, name, port, parts.scheme) for host in hosts)

    def _largest(self, headers: Headers) -> int:
        if kind_of(headers) == "application/json":
            return _LARGEST_JSON
        return self._options.upload_bytes + _BESIDE


class _Body:
    """A request's body, as far as it may go."""

    def __init__(self, receive: Receive, largest: int, options: Options, budget: Budget) -> None:
        self._receive = receive
        self._largest = largest
        self._pause = options.pause_seconds
        self._deadline = time.monotonic() + options.body_seconds
        self._budget = budget
        self._bytes = 0
        self._is_whole = False

    async def receive(self) -> Message:
        """What comes next.

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
            raise HTTPException(413, _too_large(self._largest))
        if not self._budget.take(size):
            raise HTTPException(503, "too much is uploaded at once; try again soon", COME_AGAIN)
        self._bytes += size
        self._is_whole = not message.get("more_body", False)
        return message

    def done(self) -> None:
        """It is no longer in memory."""
        self._budget.give_back(self._bytes)


def kind_of(headers: Headers) -> str:
    """The media type of the body."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


def _shows(token: str, scope: Scope, headers: Headers) -> bool:
    """Whether who asks knows the token, or has the cookie that the page got for it."""
    kind, _, told = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return hmac.compare_digest(told.strip().encode(), token.encode())
    try:
        morsel = SimpleCookie(headers.get("cookie", "")).get(cookie_name(scope))
    except CookieError:
        return False
    return morsel is not None and hmac.compare_digest(
        morsel.value.encode(), cookie_value(token).encode()
    )


def cookie_name(scope: Scope) -> str:
    """Of this server: cookies don't tell one port of a machine from another."""
    server = scope.get("server")
    return f"tll_index_{server[1] if server else 0}"


def cookie_value(token: str) -> str:
    """What the page's cookie holds: it proves the token and doesn't tell it."""
    return hmac.new(token.encode(), b"cookie of tll-index", hashlib.sha256).hexdigest()


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


def _too_large(largest: int) -> str:
    return f"the body is larger than {largest >> 10:,} KiB"
