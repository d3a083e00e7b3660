"""Runs the application: finds a port, tells the address, ends in order."""

from __future__ import annotations

import errno
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import uvicorn

from ..config import Settings
from ..errors import TllError, UsageError
from ..indexer.store import Store
from ..names import shown
from .application import app
from .guard import is_loopback
from .options import Options

if TYPE_CHECKING:
    from os import PathLike

PORT = 8017

_GRACE_SECONDS = 5
"""What is being answered when the end comes has so long to be finished."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


@dataclass(frozen=True)
class Address:
    """Where the server is reached."""

    host: str
    port: int
    token: str | None

    @property
    def url(self) -> str:
        """For a browser; with the token, where there is one, in the part that is not sent."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        fragment = f"#token={self.token}" if self.token else ""
        return f"http://{host}:{self.port}/{fragment}"


def serve(
    store: Store | str | PathLike[str] | None = None,
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    token: str | None = None,
    names: Iterable[str] = (),
    options: Options | None = None,
    settings: Settings | None = None,
    ready: Callable[[Address], None] | None = None,
) -> None:
    """Serve a store until the process is told to stop (a `KeyboardInterrupt`).

    Args:
        store: an open store, or its folder as for `Store.open`.
        host: an address of this machine. All but loopback demand a token.
        port: 0 takes one that is free.
        token: whoever asks must know it; None makes one up where one is demanded.
        names: by which it may be called besides `host`, such as a reverse proxy's.
        options: limits; host names and token in it are replaced.
        ready: is told the address as soon as questions are answered.

    Raises:
        UsageError: an address, port or token that can't be.
        TllError: the port is taken, or can't be had.
        StoreError, WeightsError, LensError: the store can't be asked.
    """
    is_open = isinstance(store, Store)
    opened = store if isinstance(store, Store) else Store.open(store, settings=settings)
    try:
        with closing(_listening(host, port)) as listening:
            if token is None and not is_loopback(host):
                token = secrets.token_urlsafe(32)
            options = replace(
                options or Options(), token=token, hosts=_names(host, names)
            )
            address = Address(_reached(host), listening.getsockname()[1], token)
            _run(opened, options, listening, lambda: ready and ready(address))
    finally:
        if not is_open:
            opened.close()


def _run(
    store: Store, options: Options, listening: socket.socket, ready: Callable[[], object]
) -> None:
    application = app(store, options)
    server = uvicorn.Server(
        uvicorn.Config(
            application,
            log_level="warning",
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="on",
            timeout_keep_alive=30,
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    # In a thread of its own, so that signals stay what they are everywhere here: the main thread's.
    thread = threading.Thread(
        target=server.run, kwargs={"sockets": [listening]}, name="server", daemon=True
    )
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.02)
        if server.started:
            ready()
        thread.join()
    finally:
        server.should_exit = True
        thread.join()


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
    if is_loopback(host):
        return frozenset({*_LOOPBACK, host.lower(), *(name.lower() for name in more)})
    if _is_everywhere(host):
        return None
    return frozenset({host.lower(), *(name.lower() for name in more)})


def _is_everywhere(host: str) -> bool:
    return host in ("", "0.0.0.0", "::")


def _reached(host: str) -> str:
    """A name under which people reach it."""
    return socket.gethostname() if _is_everywhere(host) else host
