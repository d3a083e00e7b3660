"""Text that has to fit: a font with its characters, and an ellipsis for what is too long."""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Literal, TypeAlias

from PIL import Image, ImageDraw, ImageFont

from ..core.names import shown

Font: TypeAlias = "ImageFont.FreeTypeFont | ImageFont.ImageFont"

_OTHERS = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "LiberationSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "wqy-microhei.ttc",
    "unifont.ttf",
    "Arial Unicode.ttf",
)
"""Fonts of the machine's, which are looked for where Pillow's own lacks a character."""

_NOBODYS = "\U0010ffff"
"""A character of no font: what is drawn for it is drawn for all that are missing."""


def font_for(text: str, size: int) -> Font:
    """Pillow's own font where it has all of `text`, otherwise one of the machine's that has the
    most of it."""
    best, least = ImageFont.load_default(size), len(text) + 1
    for font in _fonts(size):
        missing = sum(not _has(font, character) for character in set(text))
        if missing < least:
            best, least = font, missing
        if not missing:
            break
    return best


def fitted(
    text: str,
    measure: Callable[[str], float],
    width: float,
    cut: Literal["start", "middle"] = "middle",
) -> str:
    """`text` as it is, or with an ellipsis in the place of so much that `measure` finds it no wider
    than `width`; where even an ellipsis is, that."""
    if measure(text) <= width:
        return text

    def shortened(kept: int) -> str:
        first = 0 if cut == "start" else (kept + 1) // 2
        return text[:first] + "…" + text[len(text) - (kept - first) :]

    widths = range(len(text))
    kept = bisect.bisect_right(widths, width, key=lambda count: measure(shortened(count)))
    return shortened(max(0, kept - 1))


def card(text: str, width: int) -> Image.Image:
    """The text in the middle of a white card of 4 : 3, in lines; as much of it as there is room."""
    picture = Image.new("RGB", (width, max(1, width * 3 // 4)), "white")
    text = shown(" ".join(text.split()))
    size = max(9, width // 12)
    font = font_for(text, size)
    most = max(1, int(picture.height * 0.9 / (1.3 * size)))
    lines = _lines(text, font, width * 0.9)
    if len(lines) > most:
        lines = [*lines[: most - 1], " ".join(lines[most - 1 :])]
    lines = [fitted(line, font.getlength, width * 0.9) for line in lines]
    top = (picture.height - 1.3 * size * (len(lines) - 1)) / 2
    pen = ImageDraw.Draw(picture)
    for number, line in enumerate(lines):
        pen.text((width / 2, top + 1.3 * size * number), line, "black", font, "mm")
    return picture


def _lines(text: str, font: Font, width: float) -> list[str]:
    """Broken between words, where they are no wider than that."""
    lines: list[str] = []
    for word in text.split():
        if lines and font.getlength(f"{lines[-1]} {word}") <= width:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _fonts(size: int) -> Iterator[Font]:
    yield ImageFont.load_default(size)
    for name in _OTHERS:
        if (font := _machines(name, size)) is not None:
            yield font


@lru_cache(maxsize=64)
def _machines(name: str, size: int) -> Font | None:
    try:
        return ImageFont.truetype(name, size)
    except OSError:
        return None


@lru_cache(maxsize=4096)
def _has(font: Font, character: str) -> bool:
    return character.isspace() or _drawn(font, character) != _drawn(font, _NOBODYS)


def _drawn(font: Font, character: str) -> bytes:
    mask = font.getmask(character)
    return repr(mask.size).encode() + bytes(mask)
