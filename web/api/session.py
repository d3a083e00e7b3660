"""/api/session: the page changes its token for a cookie, and gives the cookie up."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ..http.responses import failures
from ..http.tokens import cookie_name, cookie_value
from .dependencies import State

router = APIRouter(prefix="/api")


@router.post("/session", status_code=204, responses=failures(401))
async def begin_session(request: Request, state: State) -> Response:
    """Get a cookie for the token, which comes as `Authorization: Bearer`."""
    response = Response(status_code=204)
    if (token := state.options.token) is not None:
        response.set_cookie(
            cookie_name(request.scope),
            cookie_value(token),
            httponly=True,
            samesite="strict",
            secure=request.url.scheme == "https",
            path=_page_path(request),
        )
    return response


@router.delete("/session", status_code=204)
async def end_session(request: Request) -> Response:
    """Let the browser forget the cookie."""
    response = Response(status_code=204)
    response.delete_cookie(
        cookie_name(request.scope), httponly=True, samesite="strict", path=_page_path(request)
    )
    return response


def _page_path(request: Request) -> str:
    """The path of the page, which the cookie is for."""
    return f"{request.scope.get('root_path', '')}/"
