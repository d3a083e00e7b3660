"""What --help shows: every command, whole summaries, and that it loads nothing to do so."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

from conftest import Result
from tll_index import commands
from tll_index.cli import COMMANDS, GROUPS, cli

Cli = Callable[..., Result]


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from tll_index.cli import main\n"
        "sys.argv = ['tll-index', '--help']\n"
        "try: main()\n"
        "except SystemExit as end: assert end.code in (0, None)\n"
        "heavy = {'torch', 'numpy', 'faiss', 'PIL', 'lmdb', 'open_clip', 'jinja2', 'tqdm'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "[]"
    assert "Index folders of pictures with 'build'" in ended.stdout


def test_help_names_every_command_in_a_line_of_its_group() -> None:
    """A module each; none has to be loaded to be listed."""
    code = (
        "import sys\n"
        "from tll_index.cli import cli\n"
        "try: cli(['--help'], prog_name='tll-index')\n"
        "except SystemExit: print(*(name for name in sys.modules if '.commands.' in name))"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    *text, loaded = ended.stdout.splitlines()
    for title, group in GROUPS.items():
        start = text.index(f"{title}:") + 1
        listed = [line.split(maxsplit=1) for line in text[start : start + len(group)]]
        assert listed == [[name, summary] for name, summary in group.items()]
        assert text[start + len(group)] == ""
    assert [*GROUPS] == ["Everyday", "Collection", "Care", "Training", "Exchange"]
    assert len(COMMANDS) == sum(map(len, GROUPS.values())) == 21
    here = {name for name in loaded.split() if ".shared" not in name}
    assert here == {"tll_index.commands.completion"}
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None and command.name == name and command.help
    folder = Path(commands.__file__).parent
    modules = {path.stem.rstrip("_") for path in folder.glob("*.py") if path.stem != "__init__"}
    assert modules == {*COMMANDS, "backbones_fetch"}
    assert cli.get_command(context, "nothing") is None


@pytest.mark.parametrize("columns", ["40", "80", "200"])
def test_no_help_is_cut(
    columns: str, tll_index: Cli, monkeypatch: pytest.MonkeyPatch, here: Path
) -> None:
    """Summaries are whole however narrow the terminal is, and so are those of subcommands."""
    monkeypatch.setenv("COLUMNS", columns)
    text = " ".join(tll_index("--help").out.split())
    assert all(f"{name} {summary}" in text for name, summary in COMMANDS.items())
    for name in COMMANDS:
        text = tll_index(name, "--help").out.replace("[OPTIONS]", "").replace("]...", "]")
        assert not re.search(r"\w\.\.\.\s", text.replace("PATH...", "").replace("SRC...", ""))
    fetch = " ".join(tll_index("backbones", "--help").out.split())
    assert "fetch Download the weights of a backbone." in fetch
