"""The application: routes, files of the page, and the layers around them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fastapi import FastAPI, Request, Response
from fastapi.openapi.utils import get_openapi
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import FileResponse, HTMLResponse
from starlette.staticfiles import StaticFiles

from ..core.version import __version__
from .api.openapi import reference
from .api.routes import routes
from .api.state import ApiState
from .http import responses as responses
from .http.forwarded import Forwarded
from .http.guard import Guard
from .http.head import Head
from .http.metrics import Counting
from .http.schemas import Question
from .http.settings import Options

if TYPE_CHECKING:
    from ..indexer.store.store import Store

STATIC = Path(__file__).parent / "static"
"""Files of the page."""

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
    responses.add_to(made)
    made.include_router(routes(state))
    _add_pages(made, state)
    made.add_middleware(Head)
    made.add_middleware(Guard, options=options, budget=state.budget)
    made.add_middleware(Counting, metrics=state.metrics)
    made.add_middleware(Forwarded, options=options)
    return made


def _add_pages(made: FastAPI, state: ApiState) -> None:
    @made.get("/", include_in_schema=False)
    async def index() -> Response:
        return FileResponse(STATIC / "index.html")

    @made.get("/healthz", include_in_schema=False)
    async def health() -> Response:
        return Response("ok\n", media_type="text/plain")

    @made.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(state.metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})

    @made.get("/api/openapi.json", include_in_schema=False)
    async def description(request: Request) -> Response:
        return responses.Json(_openapi(made, request))

    @made.get("/api/docs", include_in_schema=False)
    async def docs(request: Request) -> Response:
        return HTMLResponse(reference(_openapi(made, request)))

    made.mount("/static", StaticFiles(directory=STATIC, check_dir=False))


def _openapi(made: FastAPI, request: Request) -> dict[str, Any]:
    """The API's description, which is made once, as whoever asks reaches it."""
    document = _description(made)
    root = request.scope.get("root_path", "")
    return {**document, "servers": [{"url": root}]} if root else document


def _description(made: FastAPI) -> dict[str, Any]:
    if made.openapi_schema is None:
        document = get_openapi(
            title=made.title,
            version=made.version,
            description=made.description,
            routes=made.routes,
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        model = Question.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(model.pop("$defs", {}), Question=model)
        made.openapi_schema = document
    return made.openapi_schema
