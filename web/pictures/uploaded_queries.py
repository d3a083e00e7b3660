"""Uploaded pictures: encoded once; what stays, for a while and in memory only, is a vector.

Of the latest the small square that the backbone saw stays as well.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ...core.errors import NotIndexedError

if TYPE_CHECKING:
    from ...engine.images.crops import Crop
    from ...engine.images.decode import Picture
    from ...indexer.store.query import QueryEmbedding
    from ...indexer.store.store import Store
    from .workers import Workers


_SQUARES = 64
"""Uploads whose square is kept: a few hundred kilobytes each."""

FORGOTTEN = "that picture is no longer remembered: upload it again"


@dataclass(frozen=True, eq=False)
class UploadedQuery:
    """An uploaded picture as a query, and what is known of it."""

    embedding: QueryEmbedding
    width: int
    height: int
    """Of the whole picture, upright."""
    known: str | None
    """SHA-256 of its bytes, where the store holds that picture."""
    picture: Picture | None = None
    """As the backbone sees it; None where it is indexed, or was uploaded long ago."""


async def encode_upload(
    data: bytes, crop: Crop | None, store: Store, workers: Workers
) -> UploadedQuery:
    """Encode an uploaded picture file; one that is indexed has its stored vector.

    Raises:
        PictureError, StoreError
        HTTPException: 503, there is too much to do.
    """
    digest, indexed = await workers.searching.do(lambda: _indexed(data, store))
    if indexed is not None and crop is None:
        return indexed
    picture = await workers.decoders.do(lambda decoder: decoder.decode(data, crop))
    embedding = await workers.encoding.do(lambda: store.encode_decoded(picture, sha256=digest))
    known = None if indexed is None else indexed.known
    return UploadedQuery(embedding, picture.width, picture.height, known, picture)


def _indexed(data: bytes, store: Store) -> tuple[bytes, UploadedQuery | None]:
    """The digest of `data`, and what the store knows of that content."""
    digest = hashlib.sha256(data).digest()
    try:
        held = store.picture(digest.hex())
        embedding = store.encode_indexed(held.sha256)
    except NotIndexedError:
        return digest, None
    return digest, UploadedQuery(embedding, held.width, held.height, held.sha256)


class UploadedQueries:
    """The uploaded queries of one server, under names that can't be guessed; for the event loop's
    thread only."""

    def __init__(self, most: int, seconds: float) -> None:
        """At most `most`, none of them unused for more than `seconds`."""
        self._most = most
        self._seconds = seconds
        self._held: OrderedDict[str, tuple[float, UploadedQuery]] = OrderedDict()

    def __len__(self) -> int:
        self._forget()
        return len(self._held)

    def keep(self, query: UploadedQuery) -> str:
        """The name under which it is found again."""
        name = secrets.token_urlsafe(16)
        self._held[name] = time.monotonic(), query
        self._forget()
        self._drop_squares()
        return name

    def get(self, name: str) -> UploadedQuery | None:
        """The upload of this name; None where it was forgotten."""
        self._forget()
        if (found := self._held.get(name)) is None:
            return None
        self._held[name] = time.monotonic(), found[1]
        self._held.move_to_end(name)
        return found[1]

    def _drop_squares(self) -> None:
        with_picture = [name for name, (_, one) in self._held.items() if one.picture is not None]
        for name in with_picture[:-_SQUARES]:
            used, query = self._held[name]
            self._held[name] = used, replace(query, picture=None)

    def _forget(self) -> None:
        before = time.monotonic() - self._seconds
        while self._held:
            name, (used, _) = next(iter(self._held.items()))
            if len(self._held) <= self._most and used >= before:
                return
            del self._held[name]
