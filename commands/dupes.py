"""`tll-index dupes`: which files are the same picture, or nearly."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .shared.bars import bars
from .shared.formats import format_option
from .shared.options import debug_option, html_option, quiet_option, store_option, workers_option
from .shared.param_types import Number
from .shared.results import require_writable, write_and_say

if TYPE_CHECKING:
    from ..core.location import Location


@click.command()
@store_option
@click.option(
    "--exact",
    is_flag=True,
    help="Group only files of equal content, as of the last build: at once.",
)
@click.option(
    "--threshold",
    type=Number(),
    help="How well the details must agree, from 0 to 1.  [default: 0.92]",
)
@format_option("table", "json", "jsonl", "csv", json="jsonl")
@html_option
@click.option(
    "--evaluate",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="TRUTH",
    help="Instead, measure how well known groups are found: precision and recall.",
)
@workers_option
@quiet_option
@debug_option
def dupes(
    store: Location | None,
    exact: bool,
    threshold: float | None,
    format: str,
    html: Path | None,
    evaluate: Path | None,
    quiet: bool,
    **settings: Any,
) -> None:
    """Show which files are the same picture, or nearly: in another size, format, quality or crop,
    with a frame or a mark, mirrored or turned.

    It reads every picture once, and never deletes anything. Each group begins with the best file
    that all others are copies of: the one with the most pixels, then the most bytes. Several paths
    to one file (links) are listed below it and are no copies. A file that is gone, changed or
    unreadable since the last build counts neither as the best nor as a copy.

    TRUTH names the known groups of the whole store: as CSV with the columns path and group, or as
    JSON, a list of lists of paths or an object of such lists. Paths are absolute, or relative to
    TRUTH.
    """
    from ..core.config import load_settings
    from ..engine.images.decode import Limits
    from ..indexer.analysis.duplicates.find import SAME
    from ..indexer.analysis.duplicates.find import dupes as find_dupes
    from ..indexer.analysis.duplicates.known_groups import (
        evaluated,
        facts,
        in_store,
        read_known_groups,
    )
    from ..rendering import groups, pages
    from ..rendering.formats import facts_as, rows_as

    loaded = load_settings(store=store, **settings)
    if html is not None:
        require_writable(html)
    known = None if evaluate is None else read_known_groups(evaluate)
    threshold = SAME if threshold is None else threshold
    with bars(quiet) as progress:
        found = find_dupes(exact=exact, threshold=threshold, progress=progress, settings=loaded)
    if known is not None:
        there = in_store(frozenset[str]().union(*known), loaded)
        evaluation = evaluated(found, known, threshold, there)
        if format == "table":
            click.echo("\n".join(groups.evaluation(evaluation)))
        else:
            click.echo(facts_as(format, facts(evaluation)), nl=False)
    elif format == "csv":
        click.echo(rows_as(format, groups.file_rows(found), groups.FILE_COLUMNS), nl=False)
    elif format != "table":
        click.echo(rows_as(format, groups.group_rows(found)), nl=False)
    elif found:
        click.echo("\n\n".join(groups.table(found)))
    if not quiet:
        click.echo(groups.summary(found), err=True)
    if html is not None:
        is_here = "picture that is" if len(found) == 1 else "pictures that are"
        title = f"{len(found):,} {is_here} here more than once"
        write_and_say(html, pages.groups_page(found, Limits.of(loaded), title).encode())
