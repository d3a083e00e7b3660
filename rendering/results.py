"""A query and its hits, as every way of showing them wants to have them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..core.contracts import Hits
from ..core.errors import PictureError
from ..engine.images.decode import Limits, smaller
from ..engine.images.file_bytes import read_bytes

if TYPE_CHECKING:
    from PIL import Image

    from ..engine.images.crops import Crop


@dataclass(frozen=True, slots=True)
class QueryItem:
    """One of the pictures, or texts, that a query is made of."""

    name: str
    """Its path, or '-'; the text."""
    data: bytes | None = None
    """The bytes of its file; None reads them from its path."""
    weight: float = 1.0
    """As in `QueryEmbedding`."""
    crop: Crop | None = None
    """The part of it that was the query."""
    is_text: bool = False

    @property
    def path(self) -> str | None:
        """Of the picture, or '-'; None of a text."""
        return None if self.is_text else self.name

    @property
    def caption(self) -> str:
        """What stands below it: its path, or '-'; of a text, which is shown itself, what it is."""
        return "in words" if self.is_text else self.name

    def shown(self, side: int, limits: Limits) -> Image.Image | None:
        """See `picture_at`; a text on a card."""
        if self.is_text:
            from .lettering import card

            return card(self.name, side)
        return _small(self.name, self.data, side, limits, self.crop)


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A query and its hits."""

    items: tuple[QueryItem, ...]
    hits: Hits

    @property
    def is_plain(self) -> bool:
        """Whether it was one picture, as it is."""
        return len(self.items) == 1 and self.items[0].weight == 1


def sign(weight: float) -> str:
    """What a weight is in front of a name: +, – or how much."""
    size = abs(weight)
    return ("–" if weight < 0 else "+") + ("" if size == 1 else f"{size:g}")


def picture_at(path: str, side: int, limits: Limits) -> Image.Image | None:
    """The picture in RGB, upright, its longer side at most `side` pixels; None where it can't be
    shown any more."""
    return _small(path, None, side, limits, None)


def _small(
    path: str, data: bytes | None, side: int, limits: Limits, crop: Crop | None
) -> Image.Image | None:
    try:
        return smaller(read_bytes(path, limits) if data is None else data, side, limits, crop)
    except PictureError:
        return None
