"""A result -> strips of pictures for a terminal, side by side, with a caption below each."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image

from ..core.names import shown
from ..engine.images.decode import Limits
from . import inline
from .lettering import fitted
from .results import QueryResult, picture_at, sign
from .sheets import framed
from .terminals import Protocol, Size, Style

_GAP = 2
"""Columns between pictures."""

_NARROWEST, _WIDEST = 22, 34
"""Columns of a picture."""


@dataclass(frozen=True)
class Canvas:
    """The terminal on which strips are shown, and how."""

    protocol: Protocol
    size: Size
    style: Style
    true_colour: bool
    limits: Limits


@dataclass(frozen=True)
class _Tile:
    """A picture of a strip, with its caption."""

    picture: Image.Image | None
    name: str
    path: str | None
    """Of its file, where it has one."""
    head: tuple[str, str]
    """At the left and at the right of the line above the name."""
    is_query: bool


def strips(result: QueryResult, canvas: Canvas) -> Iterator[bytes]:
    """The query, then the hits, in as many strips as the terminal's width makes of them; each
    with its line ends."""
    size = canvas.size
    count = len(result.items) + len(result.hits)
    most = max(1, (size.columns + _GAP) // (_NARROWEST + _GAP))
    across = math.ceil(count / math.ceil(count / most))
    wide = max(1, min(_WIDEST, (size.columns + _GAP) // across - _GAP))
    pixels = wide * size.cell_width, wide * size.cell_width * 3 // 4
    high = max(1, round(pixels[1] / size.cell_height))
    tiles: list[_Tile] = []
    for tile in _tiles(result, canvas.limits, max(pixels)):
        tiles.append(tile)
        if len(tiles) == across:
            yield _strip(tiles, wide, high, canvas)
            tiles = []
    if tiles:
        yield _strip(tiles, wide, high, canvas)


def _tiles(result: QueryResult, limits: Limits, side: int) -> Iterator[_Tile]:
    for item in result.items:
        said = "looks like" if result.is_plain else sign(item.weight)
        picture = item.shown(side, limits)
        path = item.path if item.data is None else None
        yield _Tile(picture, _name(item.caption), path, (said, ""), True)
    for hit in result.hits:
        head = str(hit.rank), f"{hit.score:.3f}"
        yield _Tile(picture_at(hit.path, side, limits), _name(hit.path), hit.path, head, False)


def _strip(tiles: list[_Tile], wide: int, high: int, canvas: Canvas) -> bytes:
    size, style = canvas.size, canvas.style
    columns = len(tiles) * (wide + _GAP) - _GAP
    step = (wide + _GAP) * size.cell_width
    image = Image.new("RGBA", (columns * size.cell_width, high * size.cell_height))
    for number, tile in enumerate(tiles):
        frame = framed(tile.picture, wide * size.cell_width, high * size.cell_height)
        image.paste(frame, (number * step, 0))
    heads = (_head(tile, wide, style) for tile in tiles)
    names = (_named(tile, wide, style) for tile in tiles)
    gap = " " * _GAP
    lines = [gap.join(heads).rstrip(), gap.join(names).rstrip(), ""]
    return _shown(image, columns, high, canvas) + "\n".join([*lines, ""]).encode()


def _shown(image: Image.Image, columns: int, rows: int, canvas: Canvas) -> bytes:
    """The picture, and the cursor at the start of the line below it."""
    if canvas.protocol == "blocks":
        lines = inline.blocks(image, columns, rows, canvas.true_colour)
        return "\n".join([*lines, ""]).encode()
    if canvas.protocol == "sixel":
        picture = inline.sixel(image)
    else:
        encode = inline.kitty if canvas.protocol == "kitty" else inline.iterm
        picture = encode(image, columns, rows)
    # Terminals disagree where a picture leaves the cursor, and whether it scrolls: so there is room
    # before it is drawn, and the cursor is put back (DECSC, DECRC) and moved down.
    room = b"\n" * rows + b"\x1b[%dA" % rows
    return room + b"\x1b7" + picture + b"\x1b8\x1b[%dB" % rows


def _head(tile: _Tile, wide: int, style: Style) -> str:
    left, right = tile.head
    if tile.picture is None:
        right = "can't be shown"
    left = fitted(left, _width, max(0, wide - len(right) - 1))
    adorned = style.warm(left) if tile.is_query else style.strong(left)
    return adorned + " " * (wide - _width(left) - len(right)) + style.faint(right)


def _named(tile: _Tile, wide: int, style: Style) -> str:
    text = fitted(tile.name, _width, wide)
    linked = text if tile.path is None else style.linked(text, tile.path)
    return linked + " " * (wide - _width(text))


def _name(path: str) -> str:
    return shown(path).rpartition("/")[2]


def _width(text: str) -> int:
    """How many columns it takes: letters of East Asia two, accents none."""
    return sum(
        0
        if unicodedata.category(character) in ("Mn", "Me")
        else 2
        if unicodedata.east_asian_width(character) in "WF"
        else 1
        for character in text
    )
