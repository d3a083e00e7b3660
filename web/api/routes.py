"""The routes below /api: ask, show, look on."""

from __future__ import annotations

import os
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Request, Response

from ...core.errors import UsageError
from ...engine.images.crops import Crop
from ..http import schemas as schemas
from ..http.guard import cookie_name, cookie_value, kind_of
from ..http.responses import COME_AGAIN, Json, refuse
from ..http.schemas import Filters, Question
from ..http.uploads import json_in, picture_in
from ..pictures.originals import MEDIA_TYPES, original
from ..pictures.public_paths import PublicPaths, text
from ..pictures.refs import found, of_picture
from ..pictures.thumbnails import SIDES
from ..pictures.uploaded_queries import see
from .heatmaps import heatmap, indexed_picture

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

    from ...indexer.store.query import QueryEmbedding
    from .state import ApiState

_FOREVER = "private, max-age=31536000, immutable"
"""How long browsers may keep what is named by its content."""

_MOST_SAMPLED = 200

_FORGOTTEN = "that picture is no longer remembered: upload it again"

_PICTURE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {"picture": {"type": "string", "format": "binary"}},
        "required": ["picture"],
    }
}
_UPLOAD = {
    "image/*": _PICTURE,
    "application/octet-stream": _PICTURE,
    "multipart/form-data": _FORM,
}

_Id = Annotated[str, Path(pattern=schemas.ID, description="SHA-256 of its content, in hex")]


def _fails(*statuses: int) -> dict[int | str, dict[str, Any]]:
    return {status: {"model": schemas.Failure} for status in statuses}


def _in_query(model: type[Filters]) -> list[dict[str, Any]]:
    """The model's fields as parameters of a URL, for the docs."""
    fields = model.model_json_schema()["properties"]
    rows = [{"name": name, "in": "query", "schema": schema} for name, schema in fields.items()]
    return [*rows, {"name": "crop", "in": "query", "schema": {"type": "string"}}]


def routes(state: ApiState) -> APIRouter:
    """Everything below /api that answers for the store of `state`."""
    api = APIRouter(prefix="/api")
    store, workers = state.store, state.workers

    @api.get("/info", response_model=schemas.Info)
    async def info() -> Response:
        """What is served: the store, its folders, the limits."""
        return Json(await workers.searching.do(state.info))

    @api.post("/session", status_code=204, responses=_fails(401))
    async def begin_session(request: Request) -> Response:
        """Get a cookie for the token, which comes as `Authorization: Bearer`."""
        response = Response(status_code=204)
        if (token := state.options.token) is not None:
            response.set_cookie(
                cookie_name(request.scope),
                cookie_value(token),
                httponly=True,
                samesite="strict",
                secure=request.url.scheme == "https",
                path=_page(request),
            )
        return response

    @api.delete("/session", status_code=204)
    async def end_session(request: Request) -> Response:
        """Let the browser forget the cookie."""
        response = Response(status_code=204)
        response.delete_cookie(
            cookie_name(request.scope), httponly=True, samesite="strict", path=_page(request)
        )
        return response

    @api.post(
        "/looks",
        response_model=schemas.UploadedQuery,
        responses=_fails(400, 408, 413, 415, 422, 503),
        openapi_extra={"requestBody": {"required": True, "content": _UPLOAD}},
    )
    async def embedding(request: Request, crop: str | None = None) -> Response:
        """Show a picture, to ask with it by name as long as it is remembered. Only its vector is
        kept, in memory. `crop`: the part to look at, x,y,width,height in pixels or percent."""
        seen = await see(await picture_in(request), _crop(crop), store, workers)
        return Json(
            {
                "look": state.embeddings.keep(seen),
                "width": seen.width,
                "height": seen.height,
                "known": seen.known,
            }
        )

    @api.post(
        "/query",
        response_model=schemas.QueryResponse,
        responses=_fails(400, 404, 408, 410, 413, 415, 422, 503),
        openapi_extra={
            "parameters": _in_query(Filters),
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {"schema": {"$ref": "#/components/schemas/Question"}},
                    **_UPLOAD,
                },
            },
        },
    )
    async def query(request: Request) -> Response:
        """The indexed pictures that look most like some and least like others, best first. A
        picture itself may be sent instead of JSON; what else is wanted is then said in the URL."""
        started = time.perf_counter()
        if kind_of(request.headers) == "application/json":
            wanted = Question.model_validate(await json_in(request))
            parts = [(part, 1) for part in wanted.like] + [(part, -1) for part in wanted.unlike]
            shown = {
                name: _shown(name) for part, _ in parts if (name := part.embedding) is not None
            }
            text = wanted.text
            told = (
                [] if text is None else [await workers.seeing.do(lambda: store.encode_text(text))]
            )

            def embeddings() -> list[QueryEmbedding]:
                return told + [
                    (
                        shown[part.embedding]
                        if part.embedding
                        else store.encode_indexed(part.id or "")
                    ).weighing(sign * part.weight)
                    for part, sign in parts
                ]

            return Json(
                await workers.searching.do(lambda: _response(embeddings(), wanted, started))
            )
        filters = schemas.from_query(request.query_params)
        seen = await see(
            await picture_in(request), _crop(request.query_params.get("crop")), store, workers
        )
        return Json(
            await workers.searching.do(lambda: _response([seen.embedding], filters, started))
        )

    def _shown(name: str) -> QueryEmbedding:
        if (seen := state.embeddings.get(name)) is None:
            refuse(410, _FORGOTTEN)
        return seen.embedding

    def _response(
        embeddings: list[QueryEmbedding], wanted: Filters, started: float
    ) -> dict[str, Any]:
        entries = PublicPaths(store.roots())
        try:
            filter = entries.patterns(wanted.folder, wanted.filter)
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
            "hits": [found(hit, entries) for hit in hits[wanted.offset : end]],
            "total_pictures": len(store),
            "more": len(hits) > end,
            "took_ms": round((time.perf_counter() - started) * 1000, 3),
        }

    @api.get(
        "/why",
        responses={200: {"content": {"image/jpeg": {}}}, **_fails(404, 410, 422, 503)},
        response_class=Response,
    )
    async def why(
        a: Annotated[str, Query(description="id of an indexed picture, or name of a look")],
        b: Annotated[str, Query(pattern=schemas.ID, description="id of an indexed picture")],
    ) -> Response:
        """Both pictures side by side, what makes them alike in warm colours, as a JPEG."""
        if is_id := re.fullmatch(schemas.ID, a):
            query_picture = await indexed_picture(state, a)
        elif (seen := state.embeddings.get(a)) is not None and seen.picture is not None:
            query_picture = seen.picture
        elif seen is not None and seen.known is not None:
            query_picture = await indexed_picture(state, seen.known)
        else:
            refuse(410, _FORGOTTEN)
        image = await heatmap(state, query_picture, b)
        headers = {"cache-control": _FOREVER} if is_id else {}
        return Response(image, media_type="image/jpeg", headers=headers)

    @api.get("/random", response_model=schemas.Sample)
    async def sample(
        count: Annotated[int, Query(ge=1, le=_MOST_SAMPLED)] = 24,
    ) -> Response:
        """Pictures to begin with, others each time."""
        return Json(await workers.searching.do(lambda: {"pictures": state.sample(count)}))

    @api.get("/pictures/{id}", response_model=schemas.PictureFacts, responses=_fails(404))
    async def picture(id: _Id) -> Response:
        """What the store knows of a picture."""
        return Json(
            await workers.searching.do(
                lambda: of_picture(store.picture(id), PublicPaths(store.roots()))
            )
        )

    @api.get(
        "/pictures/{id}/thumbnail",
        responses={200: {"content": {"image/jpeg": {}}}, **_fails(404, 422, 503)},
        response_class=Response,
    )
    async def thumbnail(
        request: Request,
        id: _Id,
        side: Annotated[int, Query(description=f"one of {SIDES}")] = SIDES[1],
    ) -> Response:
        """A small JPEG of it, the longer side so many pixels."""
        if side not in SIDES:
            refuse(422, f"side: one of {', '.join(map(str, SIDES))}")
        headers = {"etag": f'"{id}-{side}"', "cache-control": _FOREVER}
        if request.headers.get("if-none-match") == headers["etag"]:
            await workers.searching.do(lambda: store.picture(id))
            return Response(status_code=304, headers=headers)
        data = await state.thumbnails.of(id, side)
        return Response(data, media_type="image/jpeg", headers=headers)

    @api.get(
        "/pictures/{id}/file",
        responses={200: {"content": {"image/*": {}}}, **_fails(404, 503)},
        response_class=Response,
    )
    async def file(id: _Id) -> Response:
        """The picture's file, as long as it is the one that was indexed."""
        found = await workers.searching.do(lambda: store.picture(id))
        if not state.budget.take(found.file_bytes):
            refuse(503, "too much is sent at once; try again soon", COME_AGAIN)
        give_back = partial(state.budget.give_back, found.file_bytes)
        try:
            data = await workers.reading.do(lambda: original(found))
        except BaseException:
            give_back()
            raise
        return _Lent(
            data,
            give_back,
            media_type=MEDIA_TYPES.get(found.format, "application/octet-stream"),
            headers={
                "etag": f'"{id}"',
                "cache-control": _FOREVER,
                "content-security-policy": "sandbox; default-src 'none'; img-src 'self' data:; "
                "style-src 'unsafe-inline'; frame-ancestors 'none'",
                "content-disposition": _disposition(found.paths[0]),
            },
        )

    return api


class _Lent(Response):
    """A response whose bytes count as in memory until they are sent."""

    def __init__(self, content: bytes, give_back: Callable[[], None], **options: Any) -> None:
        super().__init__(content, **options)
        self._give_back = give_back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._give_back()


def _page(request: Request) -> str:
    """The path of the page, which the cookie is for."""
    return f"{request.scope.get('root_path', '')}/"


def _crop(said: str | None) -> Crop | None:
    return None if said is None else Crop.parse(said[:200])


def _disposition(path: str) -> str:
    """Content-Disposition that tells the file's name, whatever is in it (RFC 6266)."""
    return f"inline; filename*=UTF-8''{quote(text(os.path.basename(os.fsencode(path))), safe='')}"
