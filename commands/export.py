"""`tll-index export`: vectors and metadata for other tools."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.names import shown
from ..core.wording import counted
from .shared.bars import bars
from .shared.options import debug_option, quiet_option, store_option
from .shared.param_types import OUTPUT_OR_FOLDER

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@click.argument("destination", type=OUTPUT_OR_FOLDER, metavar="DEST")
@store_option
@click.option(
    "--layout",
    type=click.Choice(("parquet", "npz", "clip-retrieval")),
    help="How to lay out DEST; with clip-retrieval it is a new folder.  [default: by its ending]",
)
@click.option(
    "--vectors",
    type=click.Choice(("looks", "stored")),
    default="looks",
    show_default=True,
    help="looks: plain unit vectors; stored: what the store keeps, with the hub penalty.",
)
@quiet_option
@debug_option
def export(destination: Path, store: Location | None, quiet: bool, **how: Any) -> None:
    """Write the vectors and metadata of all pictures to DEST.parquet, DEST.npz or a folder.

    DEST appears whole or not at all. docs/exchange.md says what it holds.
    """
    from ..core.config import load_settings
    from ..indexer.transfer.export import export as export_store

    with bars(quiet) as progress:
        done = export_store(
            destination, progress=progress, settings=load_settings(store=store), **how
        )
    if not quiet:
        size = f"{counted(done.rows, 'row')}, {counted(done.dimension, 'value')} each"
        click.echo(f"wrote {shown(done.path)}: {size}")
