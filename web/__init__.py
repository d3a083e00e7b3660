"""A page to go from lookalike to lookalike, and a JSON API beside it: FastAPI over `Store`.

What a notebook types::

    from tll_index.web import Server, serve
    serve("photos.tll")                   # until it is interrupted

    with Server(store, port=0) as server: # beside what else the program does
        print(server.address.url)

`app(store)` is the FastAPI application itself, for another server or to be mounted in another
application. All are loaded on first use: they need the extra `serve`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .application import app as app
    from .http.settings import Options as Options
    from .server import Server as Server
    from .server import serve as serve

_EXPORTS = {
    "app": ".application",  # a module of the function's own name would take its place
    "Options": ".http.settings",
    "Server": ".server",
    "serve": ".server",
}

__all__ = [*_EXPORTS]


def __getattr__(name: str) -> object:
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_EXPORTS[name], __name__), name)
