"""`tll-index merge`: put the pictures of other stores into this one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.wording import counted
from .shared.bars import bars
from .shared.options import debug_option, quiet_option, store_option
from .shared.param_types import STORE

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@click.argument("sources", nargs=-1, required=True, type=STORE, metavar="SRC...")
@store_option
@quiet_option
@debug_option
def merge(sources: tuple[Path, ...], store: Location | None, quiet: bool) -> None:
    """Put the pictures of the stores SRC into the store, which is made if it is not there.

    Nothing is embedded again, so the same backbone and lens must have made all of them. SRC is only
    read. After Ctrl-C, the same command goes on.
    """
    from ..core.config import load_settings
    from ..indexer.transfer.merge import merge as merge_stores

    with bars(quiet) as progress:
        merged = merge_stores(sources, progress=progress, settings=load_settings(store=store))
    if quiet:
        return
    click.echo(
        f"{counted(merged.added, 'path')} added ({counted(merged.images, 'new picture')}), "
        f"{merged.known:,} known, {merged.unusable:,} unusable"
    )
    if merged.replaced or merged.kept:
        click.echo(
            f"{counted(merged.replaced + merged.kept, 'path')} showed another picture: "
            f"{merged.replaced:,} replaced, as their files are now; {merged.kept:,} kept"
        )
