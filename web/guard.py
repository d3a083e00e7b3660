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

from .answers import COME_AGAIN, answer, log

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .budget import Budget
    from .options import Options

_BESIDE = 64 << 10
"""Bytes that a body may have besides the picture in it: the borders of multipart."""

_LARGEST_JSON = 256 << 10

_OPEN = ("/", "/healthz", "/favicon.ico")
"""What is there for everyone, besides /static/: nothing in it is about anybody's pictures."""

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
            await answer(status, error, more)(scope, receive, send_guarded)
            return
        body = _Body(receive, self._largest(headers), self._options, self._budget)
        try:
            await self._app(scope, body.receive, send_guarded)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if has_begun:
                raise
            await answer(500, _SURPRISE)(scope, receive, send_guarded)
        finally:
            body.done()

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Why this may not come in; None where it may."""
        if not self._knows(headers.get("host", "")):
            return 403, "this server is not known by that name; see --allow-host"
        if not _is_own(scope, headers):
            return 403, "this was asked by a page of another site"
        is_open = scope["path"] in _OPEN or scope["path"].startswith("/static/")
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
    """A Host header's name or address, without port and brackets; None where it is none."""
    try:
        return urlsplit(f"//{host}").hostname if host and "@" not in host else None
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches that name or address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _is_own(scope: Scope, headers: Headers) -> bool:
    """Whether no page of another site has a browser ask this. What is no browser says nothing of
    where it comes from, and may come in; one may follow a link to here, or type the address."""
    changes = scope["method"] not in ("GET", "HEAD", "OPTIONS")
    origin = headers.get("origin")
    if origin is not None and changes:
        try:
            there = urlsplit(origin).netloc.lower()
        except ValueError:
            return False
        if there != headers.get("host", "").lower():
            return False
    site = headers.get("sec-fetch-site", "none")
    if site in ("same-origin", "none"):
        return True
    return (
        not changes
        and headers.get("sec-fetch-mode") == "navigate"
        and headers.get("sec-fetch-dest") == "document"
    )


def _too_large(largest: int) -> str:
    return f"the body is larger than {largest >> 10:,} KiB"
