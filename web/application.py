"""The application: routes, files of the page, and the layers around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI
from starlette.staticfiles import StaticFiles

from ..core.version import __version__
from . import pages
from .api.routes import ROUTERS
from .api.state import ApiState
from .http.forwarded import Forwarded
from .http.guard import Guard
from .http.head import Head
from .http.metrics import Counting
from .http.responses import add_error_handlers
from .http.settings import Options

if TYPE_CHECKING:
    from ..indexer.store.store import Store

_SILENT: Any = {"tracing": False, "metrics": False, "logs": False, "auto_configure": False}
"""What FastAPI would tell a collector of OpenTelemetry about requests, were one in the environment;
versions that tell nothing pass it over."""


def app(store: Store, options: Options | None = None) -> FastAPI:
    """The application over an open store, which stays open when it ends.

    Raises:
        StoreMismatchError, WeightsError, LensError: what made the store is not what is here.
    """
    options = options or Options()
    state = ApiState(store, options)
    state.warm_up()

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        state.stop()

    made = FastAPI(
        title="tll-index",
        version=__version__,
        description="Which other pictures look like this one?",
        lifespan=lifespan,
        openapi_url=None,
        docs_url=None,  # both load scripts from elsewhere
        redoc_url=None,
        telemetry=_SILENT,
    )
    made.state.api = state
    add_error_handlers(made)
    for router in (*ROUTERS, pages.router):
        made.include_router(router)
    made.mount("/static", StaticFiles(directory=pages.STATIC, check_dir=False))
    made.add_middleware(Head)
    made.add_middleware(Guard, options=options, budget=state.budget)
    made.add_middleware(Counting, metrics=state.metrics)
    made.add_middleware(Forwarded, options=options)
    return made
