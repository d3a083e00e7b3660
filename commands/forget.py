"""`tll-index forget`: remove pictures so that no byte of them stays."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.names import shown
from ..core.wording import counted
from .shared.bars import bars
from .shared.options import debug_option, quiet_option, store_option
from .shared.param_types import PATH_OR_ADDRESS

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATH_OR_ADDRESS, metavar="PATH...")
@store_option
@click.option("--copies", is_flag=True, help="Also remove other paths that show the same pictures.")
@quiet_option
@debug_option
def forget(paths: tuple[Path, ...], store: Location | None, copies: bool, quiet: bool) -> None:
    """Really remove pictures, or all below a folder: no file of the store keeps a byte of them.

    It takes as long as copying the store and building its index. It leaves the files themselves
    alone.
    """
    from ..core.config import load_settings
    from ..indexer.maintenance.forget import forget as forget_paths

    with bars(quiet) as progress:
        result = forget_paths(
            paths, copies=copies, progress=progress, settings=load_settings(store=store)
        )
    for path in result.copies:
        click.echo(f"the same picture is still indexed: {shown(path)}", err=True)
    if result.again:
        files = counted(len(result.again), "file")
        click.echo(
            f"still there: {files} ({shown(result.again[0])} …): move them away, or leave them out "
            "with 'build --exclude', or the next build indexes them again",
            err=True,
        )
    for root in result.roots:
        click.echo(
            f"the store is no longer built from {shown(root)}: 'tll-index build' leaves it alone, "
            f"'tll-index build {shown(root)}' indexes it again",
            err=True,
        )
    if not quiet:
        click.echo(f"forgot {counted(result.paths, 'path')}, {counted(result.images, 'picture')}")
