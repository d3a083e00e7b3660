"""The commands that look after a store: check it, mend it, copy it, make it forget."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..core.names import shown
from ..core.wording import counted
from .parameters import PATH, PLACE, bars, debug_option, format_option, quiet_option, store_option

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@store_option
@click.option("--deep", is_flag=True, help="Also read every indexed picture.")
@format_option("table", "json", "jsonl", "csv")
@click.option("-q", "--quiet", is_flag=True, help="No progress, and nothing where all is well.")
@debug_option
def verify(store: Location | None, deep: bool, format: str, quiet: bool) -> None:
    """Check every record, vector, path and index entry; exit status 1 if anything is wrong.

    Changes nothing. Others may read and write the store meanwhile.
    """
    from dataclasses import asdict, fields

    from ..core.config import load_settings
    from ..indexer.maintenance.verify import Finding
    from ..indexer.maintenance.verify import verify as verify_store
    from ..rendering.formats import facts_as, rows_as

    with bars(quiet) as progress:
        found = verify_store(deep=deep, progress=progress, settings=load_settings(store=store))
    findings = [asdict(finding) for finding in found.findings]
    if format == "json":
        facts = {"whole": found.whole, "findings": findings, "checked": found.checked}
        click.echo(facts_as(format, facts), nl=False)
    elif format != "table":
        columns = [column.name for column in fields(Finding)]
        click.echo(rows_as(format, findings, columns), nl=False)
    else:
        for finding in found.findings:
            click.echo(f"{finding.part}: {shown(finding.what)} ({_mended(finding.mends)})")
        if found.whole and not quiet:
            decoded_source = ", ".join(
                f"{found.checked[table]:,} {table}"
                for table in ("images", "vectors", "places", "index", "pictures")
                if table in found.checked
            )
            click.echo(f"whole: {decoded_source}")
    if not found.whole:
        sys.exit(1)


def _mended(by: str) -> str:
    if by == "backup":
        return "only a backup helps, or a new build"
    return f"'tll-index {by}' mends it"


@click.command()
@store_option
@quiet_option
@debug_option
def repair(store: Location | None, quiet: bool) -> None:
    """Mend a damaged store: make anew what follows from the rest, drop what can't be read.

    Says what was dropped. The next 'build' indexes those pictures again, if they are still there.
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


@click.command()
@click.argument("destination", type=PATH, metavar="DEST")
@store_option
@quiet_option
@debug_option
def backup(destination: Path, store: Location | None, quiet: bool) -> None:
    """Copy the store to the new folder DEST, consistent though a build may be writing to it.

    The copy is a store: 'query --store DEST' asks it. To go back to it, put it in the place of the
    other.
    """
    from ..core.config import load_settings
    from ..indexer.maintenance.backup import backup as back_up

    with bars(quiet) as progress:
        path = back_up(destination, progress=progress, settings=load_settings(store=store))
    if not quiet:
        click.echo(f"wrote {shown(path)}")


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PLACE, metavar="PATH...")
@store_option
@click.option("--copies", is_flag=True, help="Also other paths that show the same pictures.")
@quiet_option
@debug_option
def forget(paths: tuple[Path, ...], store: Location | None, copies: bool, quiet: bool) -> None:
    """Really remove pictures, or all below a folder: no file of the store keeps a byte of them.

    It takes as long as copying the store and making its index. Files are not touched.
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


COMMANDS = (backup, forget, repair, verify)
