"""What the terminal at standard output can show: colours, hyperlinks, pictures."""

from __future__ import annotations

import contextlib
import os
import re
import select
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias
from urllib.parse import quote

from ..core import file_urls
from ..core.names import near, shown

Protocol: TypeAlias = Literal["kitty", "iterm", "sixel", "blocks"]
"""How a picture gets to a terminal. Blocks are characters in two colours, which all can show."""

PROTOCOLS: tuple[Protocol, ...] = ("kitty", "iterm", "sixel", "blocks")

_REPLY_SECONDS = 0.5
"""A terminal that says what it is takes some milliseconds, and a network's round trip."""


@dataclass(frozen=True)
class Style:
    """The style of text: what it may be adorned with, nothing where a program reads it."""

    colours: bool = False
    bars: bool = False
    """Whether scores have one, of box-drawing characters."""
    hyperlinks: bool = False

    def faint(self, text: str) -> str:
        """Less than the rest."""
        return f"\x1b[2m{text}\x1b[22m" if self.colours and text else text

    def strong(self, text: str) -> str:
        """More than the rest."""
        return f"\x1b[1m{text}\x1b[22m" if self.colours and text else text

    def warm(self, text: str) -> str:
        """In the colour that is the same on page and sheet."""
        return f"\x1b[38;5;173m{text}\x1b[39m" if self.colours and text else text

    def path(self, path: str) -> str:
        """A path, relative to the current folder where it lies below it, that can be clicked."""
        folder, slash, name = shown(near(path)).rpartition("/")
        return self.linked(self.faint(folder + slash) + name, path)

    def linked(self, text: str, path: str) -> str:
        """`text`, a hyperlink to what is at `path` (OSC 8)."""
        if not self.hyperlinks:
            return text
        return f"\x1b]8;;{url_of(path)}\x1b\\{text}\x1b]8;;\x1b\\"

    def bar(self, share: float, width: int = 10) -> str:
        """So much of a line of `width` characters, in steps of half a character."""
        full, half = divmod(round(min(max(share, 0.0), 1.0) * width * 2), 2)
        return self.warm("━" * full + "╾" * half) + self.faint("─" * (width - full - half))


PLAIN = Style()


def url_of(path: str) -> str:
    """A file: URL of an absolute or relative path, whatever bytes it has; with this machine's name,
    so that a terminal knows files of another. An address on the web is its own."""
    from ..engine.remote.urls import is_address

    raw = os.fsencode(path)
    if is_address(raw):
        return quote(raw, safe="%/:?#[]@!$&'()*+,;=~")
    return file_urls.url_of(os.path.abspath(raw))


def style_of(hyperlinks: str, environ: Mapping[str, str] = os.environ) -> Style:
    """How text may be adorned on standard output.

    Args:
        hyperlinks: auto, always or never.
    """
    on_terminal = is_terminal(environ)
    links = hyperlinks == "always" or (
        hyperlinks == "auto" and on_terminal and shows_hyperlinks(environ)
    )
    return Style(on_terminal and not environ.get("NO_COLOR"), on_terminal and _draws(), links)


def is_terminal(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether standard output is a terminal that knows control sequences."""
    out = sys.stdout
    return out is not None and out.isatty() and environ.get("TERM", "dumb") != "dumb"


def has_true_colour(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether it knows 24-bit colours; otherwise 256 are safe."""
    return environ.get("COLORTERM", "").lower() in ("truecolor", "24bit")


def shows_hyperlinks(environ: Mapping[str, str]) -> bool:
    """Whether it is one that is known to make hyperlinks of OSC 8; others might print them."""
    if _is_wrapped(environ):
        return False
    if (vte := environ.get("VTE_VERSION", "")).isdigit():
        return int(vte) > 5000
    if environ.get("TERM_PROGRAM") in ("iTerm.app", "WezTerm", "vscode", "ghostty", "mintty"):
        return True
    named = re.match("xterm-kitty|xterm-ghostty|alacritty|foot|contour", environ.get("TERM", ""))
    return bool(named) or any(name in environ for name in ("KITTY_WINDOW_ID", "WT_SESSION"))


def protocol_of(environ: Mapping[str, str]) -> Protocol | None:
    """How it shows pictures, as far as the environment tells; None is not at all."""
    if _is_wrapped(environ):  # what is outside may be any terminal, and another tomorrow
        return None
    term, program = environ.get("TERM", ""), environ.get("TERM_PROGRAM", "")
    if program in ("iTerm.app", "WezTerm", "mintty") or environ.get("LC_TERMINAL") == "iTerm2":
        return "iterm"
    if term in ("xterm-kitty", "xterm-ghostty") or "KITTY_WINDOW_ID" in environ:
        return "kitty"
    if program == "ghostty":
        return "kitty"
    konsole = environ.get("KONSOLE_VERSION", "")
    if konsole.isdigit() and int(konsole) >= 220400:
        return "kitty"
    return "sixel" if re.match("foot|mlterm|yaft|contour|.*sixel", term) else None


def protocol_here() -> Protocol:
    """How the terminal at standard output shows pictures best; asks it where nothing tells."""
    told = protocol_of(os.environ)
    if told is not None:
        return told
    return "sixel" if "4" in _attributes() else "blocks"


@dataclass(frozen=True)
class Size:
    """The size of a terminal."""

    columns: int = 80
    cell_width: int = 10
    cell_height: int = 20
    """Of a character, in pixels."""


def size_here() -> Size:
    """Of the terminal at standard output, or what is usual."""
    fallback = Size()
    try:
        import fcntl
        import struct
        import termios

        packed = fcntl.ioctl(1, termios.TIOCGWINSZ, bytes(8))
        rows, wide, across, down = struct.unpack("HHHH", packed)
    except OSError:
        rows = wide = across = down = 0
    told = os.environ.get("COLUMNS", "")
    columns = int(told) if told.isdigit() and int(told) else wide or fallback.columns
    if not (rows and wide and across and down):
        return Size(columns)
    return Size(columns, max(1, across // wide), max(1, down // rows))


def _draws() -> bool:
    """Whether standard output's encoding has what bars are made of."""
    try:
        "━╾─".encode(sys.stdout.encoding)
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _is_wrapped(environ: Mapping[str, str]) -> bool:
    """Whether tmux or screen is between us and the terminal that the environment speaks of."""
    return "TMUX" in environ or environ.get("TERM", "").startswith(("screen", "tmux"))


def _attributes() -> list[str]:
    """What the terminal answers to "primary device attributes" (DA1): numbers, 4 is sixel. Empty
    where there is nobody to ask, or somebody has typed already."""
    import fcntl
    import struct
    import termios

    with contextlib.ExitStack() as undone:
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
            undone.callback(os.close, terminal)
            if os.tcgetpgrp(terminal) != os.getpgrp():  # in the background: we would be stopped
                return []
            if struct.unpack("i", fcntl.ioctl(terminal, termios.FIONREAD, bytes(4)))[0]:
                return []
            before = termios.tcgetattr(terminal)
            quiet: list[Any] = [*before[:6], list(before[6])]
            quiet[3] &= ~(termios.ECHO | termios.ICANON)
            undone.callback(termios.tcsetattr, terminal, termios.TCSANOW, before)
            termios.tcsetattr(terminal, termios.TCSANOW, quiet)
            os.write(terminal, b"\x1b[c")
            return _read_attributes(terminal)
        except (OSError, termios.error):
            return []


def _read_attributes(terminal: int) -> list[str]:
    said = b""
    while select.select([terminal], [], [], _REPLY_SECONDS)[0]:
        said += (more := os.read(terminal, 64))
        if (found := re.search(rb"\x1b\[\?([\d;]*)c", said)) is not None:
            return found[1].decode().split(";")
        if not more or len(said) > 512:
            break
    return []
