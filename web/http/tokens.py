"""The token that clients need, and the cookie that the page gets for it."""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from starlette.datastructures import Headers
    from starlette.types import Scope


def has_token(token: str, scope: Scope, headers: Headers) -> bool:
    """Whether the request shows the token, or the cookie that the page got for it."""
    kind, _, shown = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer":
        return hmac.compare_digest(shown.strip().encode(), token.encode())
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
