"""`tll-index build`: index pictures, or bring an index up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..core.names import shown
from .shared.bars import bars
from .shared.build_options import build_arguments, build_options
from .shared.interrupts import end_interrupted
from .shared.options import debug_option, quiet_option
from .shared.param_types import OUTPUT, PATH_OR_ADDRESS
from .shared.results import write_result


@click.command()
@click.argument("folders", nargs=-1, type=PATH_OR_ADDRESS, metavar="[DIR]...")
@build_options
@click.option(
    "--checksum", is_flag=True, help="Read files even if their size and time are unchanged."
)
@click.option("--dry-run", is_flag=True, help="Only say what the build would do.")
@click.option("--allow-empty", is_flag=True, help="Accept that a folder has lost all its pictures.")
@click.option(
    "--on", type=click.Choice(["ray"]), help="Embed on a Ray cluster, or on a Ray started here."
)
@click.option(
    "--address",
    metavar="auto|HOST:PORT",
    help="The Ray cluster, of which this machine must be a node.  [default: a Ray started here]",
)
@click.option(
    "--report", type=OUTPUT, help="Also write what was skipped or passed over, as JSON lines."
)
@quiet_option
@debug_option
def build(
    folders: tuple[Path, ...],
    checksum: bool,
    dry_run: bool,
    allow_empty: bool,
    on: str | None,
    address: str | None,
    report: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Index the pictures in folders, or bring an index up to date.

    DIR is a folder, or the address of one, such as s3://bucket/pictures. Without DIR, the build
    covers the folders that the store was built from, by the rules that it remembers for each. It
    opens no file that is unchanged, and embeds none again that has moved. Ctrl-C stops it; the same
    command goes on from there.
    """
    import time

    from ..indexer.backends.layout import location_to_build
    from ..indexer.ingest.build import build as build_store
    from ..indexer.ray.cluster import Ray
    from ..rendering import render

    if address is not None and on is None:
        raise click.UsageError("--address names a Ray cluster: say --on ray as well")
    arguments = build_arguments(options)
    started = time.monotonic()
    try:
        with bars(quiet) as progress:
            result = build_store(
                folders,
                allow_empty=allow_empty,
                checksum=checksum,
                dry_run=dry_run,
                progress=progress,
                on=None if on is None else Ray(address),
                **arguments,
            )
    except KeyboardInterrupt:  # before anything was done
        end_interrupted()
    if report is not None:
        lines = "".join(f"{line}\n" for line in render.report_lines(result))
        write_result(report, lines.encode())
    if not quiet:
        seconds = time.monotonic() - started
        path = shown(location_to_build(None, arguments["settings"]))
        click.echo(render.summary(result, seconds, path, dry_run))
    if result.stopped:
        end_interrupted()
