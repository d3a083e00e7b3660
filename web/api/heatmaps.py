"""Why two pictures look alike, drawn for the page: heat over both of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.errors import PictureError
from ..http.responses import refuse
from ..pictures.originals import original

if TYPE_CHECKING:
    from ...engine.images.decode import Picture
    from .state import Desk


async def heat(desk: Desk, asked: Picture, id: str) -> bytes:
    """A JPEG of both, side by side: the places that make them alike are warm.

    Args:
        asked: decoded for the store's backbone.
        id: of the indexed picture that answers.

    Raises:
        HTTPException: 404 the picture is gone, 503 there is too much to do.
        StoreError, WeightsError
    """
    answer = await indexed_picture(desk, id)

    def drawn() -> bytes:
        from ...indexer.analysis.explain import why

        return why(asked, answer, store=desk.store).encoded("JPEG")

    return await desk.crew.explaining.do(drawn)


async def indexed_picture(desk: Desk, id: str) -> Picture:
    """An indexed picture from its file, decoded for the store's backbone.

    Raises:
        HTTPException: 404 it is gone or can't be decoded any more, 503 there is too much to do.
        NotIndexedError: the store has no such picture.
    """
    found = await desk.crew.asking.do(lambda: desk.store.picture(id))
    try:
        data = await desk.crew.reading.do(lambda: original(found))
        return await desk.crew.decoders.do(lambda decoder: decoder.decode(data))
    except PictureError as error:
        refuse(404, f"the picture {error.message}")
