"""What is known of terminals, and what commands write to a real one."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote_to_bytes, urlsplit

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import tiny
from pictures import encoded, fill_folder, noise
from terminal import block_pictures, iterm_pictures, kitty_pictures, on_terminal, sixel_pictures
from tll_index import build
from tll_index.indexer.ingest.build import Recipe
from tll_index.rendering.terminals import PLAIN, Style, protocol_of, shows_hyperlinks, url_of

COLOUR = re.compile(rb"\x1b\[[0-9;]*m")
LINK = re.compile(rb"\x1b\]8;;([^\x1b]*)\x1b\\")


@pytest.fixture
def photos(here: Path) -> list[Path]:
    paths = fill_folder(here / "photos", 6)
    build(["photos"], recipe=Recipe("tiny"))
    return paths


@pytest.mark.parametrize(
    ("environ", "protocol"),
    [
        ({"TERM": "xterm-kitty"}, "kitty"),
        ({"TERM": "xterm-256color", "KITTY_WINDOW_ID": "1"}, "kitty"),
        ({"TERM": "xterm-ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "ghostty"}, "kitty"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "230801"}, "kitty"),
        ({"TERM": "xterm-256color", "KONSOLE_VERSION": "210400"}, None),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, "iterm"),
        ({"TERM": "xterm-256color", "LC_TERMINAL": "iTerm2"}, "iterm"),
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "WezTerm"}, "iterm"),
        ({"TERM": "xterm", "TERM_PROGRAM": "mintty"}, "iterm"),
        ({"TERM": "foot"}, "sixel"),
        ({"TERM": "mlterm"}, "sixel"),
        ({"TERM": "xterm-256color"}, None),
        ({}, None),
        ({"TERM": "tmux-256color", "TMUX": "/tmp/x", "KITTY_WINDOW_ID": "1"}, None),
        ({"TERM": "screen", "TERM_PROGRAM": "iTerm.app"}, None),
    ],
)
def test_what_the_environment_tells(environ: dict[str, str], protocol: str | None) -> None:
    assert protocol_of(environ) == protocol


@pytest.mark.parametrize(
    ("environ", "shown"),
    [
        ({"TERM": "xterm-256color"}, False),
        ({"TERM": "linux"}, False),
        ({"TERM": "xterm-256color", "VTE_VERSION": "7200"}, True),
        ({"TERM": "xterm-256color", "VTE_VERSION": "5000"}, False),  # crashed on them
        ({"TERM": "xterm-256color", "TERM_PROGRAM": "iTerm.app"}, True),
        ({"TERM": "alacritty"}, True),
        ({"TERM": "tmux-256color", "TMUX": "x", "VTE_VERSION": "7200"}, False),
    ],
)
def test_who_is_known_to_make_hyperlinks(environ: dict[str, str], shown: bool) -> None:
    assert shows_hyperlinks(environ) is shown


@given(st.binary(min_size=1).filter(lambda name: b"\0" not in name and b"/" not in name))
def test_a_url_of_is_printable_and_leads_to_the_file(name: bytes) -> None:
    path = b"/photos/" + name + b"/x"
    url = url_of(os.fsdecode(path))
    parts = urlsplit(url)
    assert url.isascii() and url.isprintable() and " " not in url
    assert parts.scheme == "file" and parts.netloc == os.uname().nodename
    assert unquote_to_bytes(parts.path) == os.path.abspath(path)


def test_an_address_is_its_own_url() -> None:
    assert (
        url_of("https://example.org/a%20b.jpg?x=1&y=2") == "https://example.org/a%20b.jpg?x=1&y=2"
    )
    assert url_of("https://example.org/\x1b]\\") == "https://example.org/%1B]%5C"


@given(st.floats(-2, 2), st.integers(1, 30))
def test_a_bar_has_its_width(share: float, width: int) -> None:
    bar = Style(colours=False, bars=True).bar(share, width)
    assert len(bar) == width
    length = bar.count("━") + bar.count("╾") / 2
    assert abs(length - min(max(share, 0), 1) * width) <= 0.25 + 1e-9
    assert len(re.sub("\x1b\\[[0-9;]*m", "", Style(colours=True).bar(share, width))) == width


def test_plain_text_has_nothing_in_it(here: Path) -> None:
    styled = (PLAIN.faint("a"), PLAIN.strong("b"), PLAIN.warm("c"), PLAIN.path(str(here / "d/e")))
    assert styled == ("a", "b", "c", "d/e")


@pytest.mark.slow
def test_a_table_on_a_terminal(photos: list[Path]) -> None:
    query = ("query", photos[0], "-k", "2")
    code, plain = on_terminal(*query, environ={"NO_COLOR": "1"})
    assert code == 0 and b"\x1b" not in plain
    assert re.search(
        r"^ +1  [ -]\d\.\d{3}  [━╾─]{10}  photos/picture\d+\.png$", plain.decode(), re.M
    )
    code, coloured = on_terminal(*query)
    assert code == 0 and not LINK.search(coloured)  # nobody knows what this terminal does
    assert COLOUR.search(coloured) and COLOUR.sub(b"", coloured) == plain
    code, dumb = on_terminal(*query, environ={"TERM": "dumb"})
    assert b"\x1b" not in dumb and "━" not in dumb.decode()


@pytest.mark.slow
def test_paths_on_a_terminal_that_makes_hyperlinks(photos: list[Path]) -> None:
    query = ("query", photos[0], "-k", "2")
    _, linked = on_terminal(*query, environ={"NO_COLOR": "1", "TERM": "alacritty"})  # no colour
    links = [link for link in LINK.findall(linked) if link]
    assert len(links) == 2 and links[0].startswith(b"file://") and not COLOUR.search(linked)
    _, never = on_terminal(*query, environ={"TERM": "alacritty", "TLL_HYPERLINKS": "never"})
    assert not LINK.search(never) and COLOUR.sub(b"", never) == LINK.sub(b"", linked)


def test_a_hyperlink_to_a_strange_name(here: Path) -> None:
    (here / "photos").mkdir()
    name = b"a\x1b]8;;evil \xff\n.png"
    Path(os.fsdecode(os.fsencode(here / "photos") + b"/" + name)).write_bytes(
        encoded(noise(1), "PNG")
    )
    build(["photos"], recipe=Recipe("tiny"))
    query = ("query", "--sample", "1", "--include-self", "--hyperlinks", "always")
    _, written = on_terminal(*query)
    (link,) = (link for link in LINK.findall(written) if link)
    assert unquote_to_bytes(link).endswith(b"/photos/" + name)
    assert rb"a\x1b]8;;evil \xff\n.png" in written
    assert b"\x1b" not in COLOUR.sub(b"", LINK.sub(b"", written))


def _is_like(seen: Image.Image, path: Path, most: float = 6) -> bool:
    """Whether the picture at `path` fills what is opaque of `seen`, but for so much on average."""
    box = seen.getchannel("A").getbbox()
    assert box is not None
    part = seen.crop(box).convert("RGB")
    expected = Image.open(path).convert("RGB").resize(part.size, Image.Resampling.LANCZOS)
    return bool(np.abs(np.asarray(part, int) - np.asarray(expected, int)).mean() < most)


@pytest.mark.parametrize("protocol", ["kitty", "iterm", "sixel"])
@pytest.mark.slow_after_first
def test_show_sends_what_was_asked_and_its_hits(photos: list[Path], protocol: str) -> None:
    environ = {
        "kitty": {"TERM": "xterm-kitty"},
        "iterm": {"TERM_PROGRAM": "iTerm.app"},
        "sixel": {},  # which the terminal itself says
    }[protocol]
    code, written = on_terminal(
        "query", photos[0], "-k", "2", "--show", environ=environ, attributes="62;4;22"
    )
    assert code == 0, written
    if protocol == "kitty":
        ((keys, strip),) = kitty_pictures(written)
        cells = int(keys["c"]), int(keys["r"])
    elif protocol == "iterm":
        ((keys, strip),) = iterm_pictures(written)
        cells = int(keys["width"]), int(keys["height"])
    else:
        (pixels,) = sixel_pictures(written)
        strip = Image.fromarray(pixels, "RGBA")
        cells = strip.width // 10, strip.height // 20
    assert cells[0] <= 100 and strip.size == (cells[0] * 10, cells[1] * 20)
    found = re.findall(
        r"photos/(picture\d+\.png)", COLOUR.sub(b"", LINK.sub(b"", written)).decode()
    )
    wide = (cells[0] + 2) // 3 * 10
    for number, name in enumerate(found):
        tile = strip.crop((number * wide, 0, (number + 1) * wide - 20, strip.height))
        most = 16 if protocol == "sixel" else 6  # 255 colours for those of three pictures
        assert _is_like(tile, photos[0].parent / name, most)
    rows = cells[1]
    room = b"\n" * rows + b"\x1b[%dA\x1b7" % rows
    assert room in written and b"\x1b8\x1b[%dB" % rows in written


@pytest.mark.slow
def test_show_in_blocks_where_a_terminal_shows_nothing_else(photos: list[Path]) -> None:
    for environ, attributes in (({"TMUX": "x", "KITTY_WINDOW_ID": "1"}, "1;2"), ({}, "")):
        code, written = on_terminal(
            "query",
            photos[0],
            "-k",
            "2",
            "--show",
            environ={"COLORTERM": "truecolor", **environ},
            attributes=attributes,
        )
        assert code == 0
        pixels = block_pictures(written[written.index(b"\x1b[38;2") :])
        wide = (pixels.shape[1] + 2) // 3
        assert _is_like(Image.fromarray(pixels[:, : wide - 2].copy(), "RGBA"), photos[0])
        assert b"looks like" in written


@pytest.mark.slow
def test_a_narrow_terminal_gets_several_strips(photos: list[Path]) -> None:
    _, written = on_terminal(
        "query", photos[0], "-k", "4", "--show", environ={"TERM": "xterm-kitty"}, columns=50
    )
    strips = kitty_pictures(written)
    assert [int(keys["c"]) <= 50 for keys, _ in strips] == [True] * 3
    bare = LINK.sub(b"", COLOUR.sub(b"", written))
    text = re.sub(rb"\x1b_G[^\x1b]*\x1b\\|\x1b[78]|\x1b\[\d+[AB]", b"", bare).decode()
    captions = text[: text.index("photos/picture")]
    assert max(map(len, captions.splitlines())) <= 50
    assert captions.count("picture0") == 5


def test_show_elsewhere_is_for_those_who_say_how(photos: list[Path], tll_index, here: Path) -> None:
    refused = tll_index("query", photos[0], "--show")
    assert refused.code == 2 and "--show works in terminals only" in refused.err
    refused = tll_index("query", photos[0], "--show-as", "kitty", "--json")
    assert refused.code == 2 and "works with tables" in refused.err
    photos[1].unlink()
    shown = tll_index("query", photos[0], "-k", 5, "--show-as", "kitty")
    assert shown.code == 0 and "can't be shown" in shown.out
    assert kitty_pictures(shown.out.encode())


def test_what_came_from_standard_input_is_no_link(photos: list[Path]) -> None:
    Path("asked.png").write_bytes(photos[0].read_bytes())
    with open("asked.png", "rb") as file:
        process = subprocess.run(
            [
                sys.executable,
                Path(tiny.__file__),
                *("query", "-", "-k", "1", "--show-as", "blocks", "--hyperlinks", "always"),
            ],
            stdin=file,
            capture_output=True,
            check=True,
        )
    links = [link for link in LINK.findall(process.stdout) if link]
    assert len(links) == 2 and len(set(links)) == 1  # below the picture, and in the table
