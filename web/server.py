"""Runs the application: finds a port, tells the address, ends in order."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import uvicorn

from ..core.errors import TllError, UsageError
from ..core.names import shown
from ..indexer.store.store import Store
from .app import app
from .http.forwarded import networks, root_path
from .http.guard import is_loopback
from .http.settings import Options

if TYPE_CHECKING:
    from os import PathLike

    from fastapi import FastAPI

PORT = 8017

_GRACE_SECONDS = 5
"""What is being answered when the end comes has so long to be finished."""

_IDLE_SECONDS = 30
"""A connection on which nothing is asked is closed after so long."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Address:
    """Where the server is reached."""

    host: str
    port: int
    token: str | None
    root_path: str = ""

    @property
    def url(self) -> str:
        """For a browser; with the token, where there is one, in the part that is not sent."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        fragment = f"#token={self.token}" if self.token else ""
        return f"http://{host}:{self.port}{self.root_path}/{fragment}"


class Server:
    """A store that is served, in threads beside the caller's, from `start` to `stop`, or in
    `with`."""

    def __init__(
        self,
        store: Store,
        *,
        host: str = "127.0.0.1",
        port: int = PORT,
        token: str | None = None,
        names: Iterable[str] = (),
        options: Options | None = None,
    ) -> None:
        """
        Args:
            store: stays open afterwards.
            host: an address of this machine. All but loopback demand a token.
            port: 0 takes one that is free.
            token: whoever asks must know it; None makes one up where one is demanded.
            names: by which it may be called besides `host`, such as a reverse proxy's; NAME:PORT
                where the proxy doesn't pass on by which port it is reached.
            options: limits; its host names and token are replaced.

        Raises:
            UsageError: an address, port or token that can't be.
            TllError: the port is taken, or can't be had.
            StoreMismatchError, WeightsError, LensError: what made the store is not what is here.
        """
        if token is None and not is_loopback(host):
            token = secrets.token_urlsafe(32)
        options = options or Options()
        root = root_path(options.root_path)
        options = replace(options, token=token, hosts=_names(host, names), root_path=root)
        networks(options.proxies)
        self._listening = _listening(host, port)
        try:
            port = self._listening.getsockname()[1]
            self.address = Address(_reached(host), port, token, root)
            self._server = _server(app(store, options))
        except BaseException:
            self._listening.close()
            raise
        # Not in the main thread, where signals stay what they are everywhere in this package.
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def start(self) -> None:
        """Begin; questions are answered when this returns.

        Raises:
            TllError: the server ended at once; the log says why.
        """
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise TllError("the server did not start; what it printed says why")
            time.sleep(0.01)

    def wait(self) -> None:
        """Until the server ends."""
        self._thread.join()

    def stop(self) -> None:
        """End it; what is being answered is finished, within some seconds."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        self._listening.close()

    def __enter__(self) -> Server:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self) -> None:
        self._server.run(sockets=[self._listening])


def serve(
    store: Store | str | PathLike[str] | None = None,
    *,
    ready: Callable[[Address], object] | None = None,
    **how: Any,
) -> None:
    """Serve a store until the process is told to stop (a `KeyboardInterrupt`).

    Args:
        store: an open store, or its folder; None as in `Store.open`.
        ready: is told the address as soon as questions are answered.
        how: as for `Server`.

    Raises:
        As `Server` and `Store.open`.
    """
    with ExitStack() as stack:
        if not isinstance(store, Store):
            store = stack.enter_context(Store.open(store))
        server = stack.enter_context(Server(store, **how))
        if ready is not None:
            ready(server.address)
        server.wait()


def _server(application: FastAPI) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            application,
            log_level="warning",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # see forwarded.py
            ws="none",
            lifespan="on",
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )


def _listening(host: str, port: int) -> socket.socket:
    """
    Raises:
        UsageError, TllError
    """
    if not 0 <= port <= 65535:
        raise UsageError(f"--port: {port} is none; take 1 to 65535, or 0 for one that is free")
    try:
        family, kind, _, _, where = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
    except (OSError, UnicodeError):
        raise UsageError(f"--host: {shown(host)!r} is no address of this machine") from None
    listening = socket.socket(family, kind)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where)
        listening.listen(1024)
        return listening
    except OSError as error:
        listening.close()
        if error.errno == errno.EADDRINUSE:
            raise TllError(
                f"port {port} of {host} is taken; choose another with --port, or 0 for any"
            ) from None
        if error.errno == errno.EADDRNOTAVAIL:
            raise UsageError(f"--host: {shown(host)!r} is no address of this machine") from None
        raise TllError(
            f"port {port} of {host} can't be had: {os.strerror(error.errno or 0)}"
        ) from None


def _names(host: str, more: Iterable[str]) -> frozenset[str] | None:
    """By which the server may be called; None for any, where it listens everywhere."""
    others = {one for name in more for one in _called(name)}
    if is_loopback(host):
        return frozenset({*_LOOPBACK, host.lower(), *others})
    return None if _is_everywhere(host) else frozenset({host.lower(), *others})


def _called(said: str) -> set[str]:
    """The name of --allow-host and, where it has one, the name with its port. A URL is taken as
    well.

    Raises:
        UsageError: it is none.
    """
    text = said.lower().strip()
    with contextlib.suppress(ValueError):
        return {str(ip_address(text))}
    try:
        parts = urlsplit(text if "://" in text else f"//{text}")
        name, port = parts.hostname, parts.port
    except ValueError:
        name = port = None
    if not name or parts.path.strip("/") or parts.query or "@" in parts.netloc or " " in text:
        raise UsageError(f"--allow-host: {shown(said)!r} is no name, such as pictures.example")
    name = name.removesuffix(".")
    return {name} if port is None else {name, f"{name}:{port}"}


def _is_everywhere(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")


def _reached(host: str) -> str:
    """A name under which people reach it."""
    return socket.gethostname() if _is_everywhere(host) else host
