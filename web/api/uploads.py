"""POST /api/uploads: a picture of one's own, to search with."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response

from ...engine.images.crops import Crop
from ..http.request_bodies import PICTURE_BODY, picture_in
from ..http.responses import Json, failures
from ..http.schemas import UploadReceipt
from ..pictures.uploaded_queries import UploadedQuery, encode_upload
from .dependencies import State

router = APIRouter(prefix="/api")

_LONGEST_CROP = 200
"""Characters of a crop that are read."""


async def encoded(request: Request, state: State, crop: str | None = None) -> UploadedQuery:
    """The picture in the request's body, encoded; `crop`: only that part of it."""
    part = None if crop is None else Crop.parse(crop[:_LONGEST_CROP])
    return await encode_upload(await picture_in(request), part, state.store, state.workers)


async def _receipt(
    state: State, query: Annotated[UploadedQuery, Depends(encoded)]
) -> dict[str, Any]:
    """An `UploadReceipt`."""
    return {
        "upload": state.uploads.keep(query),
        "width": query.width,
        "height": query.height,
        "known": query.known,
    }


Receipt = Annotated[dict[str, Any], Depends(_receipt)]


@router.post(
    "/uploads",
    response_model=UploadReceipt,
    responses=failures(400, 408, 413, 415, 422, 503),
    openapi_extra={"requestBody": {"required": True, "content": PICTURE_BODY}},
)
async def upload(receipt: Receipt) -> Response:
    """Upload a picture, to search with it by name for as long as it is remembered. Only its
    vector is kept, in memory. `crop`: the part to search with, x,y,width,height in pixels or
    percent."""
    return Json(receipt)


@router.post("/looks", include_in_schema=False)
async def upload_at_the_old_path(receipt: Receipt) -> Response:
    """The same for programs written for 0.1, which also find the name where they seek it."""
    return Json({**receipt, "look": receipt["upload"]})
