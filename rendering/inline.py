"""Pictures -> what terminals show as pictures: kitty's and iTerm2's sequences, sixel, blocks."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_KITTY_CHUNK = 4096
"""Bytes of base64 in one of kitty's sequences, at most."""

_SIXEL_COLOURS = 255
"""A terminal that does sixel has 256 registers, as a rule."""

_ENOUGH_PIXELS = 50_000
"""So many show which colours a picture has, in a tenth of the time of all."""

_OPAQUE = 128
"""Alpha from which a pixel is shown where there is no half transparency."""


def kitty(image: Image.Image, columns: int, rows: int) -> bytes:
    """Over so many character cells, by kitty's graphics protocol: a PNG in chunks of base64."""
    data = base64.standard_b64encode(_png(image))
    chunks = [data[start : start + _KITTY_CHUNK] for start in range(0, len(data), _KITTY_CHUNK)]
    out = bytearray()
    for number, chunk in enumerate(chunks):
        keys = f"a=T,f=100,q=2,c={columns},r={rows}," if number == 0 else "q=2,"
        out += f"\x1b_G{keys}m={int(number < len(chunks) - 1)};".encode() + chunk + b"\x1b\\"
    return bytes(out)


def iterm(image: Image.Image, columns: int, rows: int) -> bytes:
    """Over so many character cells, by iTerm2's protocol: a PNG in base64."""
    data = _png(image)
    keys = f"inline=1;size={len(data)};width={columns};height={rows};preserveAspectRatio=0"
    return f"\x1b]1337;File={keys}:".encode() + base64.standard_b64encode(data) + b"\a"


def sixel(image: Image.Image) -> bytes:
    """In bands of six rows, one colour after the other (DEC STD 070). Transparent pixels stay as
    they are on the terminal."""
    rgba = image.convert("RGBA")
    shown = np.asarray(rgba)[:, :, 3] >= _OPAQUE
    colours, indices = _colours(rgba.convert("RGB"))
    pixels = np.where(shown, indices, np.int16(-1))  # -1 is no colour
    height, width = pixels.shape
    used = np.unique(pixels[pixels >= 0])
    registers = "".join(
        f"#{index};2;{';'.join(str(round(int(value) * 100 / 255)) for value in colours[index])}"
        for index in used.tolist()
    )
    bands = b"-".join(_band(pixels[top : top + 6]) for top in range(0, height, 6))
    return f'\x1bP0;1q"1;1;{width};{height}{registers}'.encode() + bands + b"\x1b\\"


def _colours(rgb: Image.Image) -> tuple[NDArray[np.uint8], NDArray[np.int16]]:
    """(c, 3): as many as there are registers, or all there are where those are fewer; and
    (height, width): which of them each pixel has."""
    if rgb.getcolors(_SIXEL_COLOURS) is not None:
        rows = np.asarray(rgb).reshape(-1, 3)
        colours, indices = np.unique(rows, axis=0, return_inverse=True)
        return colours, indices.reshape(rgb.height, rgb.width).astype(np.int16)
    fewer = rgb.reduce(max(1, math.isqrt(rgb.width * rgb.height // _ENOUGH_PIXELS)))
    palette = fewer.quantize(_SIXEL_COLOURS)
    nearest = rgb.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    values = np.array(palette.getpalette(), np.uint8).reshape(-1, 3)
    return values, np.asarray(nearest, np.int16)


def _band(pixels: NDArray[np.int16]) -> bytes:
    """At most six rows of pixels; for each colour the columns that have it, as bits."""
    rows, columns = np.nonzero(pixels >= 0)
    used, lines = np.unique(pixels[rows, columns], return_inverse=True)
    bits = np.zeros((len(used), pixels.shape[1]), np.uint8)
    np.bitwise_or.at(bits, (lines, columns), (1 << rows).astype(np.uint8))
    return b"$".join(
        b"#%d" % index + _EQUAL.sub(_counted, row.tobytes().rstrip(b"?"))
        for index, row in zip(used.tolist(), bits + 63, strict=True)
    )


_EQUAL = re.compile(rb"(.)\1{3,}", re.DOTALL)
"""More than three equal characters, which are written as their number and one of them."""


def _counted(equal: re.Match[bytes]) -> bytes:
    return b"!%d" % len(equal[0]) + equal[1]


def blocks(image: Image.Image, columns: int, rows: int, true_colour: bool) -> list[str]:
    """So many lines of so many characters, each two pixels one above the other: the upper half of
    a block in the foreground's colour, the lower in the background's."""
    small = image.convert("RGBa").resize((columns, 2 * rows), Image.Resampling.BOX)
    pixels = np.asarray(small.convert("RGBA"))
    return [
        "".join(_characters(upper, lower, true_colour))
        for upper, lower in zip(pixels[0::2], pixels[1::2], strict=True)
    ]


def _characters(
    upper: NDArray[np.uint8], lower: NDArray[np.uint8], true_colour: bool
) -> Iterator[str]:
    """(width, 4) each -> a line that leaves no colour behind."""
    last = ""
    for above, below in zip(upper.tolist(), lower.tolist(), strict=True):
        front, back, character = "39", "49", " "
        if above[3] >= _OPAQUE:
            front, character = "38;" + _colour(above, true_colour), "▀"
            if below[3] >= _OPAQUE:
                back = "48;" + _colour(below, true_colour)
        elif below[3] >= _OPAQUE:
            front, character = "38;" + _colour(below, true_colour), "▄"
        colours = f"\x1b[{front};{back}m"
        if colours != last:
            last = colours
            yield colours
        yield character
    yield "\x1b[39;49m"


def _colour(pixel: list[int], true_colour: bool) -> str:
    red, green, blue, _ = pixel
    if true_colour:
        return f"2;{red};{green};{blue}"
    return f"5;{nearest_of_256(red, green, blue)}"


_STEPS = (0, 95, 135, 175, 215, 255)
"""Of the 6 x 6 x 6 cube in xterm's 256 colours."""


def nearest_of_256(red: int, green: int, blue: int) -> int:
    """The nearest of xterm's 256 colours, of its cube or its 24 greys; the first 16 are whatever
    the user likes."""
    wanted = (red, green, blue)
    cube = [min(range(6), key=lambda step: abs(_STEPS[step] - value)) for value in wanted]
    grey = min(max(round((sum(wanted) / 3 - 8) / 10), 0), 23)
    in_cube = sum((_STEPS[step] - value) ** 2 for step, value in zip(cube, wanted, strict=True))
    in_greys = sum((8 + 10 * grey - value) ** 2 for value in wanted)
    if in_greys < in_cube:
        return 232 + grey
    return 16 + 36 * cube[0] + 6 * cube[1] + cube[2]


def _png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
