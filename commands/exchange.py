"""The commands that exchange with others: with other stores, and with other tools' files."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.names import shown
from ..core.wording import counted
from .parameters import (
    OUTPUT_OR_FOLDER,
    PATH,
    STORE,
    bars,
    debug_option,
    device_option,
    quiet_option,
    runtime_option,
    store_option,
    workers_option,
)

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@click.argument("sources", nargs=-1, required=True, type=STORE, metavar="SRC...")
@store_option
@quiet_option
@debug_option
def merge(sources: tuple[Path, ...], store: Location | None, quiet: bool) -> None:
    """Put the pictures of the stores SRC into the store, made where there is none.

    Nothing is embedded again, so all must be made by the same backbone and lens. SRC is only read.
    Run again after Ctrl-C, it goes on.
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


@click.command()
@click.argument("destination", type=OUTPUT_OR_FOLDER, metavar="DEST")
@store_option
@click.option(
    "--layout",
    type=click.Choice(("parquet", "npz", "clip-retrieval")),
    help="clip-retrieval: DEST is a new folder.  [default: by DEST's ending]",
)
@click.option(
    "--vectors",
    type=click.Choice(("looks", "stored")),
    default="looks",
    show_default=True,
    help="Plain unit vectors, or what the store keeps, with its hub penalty.",
)
@quiet_option
@debug_option
def export(destination: Path, store: Location | None, quiet: bool, **how: Any) -> None:
    """Write vectors and metadata of all pictures into DEST.parquet, DEST.npz or a folder.

    DEST appears whole or not at all. docs/exchange.md says what is in it.
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


@click.command("import")
@click.argument("folder", type=PATH, metavar="DIR")
@store_option
@click.option("--backbone", metavar="NAME", help="What made them; some are made again to compare.")
@click.option("--weights", type=PATH, help="Weights file of the backbone.")
@click.option("--model", default="", metavar="TEXT", help="What made them, in words.")
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

    Without --backbone, the store can be asked with its own pictures only. Run again, it goes on.
    Rows with equal keys and other vectors are all kept; signed addresses are refused.
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
            f"{came.renamed:,} of the rows have a path or content that another row has with "
            "another vector: each is kept, at its path and ~partP-rowR (docs/exchange.md)"
        )
    if came.refused or came.nameless:
        click.echo(
            f"left out: {came.refused:,} that are no direction (NaN or all zeros), "
            f"{came.nameless:,} without a usable path"
        )


@click.command()
@click.argument("source", type=STORE, metavar="SRC")
@click.argument("destination", type=STORE, metavar="DEST")
@quiet_option
@debug_option
def copy(source: Location, destination: Location, quiet: bool) -> None:
    """Copy the store SRC to DEST: folders, or addresses such as milvus://HOST:PORT/NAME.

    Nothing is embedded again. Run again after Ctrl-C, it goes on; run again later, it brings DEST
    in step. The end is a check: counts, vectors, and whether both give the same answers.
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
        f"verified: counts are equal, {counted(found.vectors, 'vector')} by chance "
        f"{'is' if found.vectors == 1 else 'are'} equal in every bit, of the ten best answers to "
        f"{counted(found.compared, 'picture')} {found.recall:.1%} are the same"
    )
    if found.source_changed:
        click.echo(
            f"{shown(source)} was written to meanwhile: copy again to bring {shown(destination)} "
            "in step",
            err=True,
        )


COMMANDS = (copy, export, import_, merge)
