"""Runs the application: takes a port, tells the address, ends in order."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import uvicorn

from ..core.errors import TllError
from ..indexer.store.store import Store
from .application import app
from .http.forwarded import networks, root_path
from .http.origins import is_loopback
from .http.settings import Options
from .listening import host_names, listen, name_of

if TYPE_CHECKING:
    from os import PathLike

    from fastapi import FastAPI

DEFAULT_PORT = 8017

_GRACE_SECONDS = 5
"""Requests under way when the end comes have so long to finish."""

_IDLE_SECONDS = 30
"""A connection without requests is closed after so long."""


@dataclass(frozen=True)
class Address:
    """The address of a server, as people are told it."""

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
    """A store that is served, in threads beside the caller's, from `start` to `stop`, or inside
    `with`."""

    def __init__(
        self,
        store: Store,
        *,
        host: str = "127.0.0.1",
        port: int = DEFAULT_PORT,
        token: str | None = None,
        names: Iterable[str] = (),
        options: Options | None = None,
    ) -> None:
        """
        Args:
            store: stays open afterwards.
            host: an address of this machine. All but loopback demand a token.
            port: 0 takes one that is free.
            token: every client must know it; None makes one up where one is demanded.
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
        options = replace(options, token=token, hosts=host_names(host, names), root_path=root)
        networks(options.proxies)
        self._socket = listen(host, port)
        try:
            port = self._socket.getsockname()[1]
            self.address = Address(name_of(host), port, token, root)
            self._server = _uvicorn(app(store, options))
        except BaseException:
            self._socket.close()
            raise
        # Not in the main thread, where signals stay what they are everywhere in this package.
        self._thread = threading.Thread(target=self._run, name="server", daemon=True)

    def start(self) -> None:
        """Begin; queries are answered when this returns.

        Raises:
            TllError: the server ended at once; the log says why.
        """
        self._thread.start()
        while not self._server.started:
            if not self._thread.is_alive():
                raise TllError("the server did not start; what it printed says why")
            time.sleep(0.01)

    def wait(self) -> None:
        """Wait until the server ends."""
        self._thread.join()

    def stop(self) -> None:
        """End it; requests under way have some seconds to finish."""
        self._server.should_exit = True
        if self._thread.ident is not None:
            self._thread.join()
        self._socket.close()

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
        self._server.run(sockets=[self._socket])


def serve(
    store: Store | str | PathLike[str] | None = None,
    *,
    ready: Callable[[Address], object] | None = None,
    **how: Any,
) -> None:
    """Serve a store until the process is told to stop (a `KeyboardInterrupt`).

    Args:
        store: an open store, or its folder; None as in `Store.open`.
        ready: is told the address as soon as queries are answered.
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


def _uvicorn(application: FastAPI) -> uvicorn.Server:
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
