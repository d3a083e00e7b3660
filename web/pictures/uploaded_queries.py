"""Uploaded pictures: looked at once; what stays, for a while and in memory only, is a vector.

Of the last few the small square that the backbone saw stays as well.
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


_PICTURES = 64
"""Of how many the square is kept: a few hundred kilobytes each."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What is known of a picture that somebody showed."""

    embedding: QueryEmbedding
    width: int
    height: int
    """Of the whole picture, upright."""
    known: str | None
    """SHA-256 of its bytes, where the store holds that picture."""
    picture: Picture | None = None
    """As the backbone sees it; None of what is indexed, or was shown long ago."""


async def see(data: bytes, crop: Crop | None, store: Store, workers: Workers) -> Seen:
    """Look at an uploaded picture file; at what is indexed already, from its stored vector.

    Raises:
        PictureError, StoreError
        HTTPException: 503, there is too much to do.
    """
    digest, seen = await workers.searching.do(lambda: _indexed(data, store))
    if seen is not None and crop is None:
        return seen
    picture = await workers.decoders.do(lambda decoder: decoder.decode(data, crop))
    embedding = await workers.seeing.do(lambda: store.encode_decoded(picture, sha256=digest))
    known = None if seen is None else seen.known
    return Seen(embedding, picture.width, picture.height, known, picture)


def _indexed(data: bytes, store: Store) -> tuple[bytes, Seen | None]:
    """The digest of `data`, and what the store knows of that content."""
    digest = hashlib.sha256(data).digest()
    try:
        held = store.picture(digest.hex())
        embedding = store.encode_indexed(held.sha256)
    except NotIndexedError:
        return digest, None
    return digest, Seen(embedding, held.width, held.height, held.sha256)


class UploadedQueries:
    """What was seen, under names that can't be guessed; for the event loop's thread only."""

    def __init__(self, most: int, seconds: float) -> None:
        """At most so many, none unused for longer."""
        self._most = most
        self._seconds = seconds
        self._held: OrderedDict[str, tuple[float, Seen]] = OrderedDict()

    def __len__(self) -> int:
        self._forget()
        return len(self._held)

    def keep(self, seen: Seen) -> str:
        """The name under which it can be asked for."""
        name = secrets.token_urlsafe(16)
        self._held[name] = time.monotonic(), seen
        self._forget()
        self._let_pictures_go()
        return name

    def get(self, name: str) -> Seen | None:
        """What goes by this name; None where it was forgotten."""
        self._forget()
        if (found := self._held.get(name)) is None:
            return None
        self._held[name] = time.monotonic(), found[1]
        self._held.move_to_end(name)
        return found[1]

    def _let_pictures_go(self) -> None:
        with_picture = [name for name, (_, seen) in self._held.items() if seen.picture is not None]
        for name in with_picture[:-_PICTURES]:
            used, seen = self._held[name]
            self._held[name] = used, replace(seen, picture=None)

    def _forget(self) -> None:
        before = time.monotonic() - self._seconds
        while self._held:
            name, (used, _) = next(iter(self._held.items()))
            if len(self._held) <= self._most and used >= before:
                return
            del self._held[name]
