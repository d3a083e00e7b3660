"""Why two pictures look alike, drawn for the page: heat over both of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...core.errors import PictureError
from ..http.responses import refuse
from ..pictures.originals import original

if TYPE_CHECKING:
    from ...engine.images.decode import Picture
    from .state import ApiState


async def heatmap(state: ApiState, query_picture: Picture, id: str) -> bytes:
    """A JPEG of both, side by side: the places that make them alike are warm.

    Args:
        asked: decoded for the store's backbone.
        id: of the indexed picture that answers.

    Raises:
        HTTPException: 404 the picture is gone, 503 there is too much to do.
        StoreError, WeightsError
    """
    error_response = await indexed_picture(state, id)

    def drawn() -> bytes:
        from ...indexer.analysis.explain import why

        return why(query_picture, error_response, store=state.store).encoded("JPEG")

    return await state.workers.explaining.do(drawn)


async def indexed_picture(state: ApiState, id: str) -> Picture:
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
