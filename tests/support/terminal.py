"""A terminal that tests hold, a real pseudo terminal, and decoders of pictures sent to it."""

from __future__ import annotations

import base64
import contextlib
import fcntl
import io
import os
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

HERE = Path(__file__).parent

_ABOUT_TERMINALS = re.compile(
    "(TERM|TMUX|NO_COLOR|COLORTERM|COLUMNS|LINES|LC_TERMINAL|KITTY_|KONSOLE_|VTE_|WT_).*"
)


def on_terminal(
    *arguments: object,
    environ: dict[str, str] | None = None,
    columns: int = 100,
    pixels: tuple[int, int] = (10, 20),
    attributes: str = "",
) -> tuple[int, bytes]:
    """Run the command line, tiny backbone included, on a terminal of that width, whose characters
    have so many pixels: its exit status and what it wrote.

    Args:
        attributes: what the terminal answers to DA1, such as "62;4;22"; empty is nothing.
    """
    parent, child = os.openpty()
    size = struct.pack("HHHH", 40, columns, columns * pixels[0], 40 * pixels[1])
    fcntl.ioctl(child, termios.TIOCSWINSZ, size)
    known = {name: os.environ[name] for name in os.environ if not _ABOUT_TERMINALS.match(name)}
    process = subprocess.Popen(
        [sys.executable, "-c", _LOGIN, str(HERE / "tiny.py"), *map(str, arguments)],
        stdin=child,
        stdout=child,
        stderr=child,
        env={**known, "TERM": "xterm-256color", **(environ or {})},  # readline adds COLUMNS unseen
        start_new_session=True,
    )
    os.close(child)
    written = b""
    answered = False
    with contextlib.suppress(OSError):  # on Linux the end of a terminal is an error
        while more := os.read(parent, 65536):
            written += more
            if attributes and not answered and b"\x1b[c" in written:
                answered = os.write(parent, f"\x1b[?{attributes}c".encode()) > 0
    os.close(parent)
    return process.wait(), written.replace(b"\r\n", b"\n")


_LOGIN = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""
"""Makes standard input the terminal of its session, then becomes the command."""


def kitty_pictures(written: bytes) -> list[tuple[dict[str, str], Image.Image]]:
    """The keys and pictures of all of kitty's sequences."""
    found, keys, data = [], {}, b""
    for match in re.finditer(rb"\x1b_G([^;\x1b]*);([^\x1b]*)\x1b\\", written):
        some = dict(one.split("=") for one in match[1].decode().split(","))
        assert len(match[2]) <= 4096
        assert some["m"] == "0" or len(match[2]) % 4 == 0
        keys, data = {**some, **keys}, data + match[2]
        if some["m"] == "0":
            found.append((keys, Image.open(io.BytesIO(base64.b64decode(data, validate=True)))))
            keys, data = {}, b""
    assert not data
    return found


def iterm_pictures(written: bytes) -> list[tuple[dict[str, str], Image.Image]]:
    """The arguments and pictures of all of iTerm2's sequences."""
    found = []
    for match in re.finditer(rb"\x1b\]1337;File=([^:]*):([^\a]*)\a", written):
        keys = dict(one.split("=") for one in match[1].decode().split(";"))
        data = base64.b64decode(match[2], validate=True)
        assert int(keys["size"]) == len(data)
        found.append((keys, Image.open(io.BytesIO(data))))
    return found


def sixel_pictures(written: bytes) -> list[NDArray[np.uint8]]:
    """(height, width, 4) RGBA of all sixel sequences."""
    return [
        _sixels(match[1].decode()) for match in re.finditer(rb"\x1bP0;1q([^\x1b]*)\x1b\\", written)
    ]


def _sixels(text: str) -> NDArray[np.uint8]:
    raster = re.match(r'"1;1;(\d+);(\d+)', text)
    assert raster is not None
    width, height = int(raster[1]), int(raster[2])
    image = np.zeros((-(-height // 6) * 6, width, 4), np.uint8)
    registers: dict[int, tuple[int, ...]] = {}
    x = top = colour = 0
    for token in re.finditer(
        r"#(\d+);2;(\d+);(\d+);(\d+)|#(\d+)|!(\d+)([?-~])|([?-~])|(\$)|(-)|(.)",
        text[raster.end() :],
    ):
        number, red, green, blue, chosen, times, many, one, back, down, odd = token.groups()
        assert odd is None, token
        if number is not None:
            registers[int(number)] = tuple(
                round(int(value) * 255 / 100) for value in (red, green, blue)
            )
        elif chosen is not None:
            colour = int(chosen)
        elif back or down:
            x, top = 0, top + 6 * bool(down)
        else:
            bits = ord(many or one) - 63
            run = int(times or 1)
            for row in range(6):
                if bits >> row & 1:
                    image[top + row, x : x + run] = (*registers[colour], 255)
            x += run
            assert x <= width
    assert not image[height:].any()
    return image[:height]


_XTERM = (0, 95, 135, 175, 215, 255)


def block_pictures(written: bytes) -> NDArray[np.uint8]:
    """(2 * lines, columns, 4) RGBA of lines of half blocks; lines of other text end it."""
    rows = []
    for line in written.decode().split("\n"):
        if not re.fullmatch("(\x1b\\[[0-9;]*m|[▀▄ ])+", line):
            break
        rows.append(_block_line(line))
    return np.array([row for pair in rows for row in pair], np.uint8)


def _block_line(line: str) -> tuple[list[tuple[int, ...]], list[tuple[int, ...]]]:
    nothing = (0, 0, 0, 0)
    front: tuple[int, ...] = nothing
    back: tuple[int, ...] = nothing
    upper, lower = [], []
    for token in re.findall("\x1b\\[[0-9;]*m|.", line):
        if token[0] == "\x1b":
            for ground in re.findall(r"[34]8;2;\d+;\d+;\d+|[34]8;5;\d+|39|49", token[2:-1]):
                value = _block_colour(ground)
                front, back = (value, back) if ground[0] == "3" else (front, value)
            continue
        upper.append({"▀": front, "▄": back, " ": back}[token])
        lower.append({"▀": back, "▄": front, " ": back}[token])
    assert (front, back) == (nothing, nothing)  # no colour is left behind
    return upper, lower


def _block_colour(words: str) -> tuple[int, ...]:
    numbers = [int(word) for word in words.split(";")]
    if len(numbers) == 1:
        return (0, 0, 0, 0)
    if numbers[1] == 2:
        return (*numbers[2:], 255)
    index = numbers[2]
    if index >= 232:
        return (8 + 10 * (index - 232),) * 3 + (255,)
    index -= 16
    return (_XTERM[index // 36], _XTERM[index // 6 % 6], _XTERM[index % 6], 255)
