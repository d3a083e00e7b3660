"""--format, the same for every command, and its short forms."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from conftest import Result
from pictures import fill_folder
from tll_index import build
from tll_index.cli import cli
from tll_index.commands.shared.formats import FORMATS, format_option
from tll_index.indexer.ingest.build import Recipe
from tll_index.rendering.formats import facts_as, rows_as

Cli = Callable[..., Result]

NAMES = st.text(st.characters(exclude_categories=[]), max_size=8)
"""Any text, with the surrogates that stand for stray bytes."""

VALUES = st.one_of(NAMES, st.integers(), st.booleans(), st.none(), st.lists(NAMES, max_size=3))
ROWS = st.lists(st.fixed_dictionaries({"a": VALUES, "b": NAMES}), max_size=4)


@given(ROWS)
def test_rows_survive_each_format(rows: list[dict[str, Any]]) -> None:
    assert json.loads(rows_as("json", rows)) == rows
    lines = rows_as("jsonl", rows).decode().split("\n")
    assert [json.loads(line) for line in lines[:-1]] == rows and lines[-1] == ""
    table = rows_as("csv", rows, ("a", "b")).decode()
    assert table.count("\n") == len(rows) + 1  # whatever is in names
    read = list(csv.DictReader(io.StringIO(table, newline="")))
    for cells, row in zip(read, rows, strict=True):
        assert cells["b"] == row["b"] or json.loads(cells["b"]) == row["b"]


def test_facts_are_one_object() -> None:
    facts = {"name": "é", "parts": {"x": [1, 2]}, "whole": True}
    assert json.loads(facts_as("json", facts)) == facts
    assert facts_as("json", facts).count(b"\n") == 10 and "é".encode() in facts_as("json", facts)
    assert (
        json.loads(facts_as("jsonl", facts)) == facts and facts_as("jsonl", facts).count(b"\n") == 1
    )
    assert facts_as("csv", facts).decode() == 'name,parts,whole\né,"{""x"": [1, 2]}",true\n'


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "table"),
        (["--json"], "jsonl"),
        (["--format", "json"], "json"),
        (["--paths"], "paths"),
        (["-0"], "paths0"),
        (["--paths", "-0"], "paths0"),
        (["--format", "paths", "-0"], "paths0"),
        (["--format", "jsonl", "--json"], "jsonl"),
        (["--format", "csv", "--json"], "the formats jsonl and csv exclude each other"),
        (["--json", "--paths"], "the formats jsonl and paths exclude each other"),
        (["--format", "table", "-0"], "the formats table and paths0 exclude each other"),
        (["--format", "xml"], "'xml' is not one of"),
    ],
)
def test_one_format_comes_of_all_options(arguments: list[str], expected: str) -> None:
    @click.command()
    @format_option("table", "json", "jsonl", "csv", "paths", "paths0", json="jsonl")
    def command(format: str) -> None:
        click.echo(format)

    result = CliRunner().invoke(command, arguments)
    assert (
        (result.output == f"{expected}\n") if result.exit_code == 0 else (expected in result.output)
    )
    assert result.exit_code == (2 if " " in expected else 0)


def test_every_command_with_json_has_formats() -> None:
    """--json is never all there is."""
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        options = {option for parameter in command.params for option in parameter.opts}
        assert ("--json" in options) == ("--format" in options), name
        for parameter in command.params:
            if "--format" in parameter.opts:
                assert isinstance(parameter.type, click.Choice)
                assert set(parameter.type.choices) <= set(FORMATS)
                assert "table" in parameter.type.choices and len(parameter.type.choices) > 1


def test_the_same_hits_in_each_format(here: Path, tll_index: Cli) -> None:
    photos = fill_folder(here / "photos", 5)
    build(["photos"], recipe=Recipe("tiny"))
    query = ("query", photos[0], photos[1], "-k", 3)
    rows = [json.loads(line) for line in tll_index(*query, "--json").out.splitlines()]
    assert len(rows) == 6
    assert json.loads(tll_index(*query, "--format", "json").out) == rows
    read = list(csv.DictReader(io.StringIO(tll_index(*query, "--format", "csv").out)))
    assert [{**row, "paths": json.loads(row["paths"])} for row in read] == [
        {name: value if name == "paths" else str(value) for name, value in row.items()}
        for row in rows
    ]
    paths = [row["path"] for row in rows]
    assert tll_index(*query, "--format", "paths").out.splitlines() == paths
    assert tll_index(*query, "--format", "paths0").out == "".join(f"{path}\0" for path in paths)
    none = ("query", photos[0], "--min-score", 2, "--format")
    assert json.loads(tll_index(*none, "json").out) == []
    assert tll_index(*none, "csv").out.startswith("query,rank,score,path,")
    assert tll_index(*none, "jsonl").out == tll_index(*none, "paths").out == ""


def test_other_commands(here: Path, tll_index: Cli) -> None:
    fill_folder(here / "photos", 3)
    build(["photos"], recipe=Recipe("tiny"))
    info = json.loads(tll_index("info", "--json").out)
    assert json.loads(tll_index("info", "--format", "jsonl").out) == info
    assert tll_index("info", "--format", "csv").out.count("\n") == 2
    listed = json.loads(tll_index("backbones", "--format", "json").out)
    lines = tll_index("backbones", "--json").out.splitlines()
    assert [json.loads(line) for line in lines] == listed
    assert tll_index("backbones", "--format", "csv").out.startswith("name,")
    assert tll_index("verify", "--format", "csv").out == "part,what,mends\n"
    assert tll_index("verify", "--format", "jsonl").out == ""
    assert json.loads(tll_index("verify", "--json").out)["whole"]
    os.truncate(here / ".tll-index/vectors.faiss", 10)
    damaged = tll_index("verify", "--format", "jsonl")
    assert damaged.code == 1 and json.loads(damaged.out.splitlines()[0])["part"] == "index"
