"""A page to look on from picture to picture, and a JSON API beside it: FastAPI over `Store`.

What a notebook types::

    from tll_index.web import serve
    serve("photos.tll", port=8017)        # until it is interrupted

`app(store)` is the FastAPI application itself, for another server or to be mounted in another
application. Both are loaded on first use: they need the extra `serve`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .application import app as app
    from .options import Options as Options
    from .server import serve as serve

_HOMES = {"app": ".application", "Options": ".options", "serve": ".server"}

__all__ = [*_HOMES]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name], __name__), name)
