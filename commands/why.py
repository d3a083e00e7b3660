"""`tll-index why`: which regions make two pictures alike."""

from __future__ import annotations

import functools
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.names import shown
from .shared.bars import bars
from .shared.formats import format_option
from .shared.options import (
    debug_option,
    device_option,
    max_megapixels_option,
    runtime_option,
    store_option,
    truncated_option,
)
from .shared.param_types import OUTPUT, PATH, PATH_OR_ADDRESS
from .shared.piped import read_piped
from .shared.results import require_writable

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@click.argument("a", type=PATH_OR_ADDRESS)
@click.argument("b", type=PATH_OR_ADDRESS)
@store_option
@click.option("--out", type=OUTPUT, help="Also draw both pictures with a heatmap, as .png or .jpg.")
@click.option(
    "--method",
    type=click.Choice(["auto", "sum", "mask"]),
    default="auto",
    show_default=True,
    help="sum: exact parts of the score; mask: what it loses when a region is blurred, with any "
    "backbone; auto: sum where possible.",
)
@format_option("table", "json", "jsonl")
@click.option(
    "--backbone",
    metavar="NAME",
    help="Use this network, and no store; 'tll-index backbones' lists them all.",
)
@click.option(
    "--weights", type=PATH, help="The weights file of --backbone, or of the store's backbone."
)
@click.option("--lens", metavar="FILE|none", help="Use this trained lens, and no store.")
@device_option
@runtime_option
@max_megapixels_option
@truncated_option
@debug_option
def why(
    a: Path,
    b: Path,
    store: Location | None,
    out: Path | None,
    method: str,
    format: str,
    backbone: str | None,
    weights: Path | None,
    lens: str | None,
    **settings: Any,
) -> None:
    """Show which regions make pictures A and B alike; '-' reads one of them from standard input.

    The backbone and lens of the store decide what is alike; where no store is named or near, the
    bundled ones do.
    """
    from ..core.config import load_settings
    from ..core.errors import PictureError, UsageError
    from ..engine.explain.explain import format_for
    from ..indexer.analysis.explain import why as why_alike
    from ..indexer.backends.layout import locate_store
    from ..indexer.store.store import Store
    from ..rendering import render
    from ..rendering.formats import facts_as

    loaded = load_settings(store=store, **settings)
    items = [os.fspath(picture) for picture in (a, b)]
    if items == ["-", "-"]:
        raise click.UsageError("standard input holds one picture: name '-' once")
    own = backbone is not None or lens is not None
    if own and store is not None:
        raise UsageError(
            "--store brings its own backbone and lens: leave out --backbone and --lens"
        )
    if out is not None:
        format_for(out)
        require_writable(out)
    piped = [read_piped(it, loaded.max_megabytes << 20) for it in items]
    pictures = [it if data is None else data for it, data in zip(items, piped, strict=True)]
    explain = functools.partial(why_alike, *pictures, method=method, settings=loaded)
    try:
        with bars(quiet=False) as progress:
            if own or locate_store(None, loaded) is None:
                if not own:
                    click.echo("no store here: using the bundled backbone and its lens", err=True)
                found = explain(backbone=backbone, weights=weights, lens=lens, progress=progress)
            else:
                with Store.open(weights=weights, settings=loaded) as opened:
                    found = explain(store=opened, progress=progress)
    except PictureError as error:
        if error.source is not None:
            raise
        called = next(it for it, data in zip(items, piped, strict=True) if data is not None)
        raise error.at("standard input" if called == "-" else called) from None
    facts = found.facts()
    if format == "table":
        click.echo(render.why(facts))
    else:
        click.echo(facts_as(format, facts), nl=False)
    if out is not None:
        found.save(out)
        click.echo(f"wrote {shown(out)}", err=True)
