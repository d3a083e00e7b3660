"""The command that asks: which pictures look like these?"""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.errors import PictureError
from ..core.names import shown
from ..core.wording import counted
from ..rendering.terminals import PROTOCOLS
from .parameters import (
    OUTPUT,
    PATH,
    PLACE,
    debug_option,
    device_option,
    format_option,
    hyperlinks_option,
    max_megapixels_option,
    require_place,
    runtime_option,
    store_option,
    truncated_option,
    write_and_say,
)
from .piped import read_piped
from .questions import Weighed, WeighedPicture, WeighedText, questions

if TYPE_CHECKING:
    from ..core.location import Location
    from ..engine.images.crops import Crop
    from ..engine.images.decode import Limits
    from ..indexer.store.query import QueryEmbedding
    from ..indexer.store.store import Store
    from ..rendering.results import QueryItem
    from ..rendering.sheets import Plan
    from ..rendering.strips import Canvas
    from ..rendering.terminals import Protocol, Style


class _CropType(click.ParamType["Crop"]):
    """x,y,w,h."""

    name = "x,y,w,h"

    def convert(self, value: Any, parameter: Any, context: Any) -> Crop:
        """See `Crop.parse`."""
        from ..core.errors import UsageError
        from ..engine.images.crops import Crop

        try:
            return value if isinstance(value, Crop) else Crop.parse(value)
        except UsageError as error:
            self.fail(str(error), parameter, context)


@click.command()
@click.argument("pictures", nargs=-1, type=PLACE, metavar="[PICTURE]...")
@store_option
@click.option("-k", type=click.IntRange(min=1), default=10, show_default=True, help="How many.")
@click.option("--together", is_flag=True, help="One question: what looks like all of PICTURE...?")
@click.option(
    "--plus",
    type=WeighedPicture(),
    multiple=True,
    metavar="PICTURE[=W]",
    help="The same, also like this, by weight.",
)
@click.option(
    "--minus",
    type=WeighedPicture(),
    multiple=True,
    metavar="PICTURE[=W]",
    help="The same, less like this, by weight.",
)
@click.option(
    "--text",
    type=WeighedText(),
    multiple=True,
    metavar="TEXT[=W]",
    help="One question: what shows this, in words? For stores that were built with --text.",
)
@click.option(
    "--minus-text",
    type=WeighedText(),
    multiple=True,
    metavar="TEXT[=W]",
    help="The same, and shows less of this.",
)
@click.option("--crop", type=_CropType(), help="Only this part, in pixels or all in %.")
@click.option(
    "--filter",
    "only",
    multiple=True,
    metavar="PATTERN",
    help="Only indexed paths like this, or in folders like this; '!PATTERN' takes away.",
)
@click.option("--min-score", type=float, metavar="X", help="Only hits that score at least this.")
@click.option("--include-self", is_flag=True, help="Also the picture itself, if indexed.")
@click.option("--sample", type=click.IntRange(min=1), help="Ask with N pictures of the store.")
@format_option("table", "json", "jsonl", "csv", "paths", "paths0", json="jsonl")
@click.option("--show", is_flag=True, help="Show the pictures, on a terminal.")
@click.option(
    "--show-as",
    type=click.Choice(PROTOCOLS),
    help="The same in this way, also where output is no terminal.",
)
@click.option("--sheet", type=OUTPUT, help="Also draw a contact sheet, .png or .jpg.")
@click.option("--html", type=OUTPUT, help="Also write a page with pictures.")
@hyperlinks_option
@click.option("--weights", type=PATH, help="The weights that made the store, if they moved.")
@device_option
@runtime_option
@max_megapixels_option
@truncated_option
@debug_option
def query(
    pictures: tuple[Path, ...],
    store: Location | None,
    k: int,
    together: bool,
    plus: tuple[Weighed, ...],
    minus: tuple[Weighed, ...],
    text: tuple[Weighed, ...],
    minus_text: tuple[Weighed, ...],
    crop: Crop | None,
    filter: tuple[str, ...],
    min_score: float | None,
    include_self: bool,
    sample: int | None,
    format: str,
    show: bool,
    show_as: Protocol | None,
    sheet: Path | None,
    html: Path | None,
    weights: Path | None,
    **settings: Any,
) -> None:
    """Show the indexed pictures that look most like PICTURE; '-' reads one from standard input.

    Several pictures are asked with one after the other. With --together, --plus, --minus or --text
    they are one question.
    """
    from ..core.config import load_settings
    from ..core.errors import StoreError
    from ..engine.images.decode import Limits
    from ..indexer.store.store import Store
    from ..rendering.printing import Printer
    from ..rendering.results import QueryResult
    from ..rendering.terminals import style_of

    items = questions(
        [os.fspath(picture) for picture in pictures],
        plus=plus,
        minus=minus,
        text=text,
        minus_text=minus_text,
        together=together,
        crop=crop,
        sample=sample,
    )
    if min_score is not None and not math.isfinite(min_score):
        raise click.UsageError("--min-score is a number")
    loaded = load_settings(store=store, **settings)
    style, limits = style_of(loaded.hyperlinks), Limits.of(loaded)
    canvas = _canvas(show_as, style, limits, format) if show or show_as else None
    out = Printer(format, style, canvas)
    if filter or min_score is not None:
        out.nothing = "no indexed picture is let through"
    for path in (html, sheet):
        if path is not None:
            require_place(path)
    results: list[QueryResult] = []
    failed = False
    with Store.open(weights=weights, settings=loaded) as opened:
        if (held := len(opened)) == 0:
            raise StoreError(
                f"the store {opened.location} is empty; fill it with 'tll-index build'"
            )
        if opened.unfinished:
            where = shown(opened.location)
            click.echo(f"{where} is a copy that is not whole; 'tll-index copy' ends it", err=True)
        if sample:
            items += _sampled(opened, sample)
        plan = None if sheet is None else _plan(sheet, items, min(k, held))
        for question in items:
            try:
                queries, question = _encoded(opened, question)
            except PictureError as error:
                failed = True
                click.echo(f"tll-index: {shown(str(error))}", err=True)
                continue
            hits = opened.query_blend(
                queries, k, filter=filter, min_score=min_score, include_self=include_self
            )
            result = QueryResult(question, hits)
            out.print(result)
            if html is not None or sheet is not None:
                results.append(result)
        out.finish()
    if out.count and k > held:
        click.echo(f"(asked for {k}; the store holds {counted(held, 'picture')})", err=True)
    if results and html is not None:
        from ..rendering.pages import page

        title = f"Lookalikes among {counted(held, 'picture')}"
        write_and_say(html, page(results, limits, title).encode())
    if results and sheet is not None and plan is not None:
        from ..rendering.sheets import sheet as drawn

        write_and_say(sheet, drawn(results, limits, plan, sheet))
    if failed:
        sys.exit(1)


def _sampled(store: Store, count: int) -> list[tuple[QueryItem, ...]]:
    from ..rendering.results import QueryItem

    return [(QueryItem(path),) for path in store.sample(count)]


def _called(name: str) -> str:
    return "standard input" if name == "-" else name


def _encoded(
    store: Store, question: tuple[QueryItem, ...]
) -> tuple[list[QueryEmbedding], tuple[QueryItem, ...]]:
    """How its pictures look; and the question, with what came from standard input.

    Raises:
        PictureError: one of them can't be used.
    """
    queries, read = [], []
    for items in question:
        if items.is_text:
            queries.append(store.encode_text(items.name).weighing(items.weight))
            read.append(items)
            continue
        if (data := read_piped(items.name, store.settings.max_megabytes << 20)) is not None:
            items = replace(items, data=data)
        source = items.name if items.data is None else items.data
        try:
            query_embedding = store.encode_query(source, crop=items.crop, name=items.name)
        except PictureError as error:
            raise error if error.source is not None else error.at(_called(items.name)) from None
        queries.append(query_embedding.weighing(items.weight))
        read.append(items)
    return queries, tuple(read)


def _canvas(show_as: Protocol | None, style: Style, limits: Limits, format: str) -> Canvas:
    """Where pictures are shown.

    Raises:
        click.UsageError: they can't be, here.
    """
    from ..rendering import terminals
    from ..rendering.strips import Canvas

    if format != "table":
        raise click.UsageError(f"--show goes with tables, not with --format {format}")
    if show_as is None and not terminals.is_terminal():
        raise click.UsageError(
            "--show is for terminals; elsewhere take --show-as, --sheet or --html"
        )
    return Canvas(
        show_as or terminals.protocol_here(),
        terminals.size_here(),
        style,
        terminals.has_true_colour(),
        limits,
    )


def _plan(sheet: Path, items: Sequence[tuple[QueryItem, ...]], hits: int) -> Plan:
    """How the sheet will be.

    Raises:
        UsageError: it can't be.
    """
    from ..rendering.sheets import Plan, require_sheet

    plan = Plan(hits, max(map(len, items)))
    require_sheet(sheet, len(items), plan)
    return plan


COMMANDS = (query,)
