"""--format: how results are printed."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import click

_F = TypeVar("_F", bound=Callable[..., Any])

FORMATS = {
    "table": "for people",
    "json": "one JSON value",
    "jsonl": "a JSON object a line",
    "csv": "rows below the names of the columns",
    "paths": "paths only",
    "paths0": "paths ended by null bytes",
}
"""What results can be printed as."""


def format_option(*formats: str, json: str = "json") -> Callable[[_F], _F]:
    """--format, whose value the command gets as `format`, and its short forms: --json, and where
    there are paths, --paths and -0. Two that contradict each other are refused.

    Args:
        formats: of `FORMATS`; the first is the default.
        json: what --json is short for.
    """
    known = "; ".join(f"{name}: {FORMATS[name]}" for name in formats)
    short = {"as_json": json, "as_paths": "paths", "null": "paths0"}
    options = [
        click.option(
            "--format",
            "format",
            type=click.Choice(formats),
            help=f"How to print the results. {known}.  [default: {formats[0]}]",
        ),
        click.option("--json", "as_json", is_flag=True, help=f"Short for --format {json}."),
    ]
    if "paths" in formats:
        options += [
            click.option("--paths", "as_paths", is_flag=True, help="Short for --format paths."),
            click.option("-0", "null", is_flag=True, help="Short for --format paths0."),
        ]

    def add(function: _F) -> _F:
        @functools.wraps(function)
        def with_one_format(*arguments: Any, format: str | None, **rest: Any) -> Any:
            wanted = {name for flag, name in short.items() if rest.pop(flag, False)}
            if format is not None:
                wanted.add(format)
            if "paths0" in wanted:
                wanted.discard("paths")
            if len(wanted) > 1:
                first, second = sorted(wanted, key=formats.index)[:2]
                raise click.UsageError(
                    f"the formats {first} and {second} exclude each other: choose one"
                )
            return function(*arguments, format=wanted.pop() if wanted else formats[0], **rest)

        command: Any = with_one_format
        for option in reversed(options):
            command = option(command)
        return command

    return add
