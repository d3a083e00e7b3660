"""`tll-index copy`: bring a store to another folder or Milvus."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from ..core.names import shown
from ..core.wording import counted
from .shared.bars import bars
from .shared.options import debug_option, quiet_option
from .shared.param_types import STORE

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@click.argument("source", type=STORE, metavar="SRC")
@click.argument("destination", type=STORE, metavar="DEST")
@quiet_option
@debug_option
def copy(source: Location, destination: Location, quiet: bool) -> None:
    """Copy the store SRC to DEST: folders, or addresses such as milvus://HOST:PORT/NAME.

    Nothing is embedded again. After Ctrl-C, the same command goes on; later, it brings DEST up to
    date. In the end it compares counts and vectors, and checks that both stores find the same.
    """
    from ..indexer.transfer.copy import copy_store

    with bars(quiet) as progress:
        found = copy_store(source, destination, progress=progress)
    if quiet:
        return
    click.echo(
        f"{counted(found.changed, 'path')} written ({counted(found.sent, 'new picture')}), "
        f"{found.removed:,} removed; {shown(destination)} holds "
        f"{counted(found.images, 'picture')} at {counted(found.paths, 'path')}"
    )
    click.echo(
        f"verified: the counts are equal, so {'is' if found.vectors == 1 else 'are'} "
        f"{counted(found.vectors, 'random vector')}, bit by bit; of the ten best hits of "
        f"{counted(found.compared, 'picture')}, {found.recall:.1%} are the same"
    )
    if found.source_changed:
        click.echo(
            f"{shown(source)} has changed meanwhile: copy again to bring {shown(destination)} "
            "up to date",
            err=True,
        )
