"""`tll-index repair`: mend a damaged store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..core.names import shown
from .shared.bars import bars
from .shared.options import debug_option, quiet_option, store_option

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@store_option
@quiet_option
@debug_option
def repair(store: Location | None, quiet: bool) -> None:
    """Mend a damaged store: rebuild what follows from the rest, drop what can't be read.

    It says what it dropped. The next 'build' indexes those pictures again if they are still there.
    """
    from ..core.config import load_settings
    from ..indexer.maintenance.repair import repair as repair_store

    with bars(quiet) as progress:
        result = repair_store(progress=progress, settings=load_settings(store=store))
    for line in result.lost:
        click.echo(f"lost: {shown(line)}")
    if not quiet:
        for line in result.done or ("nothing was wrong",):
            click.echo(shown(line))
    if result.lost and not quiet:
        click.echo("run 'tll-index build' to index again what is still there")
