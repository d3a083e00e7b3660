"""The API's OpenAPI description."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fastapi.openapi.utils import get_openapi

from ..http.schemas import QueryRequest

if TYPE_CHECKING:
    from fastapi import FastAPI


def describe(app: FastAPI, root_path: str = "") -> dict[str, Any]:
    """The document, for somebody who reaches the application below `root_path`."""
    document = _made_once(app)
    return {**document, "servers": [{"url": root_path}]} if root_path else document


def _made_once(app: FastAPI) -> dict[str, Any]:
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title, version=app.version, description=app.description, routes=app.routes
        )
        schemas = document.setdefault("components", {}).setdefault("schemas", {})
        model = QueryRequest.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(model.pop("$defs", {}), **{QueryRequest.__name__: model})
        app.openapi_schema = document
    return app.openapi_schema
