"""Results of queries -> standard output, one after the other, in the chosen format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from . import render
from .formats import rows_as
from .results import QueryResult
from .terminals import Style

if TYPE_CHECKING:
    from .strips import Canvas

_PATH_ENDS = {"paths": b"\n", "paths0": b"\0"}


@dataclass
class Printer:
    """A printer of results; `finish` prints what can only be printed when all are there."""

    format: str
    """See `commands.shared.formats.FORMATS`."""
    style: Style
    canvas: Canvas | None = None
    """Where pictures are shown above each table."""
    nothing: str = "nothing else is indexed"
    """What a table without hits says."""
    count: int = 0
    """Of results so far."""
    _rows: list[dict[str, Any]] = field(default_factory=list)

    def print(self, result: QueryResult) -> None:
        """Print one, or keep it until all are there."""
        self.count += 1
        hits = result.hits
        if self.format in _PATH_ENDS:
            _write(render.raw_paths(hits, _PATH_ENDS[self.format]))
        elif self.format == "jsonl":
            _write(rows_as("jsonl", render.hit_rows(hits)))
        elif self.format == "table":
            self._table(result)
        else:
            self._rows.extend(render.hit_rows(hits))

    def finish(self) -> None:
        """Print what was kept."""
        if self.format in ("json", "csv"):
            _write(rows_as(self.format, self._rows, render.HIT_COLUMNS))

    def _table(self, result: QueryResult) -> None:
        if self.count > 1:
            click.echo()
        if self.canvas is not None:
            from .strips import strips

            for strip in strips(result, self.canvas):
                _write(strip)
        # Whether there may be colours was decided with the style.
        click.echo(render.table(result.hits, self.style, nothing=self.nothing), color=True)


def _write(data: bytes) -> None:
    """Bytes as they are: paths may be any, and JSON is UTF-8, whatever the terminal speaks."""
    if data:
        click.echo(data, nl=False)
