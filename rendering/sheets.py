"""Results -> a contact sheet: each query, large, and its hits in a grid, with their scores."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageOps

from ..core.contracts import Hit, Hits
from ..core.errors import UsageError
from ..core.names import near, shown
from ..engine.images.decode import Limits
from .lettering import fitted, font_for
from .results import QueryItem, QueryResult, picture_at, sign

SHEET_FORMATS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
"""What a sheet can be, by its file's ending."""

Box: TypeAlias = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""

# The colours of the page (templates/lookalikes.html): legible wherever the sheet is shown, since it
# brings its own ground.
_GROUND, _CARD, _INK, _FAINT = "#f6f5f2", "#ffffff", "#1d1c1a", "#6c6862"
_LINE, _WARM = "#dedad2", "#b4470f"

_MOST_PIXELS = 120_000_000
_HIGHEST = 65_500
"""JPEG's limit."""


@dataclass(frozen=True)
class SheetLayout:
    """The layout of a sheet: how many things there are at most, and sizes in pixels."""

    hits: int
    """Of one query, at most."""
    items: int = 1
    """Pictures and texts of one query, at most."""
    columns: int = 5
    tile: int = 224
    """Width of a hit's frame; its height is three quarters of it."""
    gap: int = 20
    margin: int = 40
    text: int = 15

    @classmethod
    def of(cls, results: Sequence[QueryResult], columns: int = 5) -> SheetLayout:
        """With room for these."""
        hits = max((len(result.hits) for result in results), default=1)
        items = max((len(result.items) for result in results), default=1)
        return cls(hits, items, columns)

    @property
    def across(self) -> int:
        """How many hits stand side by side."""
        return max(1, min(self.columns, self.hits))

    @property
    def large(self) -> int:
        """Width of the frame of a query."""
        return 2 * self.tile if self.hits > self.columns else self.tile * 5 // 4

    @property
    def line(self) -> int:
        """Height of a line of text."""
        return self.text * 7 // 5

    @property
    def width(self) -> int:
        """Of the sheet."""
        hits = self.across * (self.tile + self.gap) - self.gap
        return 2 * self.margin + self.large + 2 * self.gap + hits

    @property
    def row(self) -> int:
        """Height of one query's part, at most."""
        return max(self.height_of_hits(self.hits), self.height_of_items(self.items))

    def height(self, rows: Sequence[int]) -> int:
        """Of a sheet with parts of these heights, a hairline between them."""
        return 2 * self.margin + sum(rows) + (len(rows) - 1) * 2 * self.margin

    def height_of_hits(self, count: int) -> int:
        """Height of so many."""
        lines = max(1, math.ceil(count / self.across))
        return lines * (_high(self.tile) + self.caption(3) + self.gap) - self.gap

    def height_of_items(self, count: int) -> int:
        """Height of so many pictures of one query."""
        lines = math.ceil(count / self.items_across(count))
        return lines * (_high(self.item_width(count)) + self.caption(2) + self.gap) - self.gap

    def items_across(self, count: int) -> int:
        """How many pictures of one query stand side by side."""
        return 1 if count == 1 else 2

    def item_width(self, count: int) -> int:
        """Width of the frame of each."""
        across = self.items_across(count)
        return (self.large - (across - 1) * self.gap) // across

    def caption(self, lines: int) -> int:
        """Height of a caption."""
        return self.text // 2 + lines * self.line


def contact_sheet(*results: Hits | QueryResult, columns: int = 5) -> Image.Image:
    """One picture of queries, large, and their hits with scores, a row each.

    Args:
        results: what `Store.query` returned; a `QueryResult` where the query was not one picture
            with a path, to say which pictures it was.
        columns: hits side by side, at most.

    Raises:
        UsageError: it would be too large, or there is no result.
    """
    if not results:
        raise UsageError("a contact sheet needs a result")
    rows = [
        one if isinstance(one, QueryResult) else QueryResult((QueryItem(one.query),), one)
        for one in results
    ]
    layout = SheetLayout.of(rows, columns)
    _require_room(len(rows), layout)
    return draw_sheet(rows, Limits(), layout)


def require_sheet(path: Path, queries: int, layout: SheetLayout) -> None:
    """Refuse a sheet that can't be made, before the work.

    Raises:
        UsageError: its ending is no format, or it would be too large.
    """
    if path.suffix.lower() not in SHEET_FORMATS:
        raise UsageError(f"{shown(path)}: a sheet ends in {', '.join(SHEET_FORMATS)}")
    _require_room(queries, layout)


def _require_room(queries: int, layout: SheetLayout) -> None:
    high = layout.height([layout.row] * queries)
    if high > _HIGHEST or high * layout.width > _MOST_PIXELS:
        raise UsageError(
            f"a sheet of this would be {layout.width:,} x {high:,} pixels; ask for fewer pictures"
        )


def sheet_bytes(
    results: Sequence[QueryResult], limits: Limits, layout: SheetLayout, path: Path
) -> bytes:
    """The bytes of a contact sheet's file, in the format that its `path` says."""
    out = io.BytesIO()
    draw_sheet(results, limits, layout).save(
        out, SHEET_FORMATS[path.suffix.lower()], quality=90, optimize=True
    )
    return out.getvalue()


def draw_sheet(results: Sequence[QueryResult], limits: Limits, layout: SheetLayout) -> Image.Image:
    """A contact sheet, in RGB. Pictures that can't be read any more are empty frames that say
    so."""
    rows = [
        max(layout.height_of_hits(len(result.hits)), layout.height_of_items(len(result.items)))
        for result in results
    ]
    image = Image.new("RGB", (layout.width, layout.height(rows)), _GROUND)
    top = layout.margin
    for result, high in zip(results, rows, strict=True):
        if top > layout.margin:
            ImageDraw.Draw(image).line(
                (
                    layout.margin,
                    top - layout.margin,
                    layout.width - layout.margin,
                    top - layout.margin,
                ),
                _LINE,
            )
        _Row(image, layout, limits, top).draw(result)
        top += high + 2 * layout.margin
    return image


def framed(picture: Image.Image | None, width: int, height: int) -> Image.Image:
    """A picture in the middle of a frame of that size, in RGBA, transparent around it."""
    frame = Image.new("RGBA", (width, height))
    if picture is not None:
        fits = ImageOps.contain(picture, (width, height), Image.Resampling.LANCZOS)
        frame.paste(fits, ((width - fits.width) // 2, (height - fits.height) // 2))
    return frame


class _Row:
    """A query's part of a sheet."""

    def __init__(self, image: Image.Image, layout: SheetLayout, limits: Limits, top: int) -> None:
        self.image, self.layout, self.limits, self.top = image, layout, limits, top
        self.pen = ImageDraw.Draw(image)

    def draw(self, result: QueryResult) -> None:
        layout = self.layout
        count = len(result.items)
        across, wide = layout.items_across(count), layout.item_width(count)
        for number, item in enumerate(result.items):
            down, right = divmod(number, across)
            left = layout.margin + right * (wide + layout.gap)
            top = self.top + down * (_high(wide) + layout.caption(2) + layout.gap)
            self._item(item, (left, top, left + wide, top + _high(wide)), result.is_plain)
        first = layout.margin + layout.large + 2 * layout.gap
        for number, hit in enumerate(result.hits):
            down, right = divmod(number, layout.across)
            left = first + right * (layout.tile + layout.gap)
            top = self.top + down * (_high(layout.tile) + layout.caption(3) + layout.gap)
            self._hit(hit, (left, top, left + layout.tile, top + _high(layout.tile)))
        if not result.hits:
            self._text("no picture was found", first, self.top, layout.tile, _FAINT)

    def _item(self, item: QueryItem, box: Box, is_plain: bool) -> None:
        outside = (box[0] - 3, box[1] - 3, box[2] + 3, box[3] + 3)
        colour = _WARM if item.weight > 0 else _FAINT
        self.image.paste(colour, outside, _rounded(box[2] - box[0] + 6, box[3] - box[1] + 6))
        self._frame(item.shown(box[2] - box[0], self.limits), box)
        left, top, wide = box[0], box[3] + self.layout.text // 2 + 2, box[2] - box[0]
        used = 0.0
        if not is_plain:
            used = self._text(sign(item.weight), left, top, wide, colour) + self.layout.text // 3
        self._name(item.caption, left, top, wide, used, "")

    def _hit(self, hit: Hit, box: Box) -> None:
        layout = self.layout
        self._frame(picture_at(hit.path, box[2] - box[0], self.limits), box)
        left, top, wide = box[0], box[3] + layout.text // 2, box[2] - box[0]
        score = f"{hit.score:.3f}"
        room = font_for(score, layout.text).getlength(score)
        self._text(score, round(left + wide - room), top, wide, _INK)
        ranked = self._text(str(hit.rank), left, top, wide, _WARM)
        start = left + max(round(ranked), round(1.2 * layout.text)) + layout.text * 2 // 3
        end, middle = round(left + wide - room) - layout.text * 2 // 3, top + layout.text // 2 + 1
        self._bar(min(max(hit.score, 0.0), 1.0), start, end, middle)
        copies = f" (+{len(hit.paths) - 1})" if len(hit.paths) > 1 else ""
        self._name(hit.path, left, top + layout.line, wide, 0, copies)

    def _bar(self, share: float, start: int, end: int, middle: int) -> None:
        for right, colour in ((end, _LINE), (start + round(share * (end - start)), _WARM)):
            if right - start > 4:
                self.pen.rounded_rectangle((start, middle - 2, right, middle + 2), 2, colour)

    def _name(self, path: str, left: int, top: int, wide: int, used: float, after: str) -> None:
        """A file's name, and its folder below it."""
        folder, _, name = shown(near(path)).rpartition("/")
        font = font_for(name, self.layout.text)
        name = fitted(name, font.getlength, wide - used - font.getlength(after)) + after
        self._text(name, left + round(used), top, wide, _INK)
        small = self.layout.text - 2
        font = font_for(folder, small)
        self.pen.text(
            (left, top + self.layout.line),
            fitted(folder, font.getlength, wide, "start"),
            _FAINT,
            font,
        )

    def _text(self, text: str, left: int, top: int, wide: float, colour: str) -> float:
        """How wide it is."""
        font = font_for(text, self.layout.text)
        text = fitted(text, font.getlength, wide)
        self.pen.text((left, top), text, colour, font)
        return font.getlength(text)

    def _frame(self, picture: Image.Image | None, box: Box) -> None:
        left, top, right, bottom = box
        size = wide, high = right - left, bottom - top
        card = Image.new("RGB", size, _CARD)
        inside = framed(picture, wide, high)
        card.paste(inside, (0, 0), inside)
        self.image.paste(card, box, _rounded(*size))
        if picture is None:
            self._missing(box)
        self.pen.rounded_rectangle((left, top, right - 1, bottom - 1), _RADIUS, None, _LINE)

    def _missing(self, box: Box) -> None:
        left, top, right, bottom = box
        text = "can't be shown any more"
        font = font_for(text, self.layout.text - 2)
        text = fitted(text, font.getlength, right - left - 8)
        self.pen.text(((left + right) / 2, (top + bottom) / 2), text, _FAINT, font, "mm")


_RADIUS = 8


@lru_cache(maxsize=16)
def _rounded(width: int, height: int) -> Image.Image:
    """(height, width) mask of a frame with round corners, smooth."""
    fine = Image.new("L", (4 * width, 4 * height))
    ImageDraw.Draw(fine).rounded_rectangle((0, 0, 4 * width - 1, 4 * height - 1), 4 * _RADIUS, 255)
    return fine.resize((width, height), Image.Resampling.BOX)


def _high(width: int) -> int:
    """Height of a frame of that width."""
    return width * 3 // 4
