"""`tll-index import`: take embeddings that clip-retrieval made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.wording import counted
from .shared.bars import bars
from .shared.options import (
    debug_option,
    device_option,
    quiet_option,
    runtime_option,
    store_option,
    workers_option,
)
from .shared.param_types import PATH


@click.command("import")
@click.argument("folder", type=PATH, metavar="DIR")
@store_option
@click.option(
    "--backbone",
    metavar="NAME",
    help="The backbone that made them; some are made again to compare.",
)
@click.option("--weights", type=PATH, help="The backbone's weights file.")
@click.option("--model", default="", metavar="TEXT", help="What made them, in your words.")
@device_option
@runtime_option
@workers_option
@quiet_option
@debug_option
def import_(
    folder: Path,
    backbone: str | None,
    weights: Path | None,
    model: str,
    quiet: bool,
    **settings: Any,
) -> None:
    """Put embeddings in clip-retrieval's layout (DIR/img_emb, DIR/metadata) into a store.

    Without --backbone, only the store's own pictures can be queries. After Ctrl-C, the same command
    goes on. Rows with the same key but different vectors are all kept; signed addresses are
    refused.
    """
    from ..core.config import load_settings
    from ..indexer.transfer.import_embeddings import import_embeddings

    with bars(quiet) as progress:
        came = import_embeddings(
            folder,
            backbone=backbone,
            weights=weights,
            model=model,
            progress=progress,
            settings=load_settings(**settings),
        )
    if quiet:
        return
    click.echo(
        f"{counted(came.paths, 'path')} added ({counted(came.images, 'new picture')}), "
        f"{came.known:,} known, "
        f"{came.absent:,} without a file here"
    )
    if came.renamed:
        click.echo(
            f"{came.renamed:,} of the rows share a path or content with another row, but not the "
            "vector: each is kept, at its path and ~partP-rowR (docs/exchange.md)"
        )
    if came.refused or came.nameless:
        click.echo(
            f"left out: {came.refused:,} without a direction (NaN or all zeros), "
            f"{came.nameless:,} without a usable path"
        )
