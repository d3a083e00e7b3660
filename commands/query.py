"""`tll-index query`: which indexed pictures look like these?

A run parses its arguments into query items, plans what can be refused before a store is opened,
searches for one query after the other, and renders each result as it comes.
"""

from __future__ import annotations

import gc
import math
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import PictureError
from ..core.names import shown
from ..core.threads import begin_calm
from ..core.wording import counted
from ..rendering.terminals import PROTOCOLS
from .shared.formats import format_option
from .shared.options import (
    debug_option,
    device_option,
    html_option,
    hyperlinks_option,
    max_megapixels_option,
    runtime_option,
    store_option,
    store_weights_option,
    truncated_option,
)
from .shared.param_types import OUTPUT, PATH_OR_ADDRESS, Number, WholeNumber
from .shared.piped import read_piped
from .shared.query_items import CropType, WeightedPicture, WeightedText, query_items
from .shared.results import require_writable, write_and_say

if TYPE_CHECKING:
    from ..core.config import Settings
    from ..core.location import Location
    from ..engine.images.decode import Limits
    from ..indexer.store.query import QueryEmbedding
    from ..indexer.store.store import Store
    from ..rendering.printing import Printer
    from ..rendering.results import QueryItem, QueryResult
    from ..rendering.sheets import SheetLayout
    from ..rendering.strips import Canvas
    from ..rendering.terminals import Protocol, Style

    Query = tuple[QueryItem, ...]


@click.command()
@click.argument("pictures", nargs=-1, type=PATH_OR_ADDRESS, metavar="[PICTURE]...")
@store_option
@click.option("-k", type=WholeNumber(1), default=10, show_default=True, help="How many hits.")
@click.option("--together", is_flag=True, help="Make all PICTUREs one query.")
@click.option(
    "--plus",
    type=WeightedPicture(),
    multiple=True,
    metavar="PICTURE[=W]",
    help="Make one query; add this picture to it, with weight W.",
)
@click.option(
    "--minus",
    type=WeightedPicture(),
    multiple=True,
    metavar="PICTURE[=W]",
    help="Make one query; subtract this picture, with weight W.",
)
@click.option(
    "--text",
    type=WeightedText(),
    multiple=True,
    metavar="TEXT[=W]",
    help="Make one query; add this text to it. The store must have been built with --text.",
)
@click.option(
    "--minus-text",
    type=WeightedText(),
    multiple=True,
    metavar="TEXT[=W]",
    help="Make one query; subtract this text.",
)
@click.option(
    "--crop", type=CropType(), help="Use only this part of the picture, in pixels or all in %."
)
@click.option(
    "--filter",
    multiple=True,
    metavar="PATTERN",
    help="Find only paths like this, or in folders like this; '!PATTERN' leaves them out.",
)
@click.option("--min-score", type=Number(), help="Show only hits that score at least X.")
@click.option(
    "--include-self", is_flag=True, help="Show the picture itself, too, if it is indexed."
)
@click.option("--sample", type=WholeNumber(1), help="Search with N pictures of the store.")
@format_option("table", "json", "jsonl", "csv", "paths", "paths0", json="jsonl")
@click.option("--show", is_flag=True, help="Show the pictures in the terminal.")
@click.option(
    "--show-as",
    type=click.Choice(PROTOCOLS),
    help="Show them in this way, also where the output is no terminal.",
)
@click.option("--sheet", type=OUTPUT, help="Also draw a contact sheet, as .png or .jpg.")
@html_option
@hyperlinks_option
@store_weights_option
@device_option
@runtime_option
@max_megapixels_option
@truncated_option
@debug_option
def query(store: Location | None, weights: Path | None, **arguments: Any) -> None:
    """Show the indexed pictures that look most like PICTURE; '-' reads one from standard input.

    Several pictures are searched one after the other. With --together, --plus, --minus, --text or
    --minus-text they make one query.
    """
    begin_calm()
    from ..indexer.store.store import Store

    parsed = _parse(store, **arguments)
    renderer = _plan(parsed)
    with Store.open(weights=weights, settings=parsed.settings) as opened:
        held = _require_filled(opened)
        queries = _with_samples(opened, parsed)
        renderer.make_room(queries, min(parsed.search.k, held))
        run = _Run(opened, parsed.search)
        for result in run.results(queries):
            renderer.print(result)
            if len(queries) > 1:
                gc.enable()  # which one query does not need: see `__main__`
        renderer.finish()
    if renderer.printer.count and parsed.search.k > held:
        click.echo(
            f"(asked for {parsed.search.k}; the store holds {counted(held, 'picture')})", err=True
        )
    renderer.write_files(held)
    if run.failed:
        sys.exit(1)


@dataclass(frozen=True)
class _Search:
    """The options of each search."""

    k: int
    filter: tuple[str, ...]
    min_score: float | None
    include_self: bool


@dataclass(frozen=True)
class _Show:
    """The options of how and where results are shown."""

    format: str
    show: bool
    show_as: Protocol | None
    sheet: Path | None
    html: Path | None


@dataclass(frozen=True)
class _Arguments:
    """The command line, in the library's terms."""

    queries: list[Query]
    sample: int | None
    """How many pictures of the store are queries as well."""
    search: _Search
    show: _Show
    settings: Settings


def _parse(
    store: Location | None,
    *,
    pictures: Sequence[Path],
    sample: int | None,
    k: int,
    filter: tuple[str, ...],
    min_score: float | None,
    include_self: bool,
    format: str,
    show: bool,
    show_as: Protocol | None,
    sheet: Path | None,
    html: Path | None,
    **rest: Any,
) -> _Arguments:
    """Raises:
    click.UsageError, UsageError: they make no sense.
    """
    from ..core.config import load_settings

    parts = {name: rest.pop(name) for name in _QUERY_PARTS}
    queries = query_items([os.fspath(picture) for picture in pictures], sample=sample, **parts)
    if min_score is not None and not math.isfinite(min_score):
        raise click.UsageError("--min-score: name a finite number")
    return _Arguments(
        queries,
        sample,
        _Search(k, filter, min_score, include_self),
        _Show(format, show, show_as, sheet, html),
        load_settings(store=store, **rest),
    )


_QUERY_PARTS = ("plus", "minus", "text", "minus_text", "together", "crop")


def _plan(parsed: _Arguments) -> _Renderer:
    """Where results go.

    Raises:
        click.UsageError: pictures can't be shown here.
        TllError: a file can't be written.
    """
    from ..engine.images.decode import Limits
    from ..rendering.printing import Printer
    from ..rendering.terminals import style_of

    show, search = parsed.show, parsed.search
    style, limits = style_of(parsed.settings.hyperlinks), Limits.of(parsed.settings)
    is_shown = show.show or show.show_as is not None
    printer = Printer(show.format, style, _canvas(show, style, limits) if is_shown else None)
    if search.filter or search.min_score is not None:
        printer.nothing = "no indexed picture is let through"
    for path in (show.html, show.sheet):
        if path is not None:
            require_writable(path)
    return _Renderer(printer, limits, show.html, show.sheet)


def _canvas(show: _Show, style: Style, limits: Limits) -> Canvas:
    from ..rendering import terminals
    from ..rendering.strips import Canvas

    if show.format != "table":
        raise click.UsageError(f"--show works with tables, not with --format {show.format}")
    if show.show_as is None and not terminals.is_terminal():
        raise click.UsageError(
            "--show works in terminals only; elsewhere use --show-as, --sheet or --html"
        )
    return Canvas(
        show.show_as or terminals.protocol_here(),
        terminals.size_here(),
        style,
        terminals.has_true_colour(),
        limits,
    )


def _require_filled(store: Store) -> int:
    """How many pictures the store holds.

    Raises:
        StoreError: none.
    """
    from ..core.errors import StoreError

    if (held := len(store)) == 0:
        raise StoreError(f"the store {store.location} is empty; fill it with 'tll-index build'")
    if store.unfinished:
        where = shown(store.location)
        click.echo(f"{where} is an unfinished copy; 'tll-index copy' finishes it", err=True)
    return held


def _with_samples(store: Store, parsed: _Arguments) -> list[Query]:
    from ..rendering.results import QueryItem

    sampled = store.sample(parsed.sample) if parsed.sample else []
    return [*parsed.queries, *((QueryItem(path),) for path in sampled)]


class _Run:
    """The searches of one run. Pictures that can't be used are named on standard error."""

    def __init__(self, store: Store, search: _Search) -> None:
        self._store, self._search = store, search
        self.failed = False
        """Whether there were such."""

    def results(self, queries: Sequence[Query]) -> Iterator[QueryResult]:
        """What is found, query by query."""
        from ..rendering.results import QueryResult

        search = self._search
        for query in queries:
            try:
                encoded = [self._encode(item) for item in query]
            except PictureError as error:
                self.failed = True
                click.echo(f"tll-index: {shown(str(error))}", err=True)
                continue
            hits = self._store.query_blend(
                [embedding for _, embedding in encoded],
                search.k,
                filter=search.filter,
                min_score=search.min_score,
                include_self=search.include_self,
            )
            yield QueryResult(tuple(item for item, _ in encoded), hits)

    def _encode(self, item: QueryItem) -> tuple[QueryItem, QueryEmbedding]:
        """The item, with its bytes if they came through a pipe, and its embedding.

        Raises:
            PictureError: it can't be used.
        """
        if item.is_text:
            return item, self._store.encode_text(item.name).weighing(item.weight)
        data = read_piped(item.name, self._store.settings.max_megabytes << 20)
        if data is not None:
            item = replace(item, data=data)
        try:
            embedding = self._store.encode_query(
                item.name if data is None else data, crop=item.crop, name=item.name
            )
        except PictureError as error:
            if error.source is not None:
                raise
            raise error.at("standard input" if item.name == "-" else item.name) from None
        return item, embedding.weighing(item.weight)


@dataclass
class _Renderer:
    """What shows results: on standard output at once, in files at the end."""

    printer: Printer
    limits: Limits
    html: Path | None
    sheet: Path | None
    _layout: SheetLayout | None = None
    """Of the sheet."""
    _kept: list[QueryResult] = field(default_factory=list)
    """Results for files."""

    def make_room(self, queries: Sequence[Query], hits: int) -> None:
        """Lay out the sheet, for at most so many hits a query.

        Raises:
            UsageError: it can't be made.
        """
        if self.sheet is None:
            return
        from ..rendering.sheets import SheetLayout, require_sheet

        self._layout = SheetLayout(hits, max(map(len, queries)))
        require_sheet(self.sheet, len(queries), self._layout)

    def print(self, result: QueryResult) -> None:
        """Print it, and keep it for files."""
        self.printer.print(result)
        if self.html is not None or self.sheet is not None:
            self._kept.append(result)

    def finish(self) -> None:
        """Print what can only be printed when all results are there."""
        self.printer.finish()

    def write_files(self, held: int) -> None:
        """Write the page and the sheet; `held` is how many pictures the store has."""
        if self._kept and self.html is not None:
            from ..rendering.pages import page

            title = f"Lookalikes among {counted(held, 'picture')}"
            write_and_say(self.html, page(self._kept, self.limits, title).encode())
        if self._kept and self.sheet is not None and self._layout is not None:
            from ..rendering.sheets import sheet_bytes

            write_and_say(
                self.sheet, sheet_bytes(self._kept, self.limits, self._layout, self.sheet)
            )
