"""Bodies of requests: a picture as it is or as a field of a form, or JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from .responses import refuse

if TYPE_CHECKING:
    from fastapi import Request
    from starlette.datastructures import Headers

_FIELD = "picture"

_PICTURE = {"schema": {"type": "string", "format": "binary"}}
_FORM = {
    "schema": {
        "type": "object",
        "properties": {_FIELD: {"type": "string", "format": "binary"}},
        "required": [_FIELD],
    }
}
PICTURE_BODY = {
    "image/*": _PICTURE,
    "application/octet-stream": _PICTURE,
    "multipart/form-data": _FORM,
}
"""What `picture_in` reads, for the API's description."""


class _InMemoryParser(MultiPartParser):
    """A parser of forms that writes nothing to the disk; the guard limits how large a body is."""

    spool_max_size = max_file_size = 1 << 62


def media_type_of(headers: Headers) -> str:
    """The media type of the body."""
    return headers.get("content-type", "").partition(";")[0].strip().lower()


async def picture_in(request: Request) -> bytes:
    """The picture file in the body.

    Raises:
        HTTPException: 415 it is something else, 400 malformed, and as the guard says.
    """
    kind = media_type_of(request.headers)
    if kind == "multipart/form-data":
        return await _from_form(request)
    if not kind.startswith("image/") and kind != "application/octet-stream":
        refuse(
            415,
            f"send a picture as image/* or application/octet-stream, or as the field '{_FIELD}' "
            f"of multipart/form-data, not as {kind[:80] or 'nothing in particular'}",
        )
    return await _whole(request)


async def json_in(request: Request) -> Any:
    """The JSON document in the body.

    Raises:
        HTTPException: 400 it is none, and as the guard says.
    """
    try:
        return json.loads(await _whole(request))
    except (ValueError, RecursionError):
        refuse(400, "the body is not JSON")


async def _whole(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:
        refuse(400, "the body ended early")


async def _from_form(request: Request) -> bytes:
    parser = _InMemoryParser(request.headers, request.stream(), max_files=1, max_fields=8)
    try:
        form = await parser.parse()
    except MultiPartException as error:
        refuse(400, f"the form is malformed: {error.message}")
    except (KeyError, ValueError):
        refuse(400, "the form is malformed: it needs a boundary")
    except ClientDisconnect:
        refuse(400, "the body ended early")
    try:
        file = form.get(_FIELD)
        if not isinstance(file, UploadFile):
            refuse(400, f"the form has no file in the field '{_FIELD}'")
        return await file.read()
    finally:
        await form.close()
