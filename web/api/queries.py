"""POST /api/query: the indexed pictures that look most like some, and least like others."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response

from ...core.errors import UsageError
from ..http.request_bodies import PICTURE_BODY, json_in, media_type_of
from ..http.responses import Json, failures, refuse
from ..http.schemas import Filters, QueryRequest, QueryResponse, filters_of
from ..pictures.facts import describe_hit
from ..pictures.public_paths import PublicPaths
from ..pictures.uploaded_queries import FORGOTTEN
from .dependencies import State
from .uploads import encoded

if TYPE_CHECKING:
    from ...indexer.store.query import QueryEmbedding
    from ...indexer.store.store import Store
    from .state import ApiState

router = APIRouter(prefix="/api")


def _as_parameters(model: type[Filters]) -> list[dict[str, Any]]:
    """The model's fields as parameters of a URL, for the API's description."""
    fields = model.model_json_schema()["properties"]
    rows = [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]
    return [*rows, {"name": "crop", "in": "query", "schema": {"type": "string"}}]


@router.post(
    "/query",
    response_model=QueryResponse,
    responses=failures(400, 404, 408, 410, 413, 415, 422, 503),
    openapi_extra={
        "parameters": _as_parameters(Filters),
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": {"$ref": f"#/components/schemas/{QueryRequest.__name__}"}
                },
                **PICTURE_BODY,
            },
        },
    },
)
async def query(request: Request, state: State) -> Response:
    """The indexed pictures that look most like some and least like others, best first. A
    picture itself may be sent instead of JSON; what else is wanted is then said in the URL."""
    started = time.perf_counter()
    if media_type_of(request.headers) == "application/json":
        wanted = QueryRequest.model_validate(await json_in(request))
        return await _respond(await _embeddings(wanted, state), wanted, state, started)
    filters = filters_of(request.query_params)
    uploaded = await encoded(request, state, request.query_params.get("crop"))
    return await _respond(lambda: [uploaded.embedding], filters, state, started)


async def _respond(
    embeddings: Callable[[], list[QueryEmbedding]], wanted: Filters, state: ApiState, started: float
) -> Response:
    """A `QueryResponse`; `started`: when the request came, by `time.perf_counter`."""
    found = await state.workers.searching.do(lambda: _search(state.store, embeddings(), wanted))
    return Json({**found, "took_ms": round((time.perf_counter() - started) * 1000, 3)})


async def _embeddings(wanted: QueryRequest, state: ApiState) -> Callable[[], list[QueryEmbedding]]:
    """What reads the embeddings of a query from the store, in a thread that may wait for it;
    those that the network or the memory gives are there already.

    Raises:
        HTTPException: 410 an upload is no longer remembered, 503 there is too much to do.
    """
    parts = [(part, 1) for part in wanted.like] + [(part, -1) for part in wanted.unlike]
    uploads = {
        name: _remembered(name, state) for part, _ in parts if (name := part.upload) is not None
    }
    described: list[QueryEmbedding] = []
    if (text := wanted.text) is not None:
        described = [await state.workers.encoding.do(lambda: state.store.encode_text(text))]

    def read() -> list[QueryEmbedding]:
        return described + [
            (
                uploads[part.upload] if part.upload else state.store.encode_indexed(part.id or "")
            ).weighing(sign * part.weight)
            for part, sign in parts
        ]

    return read


def _remembered(name: str, state: ApiState) -> QueryEmbedding:
    if (uploaded := state.uploads.get(name)) is None:
        refuse(410, FORGOTTEN)
    return uploaded.embedding


def _search(store: Store, embeddings: list[QueryEmbedding], wanted: Filters) -> dict[str, Any]:
    """A `QueryResponse`, but for the time it took."""
    public = PublicPaths(store.roots())
    try:
        filter = public.patterns(wanted.folder, wanted.filter)
    except ValueError as error:
        raise UsageError(str(error)) from None
    end = wanted.offset + wanted.limit
    hits = store.query_blend(
        embeddings,
        end + 1,
        filter=filter,
        min_score=wanted.min_score,
        include_self=wanted.include_self,
    )
    return {
        "hits": [describe_hit(hit, public) for hit in hits[wanted.offset : end]],
        "total_pictures": len(store),
        "more": len(hits) > end,
    }
