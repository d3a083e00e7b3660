"""GET /api/info: what is served."""

from __future__ import annotations

from fastapi import APIRouter, Response

from ..http.responses import Json
from ..http.schemas import ServiceInfo
from .dependencies import State

router = APIRouter(prefix="/api")


@router.get("/info", response_model=ServiceInfo)
async def info(state: State) -> Response:
    """What is served: the store, its folders, the limits."""
    return Json(await state.workers.searching.do(state.info))
