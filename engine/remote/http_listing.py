"""Folders and files on the web: pages of links, read within limits, and never of another host.

fsspec has the loop and the session (and so what its configuration says of both); what a page is
and which answers are believed is decided here: a failure must not look like a missing file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from html.parser import HTMLParser
from typing import Any
from urllib.parse import quote, urljoin, urlsplit

from ...core.errors import AddressError, MissingAddressError, UnreachableError
from .backoff import TooLong, explained
from .entries import CONNECT_SECONDS, READ_SECONDS, Entry, stamp_of
from .urls import KEEPS

_LONGEST = 600
"""Seconds that an answer may take, however much it sends."""
_LARGEST_PAGE = 64 << 20
_AT_ONCE = 16
"""Files of a folder that are asked for their state at once."""
_CHUNK = 1 << 18


def options(configured: dict[str, Any]) -> dict[str, Any]:
    """What fsspec's file system is made with, from what its configuration says."""
    import aiohttp

    client = {
        "timeout": aiohttp.ClientTimeout(
            _LONGEST, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS
        ),
        "trust_env": True,  # proxies, ~/.netrc
        **configured.get("client_kwargs", {}),
        "trace_configs": [_redirects()],
    }
    return {**configured, "client_kwargs": client}


def listed(system: Any, folder: str, wanted: Callable[[str, bool], bool]) -> list[Entry]:
    """See `remote.entries`: what the page of `folder` links to right below it."""
    page, facts = _run(system, _got, folder + "/", folder, _LARGEST_PAGE)
    if urlsplit(facts["url"]).path.rstrip("/") != urlsplit(folder).path.rstrip("/"):
        raise AddressError(f"is at {facts['url']} now; name that instead", folder)
    if "html" not in facts.get("content-type", "html"):
        raise AddressError(f"is not a listing of files ({facts['content-type']})", folder)
    links = _Links(folder + "/")
    links.feed(page.decode("utf-8", "replace"))
    names = [(name, True) for name in links.folders] + [(name, False) for name in links.files]
    chosen = [(name, is_folder) for name, is_folder in names if wanted(name, is_folder)]
    files = [name for name, is_folder in chosen if not is_folder]
    states: dict[str, Entry] = _run(system, _states, folder, files)
    return [Entry(name, True) for name, is_folder in chosen if is_folder] + list(states.values())


def fetched(system: Any, address: str, most: int) -> bytes:
    """See `remote.read`."""
    data: bytes = _run(system, _got, address, address, most)[0]
    return data


class _Links(HTMLParser):
    """The names right below a folder that its page links to."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        self._folder = folder
        self.files: dict[str, None] = {}
        self.folders: dict[str, None] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        link = dict(attrs).get("href") if tag == "a" else None
        if not link:
            return
        try:
            url = urljoin(self._folder, link.strip()).partition("#")[0]
        except ValueError:
            return
        name = quote(url.removeprefix(self._folder), safe=KEEPS)
        if not url.startswith(self._folder) or "?" in name:
            return
        name, slash, more = name.partition("/")
        if name not in ("", ".", "..") and not more:
            (self.folders if slash else self.files)[name] = None


def _run(system: Any, work: Callable[..., Any], *arguments: Any) -> Any:
    """In the loop that the session belongs to."""
    from fsspec.asyn import sync

    return sync(system.loop, work, system, *arguments)


async def _got(system: Any, url: str, address: str, most: int) -> tuple[bytes, dict[str, str]]:
    """The body and the headers, with `url`, where it was in the end."""
    session = await system.set_session()
    async with session.get(system.encode_url(url), **system.kwargs) as response:
        _require_well(response, address)
        length = response.content_length
        if length is not None and length > most:
            raise TooLong(length)
        data = bytearray()
        async for chunk in response.content.iter_chunked(_CHUNK):
            data += chunk
            if len(data) > most:
                raise TooLong(len(data))
        return bytes(data), _facts(response)


async def _states(system: Any, folder: str, names: list[str]) -> dict[str, Entry]:
    """The files that are there, with their states."""
    turn = asyncio.Semaphore(_AT_ONCE)

    async def state(name: str) -> Entry | None:
        async with turn:
            for last in (False, True):
                try:
                    facts = await _state_of(system, f"{folder}/{name}")
                    break
                except MissingAddressError:
                    return None
                except Exception as error:
                    known = explained(error, f"{folder}/{name}")
                    if isinstance(known, UnreachableError) and last:
                        raise known from None
                    if last or not known.passes:
                        return Entry(name, False)  # whoever reads it says why it can't be
        size = facts.get("content-length", "")
        return Entry(name, False, int(size) if size.isdigit() else 0, stamp_of(facts))

    waiting = [asyncio.ensure_future(state(name)) for name in names]
    try:
        found = await asyncio.gather(*waiting)
    finally:
        for one in waiting:
            one.cancel()
    return {one.name: one for one in found if one is not None}


async def _state_of(system: Any, address: str) -> dict[str, str]:
    """The headers of a file, without its bytes."""
    session = await system.set_session()
    ways = (session.head, session.get)
    for way in ways:
        arguments = {"allow_redirects": True, **system.kwargs}
        async with way(system.encode_url(address), **arguments) as response:
            if response.status in (405, 501) and way is not ways[-1]:
                continue
            _require_well(response, address)
            return _facts(response)
    raise AssertionError


def _facts(response: Any) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()} | {
        "url": str(response.url)
    }


def _require_well(response: Any, address: str) -> None:
    status = response.status
    if status in (404, 410):
        raise MissingAddressError("is not there", address)
    if status in (401, 403, 407):
        raise AddressError(
            f"access is denied ({status}); a name and password can be in ~/.netrc", address
        )
    if status in (502, 503, 504):
        raise UnreachableError(f"its host has trouble ({status} {response.reason})", address)
    if status != 200:
        passes = status >= 500 or status in (408, 429)
        raise AddressError(f"its host says {status} {response.reason}", address, passes)


@cache
def _redirects() -> Any:
    """Refuses to be sent to another host."""
    import aiohttp

    async def refuse(_: object, __: object, what: Any) -> None:
        here = what.url
        there = here.join(type(here)(what.response.headers.get("Location", ""), encoded=True))
        upgraded = (here.scheme, there.scheme) == ("http", "https")
        if here.host != there.host or not (here.port == there.port or upgraded):
            raise AddressError(
                f"is redirected to another host ({there.host}), where nothing is fetched",
                str(here),
            )

    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(refuse)
    return trace
