"""/api/random and /api/pictures: indexed pictures, their facts, thumbnails and files."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Query, Request, Response

from ..http.responses import FOREVER, RETRY_AFTER, Json, failures, refuse
from ..http.schemas import PictureFacts, RandomPictures
from ..pictures.facts import describe_picture
from ..pictures.originals import MEDIA_TYPES, original
from ..pictures.public_paths import PublicPaths, json_text
from ..pictures.thumbnails import THUMBNAIL_SIDES
from .dependencies import PictureId, State

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Receive, Scope, Send

router = APIRouter(prefix="/api")

_MOST_RANDOM = 200
"""Pictures in one response of /api/random."""

_FILE_POLICY = (
    "sandbox; default-src 'none'; img-src 'self' data:; style-src 'unsafe-inline'; "
    "frame-ancestors 'none'"
)
"""Of an original: whatever is in the file, a browser runs nothing of it."""


@router.get("/random", response_model=RandomPictures)
async def random(
    state: State, count: Annotated[int, Query(ge=1, le=_MOST_RANDOM)] = 24
) -> Response:
    """Pictures to begin with, others each time."""
    return Json(
        await state.workers.searching.do(lambda: {"pictures": state.random_pictures(count)})
    )


@router.get("/pictures/{id}", response_model=PictureFacts, responses=failures(404))
async def picture(id: PictureId, state: State) -> Response:
    """What the store knows of a picture."""
    store = state.store
    return Json(
        await state.workers.searching.do(
            lambda: describe_picture(store.picture(id), PublicPaths(store.roots()))
        )
    )


@router.get(
    "/pictures/{id}/thumbnail",
    responses={200: {"content": {"image/jpeg": {}}}, **failures(404, 422, 503)},
    response_class=Response,
)
async def thumbnail(
    request: Request,
    id: PictureId,
    state: State,
    side: Annotated[int, Query(description=f"one of {THUMBNAIL_SIDES}")] = THUMBNAIL_SIDES[1],
) -> Response:
    """A small JPEG of it, the longer side so many pixels."""
    if side not in THUMBNAIL_SIDES:
        refuse(422, f"side: one of {', '.join(map(str, THUMBNAIL_SIDES))}")
    headers = {"etag": f'"{id}-{side}"', "cache-control": FOREVER}
    if request.headers.get("if-none-match") == headers["etag"]:
        await state.workers.searching.do(lambda: state.store.picture(id))
        return Response(status_code=304, headers=headers)
    data = await state.thumbnails.of(id, side)
    return Response(data, media_type="image/jpeg", headers=headers)


@router.get(
    "/pictures/{id}/file",
    responses={200: {"content": {"image/*": {}}}, **failures(404, 503)},
    response_class=Response,
)
async def file(id: PictureId, state: State) -> Response:
    """The picture's file, as long as it is the one that was indexed."""
    found = await state.workers.searching.do(lambda: state.store.picture(id))
    if not state.budget.take(found.file_bytes):
        refuse(503, "too much is sent at once; try again soon", RETRY_AFTER)
    give_back = partial(state.budget.give_back, found.file_bytes)
    try:
        data = await state.workers.reading.do(lambda: original(found))
    except BaseException:
        give_back()
        raise
    return _BudgetedResponse(
        data,
        give_back,
        media_type=MEDIA_TYPES.get(found.format, "application/octet-stream"),
        headers={
            "etag": f'"{id}"',
            "cache-control": FOREVER,
            "content-security-policy": _FILE_POLICY,
            "content-disposition": _disposition(found.paths[0]),
        },
    )


class _BudgetedResponse(Response):
    """A response whose bytes count as in memory until they are sent."""

    def __init__(self, content: bytes, give_back: Callable[[], None], **options: Any) -> None:
        super().__init__(content, **options)
        self._give_back = give_back

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._give_back()


def _disposition(path: str) -> str:
    """Content-Disposition that tells the file's name, whatever is in it (RFC 6266)."""
    name = json_text(os.path.basename(os.fsencode(path)))
    return f"inline; filename*=UTF-8''{quote(name, safe='')}"
