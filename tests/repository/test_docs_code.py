"""Every code block of the README and of docs/ does what it says, as it stands.

The blocks of a page run in order, in a home folder of the page's own with a small collection in
it: pictures, stores of them, pairs. `pip` is a stand-in that knows which extras there are, since
all of them are installed here. A block that can't run says why in a comment (see `documents`);
what is checked of it is that its commands and options exist.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from shlex import quote

import click
import pytest
from filelock import FileLock
from PIL import Image

import tiny
from conftest import of_all_workers
from documents import (
    PAGES,
    ROOT,
    Block,
    blocks,
    inline_commands,
    name_of,
    shell_commands,
    without_blocks,
)
from tll_index.cli import cli

RUN = ("sh", "python")
PARSED = ("json", "ini")
SHOWN = ("text", "sql", "nginx", "caddy")
"""Languages of blocks. What is shown and is no plain text says why nobody runs it."""

PAIRS = 250
"""So many a lens needs for its 384 dimensions, also with a fifth left out."""

PICTURES = {
    "photo.jpg": "food/cinnamon-roll.jpg",
    "a.jpg": "food/fried-egg.jpg",
    "b.jpg": "objects/vinyl-record.jpg",
    "c.jpg": "places/galaxy.jpg",
    "Pictures/garden.jpg": "plants/daisy.jpg",
}
"""Pictures in a user's folder that pages name, by the drawing of the gallery that each is cut out
of."""


def runs(page: Path) -> bool:
    """Whether a page has a block that is run."""
    return any(block.language in RUN and not block.not_run for block in blocks(page.read_text()))


@pytest.fixture(params=PAGES, ids=name_of)
def page(request: pytest.FixtureRequest) -> str:
    return str(request.param.read_text())


def test_every_block_has_a_language(page: str) -> None:
    for block in blocks(page):
        assert block.language in (*RUN, *PARSED, *SHOWN), f"line {block.line}: {block.language!r}"


def test_no_block_hides_in_an_indentation(page: str) -> None:
    """What four spaces make code of, outside of lists, would be run by nobody."""
    before = ""
    for number, line in enumerate(without_blocks(page).splitlines(), 1):
        if line.startswith("    ") and not before.strip():
            raise AssertionError(f"line {number}: {line}")
        before = line


def test_what_is_not_run_says_why(page: str) -> None:
    for block in blocks(page):
        if block.language in SHOWN[1:]:
            assert block.not_run, f"line {block.line}"
        if block.language == "text":
            assert "tll-index " not in block.text or block.text.startswith("#"), block.line


def test_data_can_be_parsed(page: str) -> None:
    for block in blocks(page):
        if block.language == "json":
            json.loads(block.text)
        elif block.language == "ini":
            configparser.ConfigParser(strict=False, interpolation=None).read_string(block.text)


def test_commands_and_options_exist(page: str) -> None:
    """Of all blocks, run or not, and of the prose."""
    shells = [block.text for block in blocks(page) if block.language == "sh"]
    for text in (*shells, *inline_commands(page)):
        for words in shell_commands(text):
            check(words)


def check(words: list[str]) -> None:
    """Fail where a command names a subcommand, option, extra or target that is not there."""
    if words[0] in ("nice", "time", "nohup", "exec"):
        return check(words[1:])
    if "--" in words and words[words.index("--") + 1 :][:1] == ["tll-index"]:
        return check(words[words.index("--") + 1 :])
    if words[:2] == ["docker", "run"]:  # whose image has tll-index as its entry point
        words = words[words.index("tll-index") :]
    if words[0] == "tll-index":
        check_parsed(cli, words[1:], click.Context(cli))
    elif words[0] == "pip":
        check_extras(words)
    elif words[0] == "make":
        targets = re.findall(r"(?m)^([\w-]+):", (ROOT / "Makefile").read_text())
        assert {word for word in words[1:] if "=" not in word} <= set(targets), words
    return None


def check_parsed(command: click.Command, words: list[str], context: click.Context) -> None:
    """Have click parse them, which no callback and no type sees."""
    try:
        _, rest, _ = command.make_parser(context).parse_args(list(words))
    except click.UsageError as error:
        raise AssertionError(f"{' '.join(words)}: {error.message}") from None
    if isinstance(command, click.Group) and rest:
        below = command.get_command(context, rest[0])
        assert below is not None, f"there is no command {rest[0]!r}"
        check_parsed(below, rest[1:], click.Context(below, parent=context))


def check_extras(words: list[str]) -> None:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    extras = setup["options.extras_require"]
    for word in words:
        if named := re.fullmatch(r"(?:tll-index|\.|tll_index\S*)\[(.+)\]", word):
            assert set(named[1].split(",")) <= set(extras), word


def test_checks_see_what_is_wrong() -> None:
    for wrong in (
        "tll-index qeury a.jpg",
        "tll-index query a.jpg --no-such-option",
        "tll-index build x --store",
        "TLL_STORE=x nice tll-index backbones fetsh x",
        "pip install 'tll-index[no-such-extra]'",
        "make no-such-target",
    ):
        (words,) = shell_commands(wrong)
        with pytest.raises(AssertionError):
            check(words)


def test_a_shell_text_is_cut_into_commands() -> None:
    text = "A=1 x 'a b' \\\n  c | y > z  # w\nq <(r s) && t\n"
    assert list(shell_commands(text)) == [
        ["x", "a b", "c"],
        ["y"],
        ["z"],
        ["q"],
        ["r", "s"],
        ["t"],
    ]


@pytest.fixture(scope="session")
def user_home(tmp_path_factory: pytest.TempPathFactory, furnished: Path) -> Path:
    """A user's home folder, to be copied; one for all processes of the tests. It moves once, with
    its stores."""
    folder = of_all_workers(tmp_path_factory) / "documented"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            made = folder.with_name("documented.new")
            draw_collection(made)
            add_stores(made, furnished)
            made.rename(folder)
    return folder


def draw_collection(home: Path) -> None:
    """The drawn gallery as `Pictures`, with copies of some in it, and parts of it as `photos`,
    `scans` and `pairs`."""
    gallery = home / "Pictures"
    subprocess.run([sys.executable, ROOT / "examples/gallery", gallery], check=True)
    drawings = sorted(path for path in gallery.rglob("*.*") if path.parent.name != "photographs")
    for name, drawing in PICTURES.items():
        part(gallery / drawing, 0.9).save(home / name)
    for folder, chosen in (("photos", drawings[::6]), ("scans", drawings[1::20])):
        for path in chosen:
            part(path, 0.95).save(saved(home / folder / f"{path.stem}.png"))
    for number in range(PAIRS):
        rounds, which = divmod(number, len(drawings))
        share = 1 - 0.15 * rounds
        for side, kept in (("left", share), ("right", 0.7 * share)):
            part(drawings[which], kept).save(saved(home / f"pairs/{side}/{number}.png"))
    for path in drawings[:3]:  # a copy of equal content, and a smaller one
        shutil.copy(path, saved(gallery / "again" / path.name))
        small = part(path, 1)
        small.resize((small.width // 2, small.height // 2)).save(gallery / f"again/{path.stem}.png")
    for path in home.rglob("*.*"):
        os.utime(path, (1.7e9, 1.7e9))  # what is young is read again


def part(path: Path, share: float) -> Image.Image:
    """The middle of a picture, that share of each side."""
    image = Image.open(path).convert("RGB")
    x, y = (round(side * (1 - share) / 2) for side in image.size)
    return image.crop((x, y, image.width - x, image.height - y))


def saved(path: Path) -> Path:
    """The same path, in a folder that is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def add_stores(home: Path, furnished: Path) -> None:
    """What a user has: networks in the cache, commands on the PATH, stores of `Pictures` and of
    `photos`, features of `pairs`."""
    data = home / ".local/share/tll-index"
    data.mkdir(parents=True)
    tiny.furnish(data, furnished)
    commands = home / ".local/bin"
    commands.mkdir()
    for name, does in (
        ("tll-index", f'exec {quote(sys.executable)} -m tll_index "$@"'),
        ("python", f'exec {quote(sys.executable)} "$@"'),
        ("pip", "exit 0"),
    ):
        (commands / name).write_text(f"#!/bin/sh\n{does}\n")
        (commands / name).chmod(0o755)
    for command in ("build Pictures", "build photos --store photos.tll", "eval pairs --split all"):
        run(f"tll-index {command}", home)


def run(script: str, home: Path) -> None:
    """Run a shell script as a user with that home folder, who is in it."""
    environment = {name: value for name, value in os.environ.items() if name[:4] != "TLL_"}
    environment |= {
        "HOME": str(home),
        "PATH": f"{home}/.local/bin:{os.environ['PATH']}",
        "LC_ALL": "C.UTF-8",
    }
    done = subprocess.run(
        ["bash", "-Eeo", "pipefail", "-c", script],
        cwd=home,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    assert done.returncode == 0, done.stdout


def script(page: Path, folder: Path) -> str:
    """A page as a shell script: its blocks in order, each Python block a program of its own. What
    fails says where it stands."""
    lines = ["trap 'echo \"line $LINE and on: $BASH_COMMAND\"' ERR"]
    for block in blocks(page.read_text()):
        if block.language in RUN and not block.not_run:
            lines += [f"LINE={block.line}", as_shell(block, folder)]
    return "\n".join(lines)


def as_shell(block: Block, folder: Path) -> str:
    if block.language == "sh":
        return block.text
    (program := folder / f"block_{block.line}.py").write_text(block.text)
    return f"PYTHONPATH=. python {program}"


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("page", [page for page in PAGES if runs(page)], ids=name_of)
def test_the_blocks_of_a_page_run(page: Path, user_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "user"
    shutil.copytree(user_home, home, symlinks=True, copy_function=copied)
    run(script(page, tmp_path), home)


def copied(source: str, target: str) -> str:
    """A copy of a file; exported networks are linked, since nobody writes to them."""
    if "/cache/" in source:
        os.link(source, target)
        return target
    return shutil.copy2(source, target)
