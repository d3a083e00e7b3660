"""What a reverse proxy says of a request: for which client, and how the server was reached.

That is by which scheme, name and port, below which path. Only trusted proxies are believed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import RedirectResponse

from ...core.errors import UsageError
from ...core.names import shown

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .settings import Options

Networks: TypeAlias = "tuple[IPv4Network | IPv6Network, ...]"

_PREFIX = re.compile(r"(/(?!\.\.?(/|$))[A-Za-z0-9._~-]+)+")
_OURS = ("/api", "/static")
"""What is below them can't be told from what is below a prefix of that name."""

_FORWARDED = "tll_index.forwarded"
"""In the scope: what a trusted proxy said, see `reached_as`."""


class Forwarded:
    """The outermost ASGI layer: rewrites the scope by what a trusted proxy says, and puts the page
    below the path that it has outside."""

    def __init__(self, app: ASGIApp, options: Options) -> None:
        self._app = app
        self._trusted = networks(options.proxies)
        self._root_path = options.root_path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI wants it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        rewritten = self._rewritten(scope)
        root = rewritten["root_path"]
        if root and rewritten["path"] == root and rewritten["method"] in ("GET", "HEAD"):
            query = rewritten.get("query_string", b"").decode("latin-1")
            page = f"{root}/{'?' if query else ''}{query}"  # else its own links would lead astray
            await RedirectResponse(page, 308)(rewritten, receive, send)
            return

        async def send_relative(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                if (to := headers.get("location")) is not None:
                    headers["location"] = _relative(to)
            await send(message)

        await self._app(rewritten, receive, send_relative)

    def _rewritten(self, scope: Scope) -> Scope:
        headers, rewritten = Headers(scope=scope), dict(scope)
        root = self._root_path
        peer = scope["client"][0] if scope.get("client") else ""
        if _is_in(peer, self._trusted):
            scheme = _first(headers, "x-forwarded-proto").lower()
            host, port = _first(headers, "x-forwarded-host"), _first(headers, "x-forwarded-port")
            rewritten[_FORWARDED] = {
                "scheme": scheme if scheme in ("http", "https") else "",
                "host": host,
                "port": int(port) if re.fullmatch("[0-9]{1,5}", port) else None,
            }
            rewritten["scheme"] = rewritten[_FORWARDED]["scheme"] or scope["scheme"]
            rewritten["client"] = (self._client(headers, peer), 0)
            root = root or _prefix(_first(headers, "x-forwarded-prefix"))
        rewritten["root_path"] = root
        if root and not is_below(scope["path"], root):  # the proxy took it off
            rewritten["path"] = root + scope["path"]
        return rewritten

    def _client(self, headers: Headers, peer: str) -> str:
        """The last address that no trusted proxy has, of those through which it came."""
        for value in reversed(",".join(headers.getlist("x-forwarded-for")).split(",")):
            address = _address(value)
            if address is None:
                break
            peer = str(address)
            if not _is_in(peer, self._trusted):
                break
        return peer


def reached_as(scope: Scope, headers: Headers) -> tuple[str, list[str]]:
    """How the client reached the server: the scheme, where a trusted proxy said it, else empty; and
    the hosts under which (with a port, where one is known), the Host header's first."""
    forwarded: dict[str, Any] = scope.get(_FORWARDED, {})
    hosts = [headers.get("host", "")]
    if forwarded.get("host"):
        hosts.append(forwarded["host"])
    if (port := forwarded.get("port")) is not None:
        hosts += [f"{host}:{port}" for host in hosts if has_no_port(host)]
    return forwarded.get("scheme", ""), hosts


def has_no_port(host: str) -> bool:
    """Whether a Host header says a name alone."""
    try:
        return bool(host) and urlsplit(f"//{host}").port is None
    except ValueError:
        return False


def route_of(scope: Scope) -> str:
    """The path of a request below the server's root path."""
    path, root = scope["path"], scope.get("root_path", "")
    return path[len(root) :] if root and is_below(path, root) else path


def is_below(path: str, root: str) -> bool:
    """Whether `path` is `root` or below it."""
    return path == root or path.startswith(f"{root}/")


def root_path(value: str) -> str:
    """`--root-path` as it is used: "" or such as "/lookalikes".

    Raises:
        UsageError: it is none.
    """
    found = f"/{value.strip('/')}" if value.strip("/") else ""
    if found and not _PREFIX.fullmatch(found):
        raise UsageError(
            f"--root-path: {shown(value)!r} is not a path; name one such as /lookalikes"
        )
    if any(is_below(found, ours) for ours in _OURS):
        raise UsageError(f"--root-path: {shown(value)!r} is a path of the server's own")
    return found


def networks(names: Iterable[str]) -> Networks:
    """Addresses and networks of proxies; * is all.

    Raises:
        UsageError: one is neither.
    """
    found: list[IPv4Network | IPv6Network] = []
    for one in names:
        try:
            found += map(ip_network, ("0.0.0.0/0", "::/0") if one == "*" else (one,))
        except ValueError:
            raise UsageError(
                f"--trusted-proxy: {shown(one)!r} is not an address or network, such as 10.0.0.0/8"
            ) from None
    return tuple(found)


def _is_in(address: str, trusted: Networks) -> bool:
    found = _address(address)
    return found is not None and any(found in network for network in trusted)


def _address(value: str) -> Any:
    """An IP address, without the port that some proxies add to it; None where it is none."""
    text = value.strip()
    if match := re.fullmatch(r"\[([0-9A-Fa-f:.]+)\](:\d+)?|([0-9.]+):\d+", text):
        text = match[1] or match[3]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    return (isinstance(found, IPv6Address) and found.ipv4_mapped) or found


def _first(headers: Headers, name: str) -> str:
    """Of the values that several proxies added, that of the outermost."""
    return headers.get(name, "").partition(",")[0].strip()


def _prefix(value: str) -> str:
    try:
        return root_path(value)
    except UsageError:
        return ""


def _relative(location: str) -> str:
    """We lead to nobody but ourselves, and only the browser knows by which name and port."""
    parts = urlsplit(location)
    return f"{parts.path}?{parts.query}" if parts.query else parts.path
