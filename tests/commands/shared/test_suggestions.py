"""What is meant by commands and options that are not there: one line, exit status 2."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest

from conftest import Result
from tll_index.cli import COMMANDS, cli
from tll_index.commands.shared import suggestions
from tll_index.commands.shared.suggestions import commands_meant, distance, options_meant

Cli = Callable[..., Result]


def slips(word: str) -> Iterator[str]:
    """The word with two letters swapped, one dropped, one doubled, one that is another."""
    for at in range(len(word)):
        yield word[:at] + word[at : at + 2][::-1] + word[at + 2 :]
        yield word[:at] + word[at + 1 :]
        yield word[:at] + word[at] + word[at:]
        yield word[:at] + "z" + word[at + 1 :]


def options() -> dict[str, list[str]]:
    """The options of each command."""
    context = click.Context(cli)
    found = {}
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert command is not None
        given = [one for one in command.params if isinstance(one, click.Option)]
        found[name] = [name for one in given for name in (*one.opts, *one.secondary_opts)]
    return found


def test_distance() -> None:
    for a, b, count in [
        ("build", "build", 0),
        ("biuld", "build", 1),
        ("bild", "build", 1),
        ("buildd", "build", 1),
        ("guild", "build", 1),
        ("", "why", 3),
        ("ca", "abc", 3),  # optimal string alignment edits no part twice
    ]:
        assert distance(a, b) == distance(b, a) == count, (a, b)


def test_slips_of_the_finger() -> None:
    for name in COMMANDS:
        for typed in slips(name):
            if len(typed) > 2 and typed not in COMMANDS:
                meant = commands_meant(typed, COMMANDS)
                assert name in meant and len(meant) <= 2, (typed, meant)
    for command, known in options().items():
        for option in (one for one in known if len(one) > len("--lens")):
            for typed in slips(option[2:]):
                assert option in options_meant(f"--{typed}", known), (command, option, typed)


def test_beginnings_parts_and_other_words() -> None:
    every = [*sorted(COMMANDS), "backbones fetch", "--help", "--version"]
    for typed, *meant in [
        ("que", "query"),
        ("back", "backbones", "backup"),
        ("BUILD", "build"),
        ("infos", "info"),
        ("--query", "query"),
        ("search", "query"),
        ("index", "build"),
        ("duplicates", "dupes"),
        ("remove", "forget"),
        ("delete", "forget"),
        ("find-duplicates", "dupes"),
        ("show_pairs", "pairs"),
        ("explain", "why"),
        ("evaluate", "eval"),
        ("help", "--help"),
        ("version", "--version"),
        ("download", "backbones fetch"),
        ("frobnicate",),
        ("x",),
        ("",),
    ]:
        assert commands_meant(typed, every) == meant, typed
    known = options()
    for command, typed, *meant in [
        ("query", "--limit", "-k"),
        ("query", "-n", "-k"),
        ("query", "--k", "-k"),
        ("query", "--megapixels", "--max-megapixels"),
        ("query", "--score", "--min-score", "--store"),
        ("query", "--min_score", "--min-score"),
        ("query", "-format", "--format"),
        ("build", "--links", "--follow-links"),
        ("build", "--ignore", "--exclude"),
        ("build", "--hid", "--hidden"),
        ("build", "-j", "--workers"),
        ("dupes", "--similarity", "--threshold"),
        ("info", "--frobnicate"),
    ]:
        assert options_meant(typed, known[command]) == meant, (command, typed)


def test_other_words_are_of_what_is_there() -> None:
    every = {name for known in options().values() for name in known} | {"--help", "--version"}
    assert suggestions.OPTIONS.keys() <= every
    assert suggestions.COMMANDS.keys() <= {*COMMANDS, "backbones fetch", "--help", "--version"}
    for name, others in suggestions.COMMANDS.items():
        assert not COMMANDS.keys() & set(others)
        for word in others:
            assert commands_meant(word, [*COMMANDS, name])[0] == name, word


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("search a.png", "no command 'search'; did you mean 'tll-index query'?"),
        ("qurey a.png", "no command 'qurey'; did you mean 'tll-index query'?"),
        (
            "back",
            "no command 'back'; did you mean 'tll-index backbones' or 'tll-index backup'?",
        ),
        ("frobnicate", "no command 'frobnicate'; 'tll-index --help' lists them"),
        ("help query", "no command 'help'; did you mean 'tll-index --help'?"),
        (
            "backbones download x",
            "no command 'download'; did you mean 'tll-index backbones fetch'?",
        ),
        ("photos", "'photos' is a folder; to index it: tll-index build photos"),
        ("'a b.png'", "'a b.png' is a file; to search with it: tll-index query 'a b.png'"),
        ("query a.png --fromat csv", "'query' has no option --fromat; did you mean --format?"),
        ("query a.png -n 5", "'query' has no option -n; did you mean -k?"),
        ("query a.png -format=csv", "'query' has no option -format; did you mean --format?"),
        ("query a.png --exact", "--exact is an option of 'dupes', not of 'query'"),
        ("query a.png -exact", "--exact is an option of 'dupes', not of 'query'"),
        (
            "query a.png --top 5",
            "--top is an option of 'pairs', not of 'query'; did you mean -k?",
        ),
        (
            "copy a b --store c",
            "--store is an option of 'backup', 'build', 'dupes' and 12 more, not of 'copy'",
        ),
        (
            "info --frobnicate",
            "'info' has no option --frobnicate; see 'tll-index info --help'",
        ),
        ("--store s info", "--store comes after the command: 'tll-index info … --store'"),
        ("--vrsion", "no option --vrsion; did you mean --version?"),
        ("-z", "no option -z; see 'tll-index --help'"),
        ("train", "DATA is missing; see 'tll-index train --help'"),
        ("train data", "--out is missing; see 'tll-index train --help'"),
        (
            "completion",
            "SHELL is missing: one of bash, zsh, fish; see 'tll-index completion --help'",
        ),
        ("query --store", "option '--store' requires an argument"),
        ("query a.png -k 0", "-k: 0 is too small: at least 1"),
        ("query a.png -k ten", "-k: 'ten' is not a whole number"),
        ("query a.png --min-score high", "--min-score: 'high' is not a number"),
        (
            "build --runtime tpu",
            "--runtime: 'tpu' is not one of 'auto', 'onnx', 'openvino', 'torch'",
        ),
        (
            "info photos",
            "'info' takes only options, not 'photos'; the store is named by --store",
        ),
        ("why a.png b.png c.png", "'why' has no use for 'c.png'; see 'tll-index why --help'"),
        ("query --crop 1%,1%,5%,5%", "--crop is for one picture"),
    ],
)
def test_one_line_and_exit_status_2(arguments: str, said: str, here: Path, tll_index: Cli) -> None:
    (here / "photos").mkdir()
    (here / "a b.png").touch()
    result = tll_index(*shlex.split(arguments))
    assert (result.code, result.out) == (2, "")
    assert result.err == f"tll-index: {said}\n"


def test_no_arguments_show_the_help(tll_index: Cli) -> None:
    result = tll_index()
    assert (result.out + result.err).startswith("Usage: tll-index [OPTIONS] COMMAND")
