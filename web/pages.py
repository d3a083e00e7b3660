"""Routes that are no part of the API: the page, the API's description, and for monitoring."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.responses import FileResponse, HTMLResponse

from .api.dependencies import State
from .api.openapi import describe
from .api.reference import render_reference
from .http.responses import Json

STATIC = Path(__file__).parent / "static"
"""Files of the page."""

router = APIRouter(include_in_schema=False)


@router.get("/")
async def page() -> Response:
    """The page itself."""
    return FileResponse(STATIC / "index.html")


@router.get("/healthz")
async def health() -> Response:
    """That the server responds."""
    return Response("ok\n", media_type="text/plain")


@router.get("/metrics")
async def metrics(state: State) -> Response:
    """For Prometheus."""
    return Response(state.metrics.text(), headers={"content-type": CONTENT_TYPE_LATEST})


@router.get("/api/openapi.json")
async def openapi(request: Request) -> Response:
    """The API's description, for programs."""
    return Json(describe(request.app, request.scope.get("root_path", "")))


@router.get("/api/docs")
async def reference(request: Request) -> Response:
    """The API's description, for people."""
    return HTMLResponse(render_reference(describe(request.app, request.scope.get("root_path", ""))))
