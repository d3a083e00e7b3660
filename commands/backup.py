"""`tll-index backup`: a copy of the store, while others use it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.names import shown
from .shared.bars import bars
from .shared.options import debug_option, quiet_option, store_option
from .shared.param_types import PATH

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@click.argument("destination", type=PATH, metavar="DEST")
@store_option
@quiet_option
@debug_option
def backup(destination: Path, store: Location | None, quiet: bool) -> None:
    """Copy the store to the new folder DEST; the copy is consistent even while a build writes.

    The copy is a store: 'query --store DEST' searches it. To go back to it, put it in the place of
    the other.
    """
    from ..core.config import load_settings
    from ..indexer.maintenance.backup import backup as back_up

    with bars(quiet) as progress:
        path = back_up(destination, progress=progress, settings=load_settings(store=store))
    if not quiet:
        click.echo(f"wrote {shown(path)}")
