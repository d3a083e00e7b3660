"""What is sent back: JSON; and whatever goes wrong as a status and one line, {"error": "..."}."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, NoReturn

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import ValidationError
from starlette.exceptions import HTTPException

from ...core.errors import (
    MissingCodecError,
    MissingPictureError,
    NotAPictureError,
    NotIndexedError,
    PictureError,
    StoreError,
    TllError,
    TooLargePictureError,
    UsageError,
)
from ...rendering.formats import to_json
from .schemas import Failure

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

log = logging.getLogger("tll_index.web")


class Json(JSONResponse):
    """A JSON response that may hold file names of any bytes."""

    def render(self, content: Any) -> bytes:
        """UTF-8."""
        return to_json(content).encode()


RETRY_AFTER = {"Retry-After": "2"}
"""Headers of 503."""

FOREVER = "private, max-age=31536000, immutable"
"""Cache-Control of what is named by its content: browsers may keep it."""


def refuse(status: int, error: str, headers: Mapping[str, str] | None = None) -> NoReturn:
    """End the request with this status and one line.

    Raises:
        HTTPException: always.
    """
    raise HTTPException(status, error, dict(headers or {}))


def error_response(status: int, error: str, headers: Mapping[str, str] | None = None) -> Json:
    """A failure as a response: one line."""
    return Json({"error": error}, status, dict(headers or {}))


def failures(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """A route's `responses`, for the API's description: how it may fail."""
    return {status: {"model": Failure} for status in statuses}


def add_error_handlers(app: FastAPI) -> None:
    """Turn whatever is raised in a route into such a response."""

    @app.exception_handler(HTTPException)
    async def _refused(request: Request, error: HTTPException) -> Json:
        return error_response(error.status_code, str(error.detail), error.headers)

    @app.exception_handler(RequestValidationError)
    async def _malformed(request: Request, error: RequestValidationError) -> Json:
        return error_response(422, _in_one_line(error.errors()))

    @app.exception_handler(ValidationError)
    async def _invalid(request: Request, error: ValidationError) -> Json:
        return error_response(422, _in_one_line(error.errors()))

    @app.exception_handler(TllError)
    async def _failed(request: Request, error: TllError) -> Json:
        return _response_to(error)


def _response_to(error: TllError) -> Json:
    if isinstance(error, TooLargePictureError):
        return error_response(413, f"the picture {error.message}")
    if isinstance(error, (NotAPictureError, MissingCodecError)):
        return error_response(415, f"the picture {error.message}")
    if isinstance(error, MissingPictureError):
        return error_response(404, f"the picture {error.message}")
    if isinstance(error, PictureError):
        return error_response(422, f"the picture {error.message}")
    if isinstance(error, UsageError):
        return error_response(422, str(error))
    if isinstance(error, NotIndexedError):
        return error_response(404, str(error))
    log.error("%s", error)  # it may name paths, which are nobody else's business
    if isinstance(error, StoreError):
        return error_response(503, "the store can't be read now; the server's own output says why")
    return error_response(500, "this failed; the server's own output says why")


def _in_one_line(errors: Sequence[Any]) -> str:
    """The first of pydantic's complaints as one line: where, and what."""
    first = errors[0]
    where = ".".join(str(part) for part in first["loc"] if part not in ("body", "query", "path"))
    what = str(first["msg"]).removeprefix("Value error, ")
    return f"{where}: {what}" if where else what
