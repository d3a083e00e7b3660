"""GET /api/why: why two pictures look alike, drawn as heatmaps over both."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query, Response

from ...core.errors import PictureError
from ..http.responses import FOREVER, failures, refuse
from ..http.schemas import ID_PATTERN
from ..pictures.originals import original
from ..pictures.uploaded_queries import FORGOTTEN
from .dependencies import State

if TYPE_CHECKING:
    from ...engine.images.decode import Picture
    from .state import ApiState

router = APIRouter(prefix="/api")


@router.get(
    "/why",
    responses={200: {"content": {"image/jpeg": {}}}, **failures(404, 410, 422, 503)},
    response_class=Response,
)
async def why(
    state: State,
    a: Annotated[str, Query(description="id of an indexed picture, or name of an upload")],
    b: Annotated[str, Query(pattern=ID_PATTERN, description="id of an indexed picture")],
) -> Response:
    """Both pictures side by side, what makes them alike in warm colours, as a JPEG."""
    image = await _heatmap(state, await _query_picture(state, a), b)
    headers = {"cache-control": FOREVER} if _is_id(a) else {}
    return Response(image, media_type="image/jpeg", headers=headers)


async def _query_picture(state: ApiState, name: str) -> Picture:
    """The picture of this id, or uploaded under this name, decoded for the store's backbone.

    Raises:
        HTTPException: 410 it is no longer remembered; and as `_indexed_picture`.
        NotIndexedError: the store has no such picture.
    """
    if _is_id(name):
        return await _indexed_picture(state, name)
    uploaded = state.uploads.get(name)
    if uploaded is not None and uploaded.picture is not None:
        return uploaded.picture
    if uploaded is not None and uploaded.known is not None:
        return await _indexed_picture(state, uploaded.known)
    refuse(410, FORGOTTEN)


async def _heatmap(state: ApiState, query_picture: Picture, id: str) -> bytes:
    """A JPEG of both pictures, side by side: the regions that make them alike are warm.

    Args:
        query_picture: decoded for the store's backbone.
        id: of the indexed picture that was found.

    Raises:
        HTTPException: 404 the picture is gone, 503 there is too much to do.
        StoreError, WeightsError
    """
    hit_picture = await _indexed_picture(state, id)

    def draw() -> bytes:
        from ...indexer.analysis.explain import why

        return why(query_picture, hit_picture, store=state.store).encoded("JPEG")

    return await state.workers.explaining.do(draw)


async def _indexed_picture(state: ApiState, id: str) -> Picture:
    """An indexed picture from its file, decoded for the store's backbone.

    Raises:
        HTTPException: 404 it is gone or can't be decoded any more, 503 there is too much to do.
        NotIndexedError: the store has no such picture.
    """
    found = await state.workers.searching.do(lambda: state.store.picture(id))
    try:
        data = await state.workers.reading.do(lambda: original(found))
        return await state.workers.decoders.do(lambda decoder: decoder.decode(data))
    except PictureError as error:
        refuse(404, f"the picture {error.message}")


def _is_id(name: str) -> bool:
    return re.fullmatch(ID_PATTERN, name) is not None
