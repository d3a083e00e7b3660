"""`tll-index verify`: is the store whole?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from ..core.names import shown
from .shared.bars import bars
from .shared.formats import format_option
from .shared.options import debug_option, store_option

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@store_option
@click.option("--deep", is_flag=True, help="Also read every indexed picture.")
@format_option("table", "json", "jsonl", "csv")
@click.option("-q", "--quiet", is_flag=True, help="Print no progress, and nothing if all is well.")
@debug_option
def verify(store: Location | None, deep: bool, format: str, quiet: bool) -> None:
    """Check every record, vector, path and index entry; exit with status 1 if anything is wrong.

    It changes nothing. Others may read and write the store meanwhile.
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
