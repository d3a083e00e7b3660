"""`tll-index backbones`: which there are, and whether their weights are here."""

from __future__ import annotations

import click

from .backbones_fetch import fetch
from .shared.formats import format_option
from .shared.options import debug_option
from .shared.usage_errors import SuggestingGroup


@click.group(cls=SuggestingGroup, invoke_without_command=True)
@format_option("table", "json", "jsonl", "csv", json="jsonl")
@debug_option
@click.pass_context
def backbones(context: click.Context, format: str) -> None:
    """List the backbones: what each is, whether its weights are here, and how to get them."""
    if context.invoked_subcommand is not None:
        return
    from ..core.config import load_settings
    from ..engine.lens.listing import listing
    from ..rendering import render
    from ..rendering.formats import rows_as

    rows = listing(load_settings())
    if format == "table":
        click.echo(render.backbones(rows))
    else:
        click.echo(rows_as(format, rows), nl=False)


backbones.add_command(fetch)
