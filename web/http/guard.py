"""Which requests may come in: plain ASGI, before any route.

It keeps away foreign pages (names that lead here by DNS rebinding, requests that a browser sends
for another site), those without the token, and bodies that are too large or too slow; it tells
browsers that what is sent here concerns nobody else; and nobody gets to see a traceback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from .body_limits import LimitedBody, too_large
from .forwarded import reached_as, route_of
from .origins import Origins
from .request_bodies import media_type_of
from .responses import error_response, log
from .tokens import has_token

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .budget import Budget
    from .settings import Options

_AROUND_A_PICTURE = 64 << 10
"""Bytes that a body may have besides the picture in it: the borders of multipart."""

_LARGEST_JSON = 256 << 10

_OPEN = ("/", "/healthz", "/favicon.ico")
"""What is there for everyone, besides /static/: nothing in it is about anybody's pictures."""

_FOREIGN = (
    "this request is from a page of another site; a proxy has to pass on the name and port by "
    "which it is reached (Host, or X-Forwarded-Host)"
)

_UNEXPECTED = "unexpected: a bug; the server's own output says more"

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
    """The ASGI layer that refuses requests from foreign pages, without the token, or too large."""

    def __init__(self, app: ASGIApp, options: Options, budget: Budget) -> None:
        self._app = app
        self._options = options
        self._origins = Origins(options.hosts)
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
        body = LimitedBody(receive, self._largest(headers), self._options, self._budget)
        try:
            await self._app(scope, body.receive, send_guarded)
        except Exception:
            log.exception("%s %s failed", scope["method"], scope["path"])
            if has_begun:
                raise
            await error_response(500, _UNEXPECTED)(scope, receive, send_guarded)
        finally:
            body.done()

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        """Why this may not come in; None where it may."""
        scheme, hosts = reached_as(scope, headers)
        # The Host header must be known, whatever a proxy says besides.
        if not all(map(self._origins.knows, hosts)):
            return 403, "this server is not known by that name; see --allow-host"
        if not self._origins.is_own(scope["method"], headers, scheme, hosts):
            return 403, _FOREIGN
        path = route_of(scope)
        is_open = path in _OPEN or path.startswith("/static/")
        token = self._options.token
        if not (token is None or is_open or has_token(token, scope, headers)):
            return 401, "this needs the token: Authorization: Bearer TOKEN"
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > self._largest(headers):
            return 413, too_large(self._largest(headers))
        return None

    def _largest(self, headers: Headers) -> int:
        if media_type_of(headers) == "application/json":
            return _LARGEST_JSON
        return self._options.upload_bytes + _AROUND_A_PICTURE
