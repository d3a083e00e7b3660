"""What routes are given by FastAPI's `Depends`."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Path, Request

from ..http.schemas import ID_PATTERN
from .state import ApiState


async def api_state(request: Request) -> ApiState:
    """The state of the application that the request came to; see `app`."""
    return cast(ApiState, request.app.state.api)


State = Annotated[ApiState, Depends(api_state)]

PictureId = Annotated[str, Path(pattern=ID_PATTERN, description="SHA-256 of its content, in hex")]
