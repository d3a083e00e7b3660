"""What commands that build a store are told: what makes it, from which files, by which rules."""

from __future__ import annotations

from typing import Any

import click

from ...core.errors import UsageError
from ...core.paths import named
from .options import each, network_options, store_option, truncated_option, workers_option
from .param_types import WholeNumber

build_options = each(
    store_option,
    network_options("auto"),
    click.option(
        "--lens", metavar="FILE|none", help="The trained lens.  [default: the backbone's own]"
    ),
    click.option(
        "--text", is_flag=True, help="Let 'query --text' search the store; needs a CLIP backbone."
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="PATTERN",
        help="Leave out paths like this, as .gitignore does; the store remembers it.",
    ),
    click.option("--hidden", is_flag=True, help="Include names that begin with a dot; remembered."),
    click.option("--follow-links", is_flag=True, help="Follow symbolic links; remembered."),
    click.option(
        "--system-folders",
        is_flag=True,
        help="Include recycle bins, snapshots and thumbnails that systems make; remembered.",
    ),
    click.option(
        "--no-rules", is_flag=True, help="Drop what the store remembers of these four options."
    ),
    workers_option,
    click.option(
        "--index",
        metavar="KIND",
        help="The kind of index: auto, flat, ivf, hnsw or a FAISS factory string; remembered.  "
        "[default: auto, by size and memory]",
    ),
    click.option(
        "--memory",
        metavar="SIZE",
        help="How much the index and the vectors it compares may take, such as 4G; remembered.  "
        "[default: half of the machine's memory]",
    ),
    click.option(
        "--max-megapixels", type=WholeNumber(), help="Skip larger pictures.  [default: 178]"
    ),
    truncated_option,
)
"""What makes a store, from which files; see `build_arguments`."""


def build_arguments(options: dict[str, Any]) -> dict[str, Any]:
    """What `build_options` were given, as the library's `build` takes it: recipe, rules, settings.

    Raises:
        UsageError: a setting makes no sense.
    """
    from ...core.config import load_settings
    from ...indexer.ingest.build import Recipe
    from ...indexer.scan.rules import Rules

    rest = dict(options)
    backbone, weights, lens, text = (
        rest.pop(name) for name in ("backbone", "weights", "lens", "text")
    )
    said = {
        name: rest.pop(name) for name in ("exclude", "hidden", "follow_links", "system_folders")
    }
    drops = rest.pop("no_rules")
    if drops and any(said.values()):
        raise UsageError("--no-rules drops all rules: leave it out to replace them")
    # What was private stays so until --exclude or --no-rules says otherwise.
    rules = Rules(**said, keeps_patterns=not (drops or said["exclude"]))
    return {
        "recipe": Recipe(backbone, weights, lens if lens in (None, "none") else named(lens), text),
        "rules": rules if drops or any(said.values()) else None,
        "settings": load_settings(**rest),
    }
