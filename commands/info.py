"""`tll-index info`: what a store is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from .shared.formats import format_option
from .shared.options import debug_option, store_option

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@store_option
@format_option("table", "json", "jsonl", "csv")
@debug_option
def info(store: Location | None, format: str) -> None:
    """Say what made the store, what it holds, and how much disk it takes."""
    from ..core.config import load_settings
    from ..indexer.store.store import Store
    from ..rendering import render
    from ..rendering.formats import facts_as

    with Store.open(settings=load_settings(store=store)) as opened:
        facts = opened.info()
    if format == "table":
        click.echo(render.facts(facts))
    else:
        click.echo(facts_as(format, facts), nl=False)
