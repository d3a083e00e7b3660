"""`tll-index pairs`: the most striking pairs of a collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .shared.bars import bars
from .shared.formats import format_option
from .shared.options import (
    batch_size_option,
    debug_option,
    device_option,
    html_option,
    quiet_option,
    runtime_option,
    store_option,
    workers_option,
)
from .shared.param_types import WholeNumber
from .shared.results import require_writable, write_and_say

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@store_option
@click.option("--top", type=WholeNumber(1), default=50, show_default=True, help="How many pairs.")
@format_option("table", "json", "jsonl", json="jsonl")
@html_option
@device_option
@runtime_option
@batch_size_option
@workers_option
@quiet_option
@debug_option
def pairs(
    store: Location | None,
    top: int,
    format: str,
    html: Path | None,
    quiet: bool,
    **settings: Any,
) -> None:
    """Show the most striking pairs: alike through the lens, though the network tells them apart.

    Copies of a picture and shots of one scene are left out, and each picture is in one pair at
    most. The store must have a trained lens.
    """
    from dataclasses import asdict

    from ..core.config import load_settings
    from ..engine.images.decode import Limits
    from ..indexer.analysis.pairs import pairs as find_pairs
    from ..rendering import pages, render
    from ..rendering.formats import rows_as

    loaded = load_settings(store=store, **settings)
    if html is not None:
        require_writable(html)
    with bars(quiet) as progress:
        found = find_pairs(top=top, progress=progress, settings=loaded)
    if format != "table":
        click.echo(rows_as(format, [asdict(pair) for pair in found]), nl=False)
    elif found:
        click.echo("\n".join(render.pairs(found)))
    if not found and not quiet:
        click.echo("no two pictures are alike through the lens alone", err=True)
    if html is not None:
        title = "Totally looks like"
        write_and_say(html, pages.pairs_page(found, Limits.of(loaded), title).encode())
