"""`tll-index train`: learn a lens from pairs of look-alikes."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.names import shown
from ..core.wording import counted
from .shared.bars import bars
from .shared.formats import format_option
from .shared.interrupts import INTERRUPTED, resumable
from .shared.lenses import data_argument, resolve_backbone
from .shared.options import debug_option, network_options, quiet_option
from .shared.param_types import OUTPUT, WholeNumber
from .shared.results import require_writable
from .shared.training_options import recipe_option, training_options

if TYPE_CHECKING:
    from ..engine.lens.lens import Lens


@click.command()
@data_argument
@click.option("--out", type=OUTPUT, required=True, metavar="LENS", help="The lens file to write.")
@network_options("efficientnet_lite0_int8_faces")
@click.option(
    "--folds",
    type=WholeNumber(0),
    default=5,
    show_default=True,
    help="Folds of the cross-validation that follows; 0 for none.",
)
@recipe_option
@training_options
@format_option("table", "json", "jsonl", "csv", json="jsonl")
@quiet_option
@debug_option
def train(
    data: Path,
    out: Path,
    backbone: str,
    weights: Path | None,
    device: str | None,
    runtime: str | None,
    batch_size: int | None,
    folds: int,
    recipe: str | None,
    format: str,
    quiet: bool,
    **chosen: Any,
) -> None:
    """Learn from pairs of look-alikes what looks alike.

    The folder DATA is laid out as on Kaggle (train.csv, train/left, train/right; unpaired pictures
    in test/left, test/right), or has the folders left and right, in which the pictures of a pair
    have the same name. The lens of all pairs is written first; then cross-validation measures how
    good such lenses are. Ctrl-C keeps the best epoch so far.
    """
    from ..core.config import load_settings
    from ..core.errors import TllError
    from ..engine.lens import experiment
    from ..engine.lens.options import options_of
    from ..rendering import render
    from ..rendering.formats import facts_as

    if folds == 1:
        raise click.UsageError("--folds: name 0 for none, or at least 2")
    options = options_of(recipe or "ours", **chosen)
    settings = load_settings(device=device, runtime=runtime, batch_size=batch_size)
    _require_lens_or_nothing(out)
    with resumable(), bars(quiet) as progress:
        material = experiment.load_pairs(
            data,
            resolve_backbone(backbone, settings),
            options=options,
            weights=weights,
            settings=settings,
            progress=progress,
        )
        fit = experiment.fit_lens(material, options, progress=progress)
    lens, stopped, is_written = fit.lens, "", False
    if fit.stopped:
        stopped = (
            f"the best of {counted(len(fit.losses), 'epoch')}"
            if fit.losses
            else "that before any epoch"
        )
    try:
        _write(out, lens)
        is_written = True
        if folds and not stopped:
            with bars(quiet) as progress:
                judged = experiment.cross_validate(
                    material, options, count=folds, progress=progress
                )
            lens = experiment.with_score(lens, judged.scores, folds)
            _write(out, lens)
    except KeyboardInterrupt:
        lens, stopped = fit.lens, stopped or "whole, but not cross-validated"
        _write(out, lens)  # Ctrl-C may have come while it was written
    except TllError as error:
        if not is_written:
            raise
        message = f"wrote {shown(out)}, but it can't be cross-validated: {error}"
        raise type(error)(message) from None
    facts = _facts(lens, out)
    if format != "table":
        click.echo(facts_as(format, {**facts, "stopped": bool(stopped)}), nl=False)
    elif not quiet:
        click.echo(render.trained(facts, settings.lens_dir))
    if stopped:
        click.echo(f"stopped; the lens in {shown(out)} is {stopped}", err=True)
        sys.exit(INTERRUPTED)


def _require_lens_or_nothing(path: Path) -> None:
    """Refuse to overwrite what is no lens."""
    from ..core.errors import LensError
    from ..engine.lens.lens import Lens

    require_writable(path)
    if not os.path.exists(path):
        return
    try:
        if not os.path.isfile(path):
            raise LensError("not a file")
        Lens.load(path)
    except LensError:
        raise LensError(
            f"{shown(path)} is there and is not a lens that could be replaced; name another --out"
        ) from None


def _write(path: Path, lens: Lens) -> None:
    """Write the lens whole or not at all: a killed process leaves the former file or this one."""
    from ..core.atomic_files import replace_file
    from ..core.errors import TllError

    try:
        replace_file(Path(os.path.realpath(path)), lens.save)  # a link stays one
    except OSError as error:
        raise TllError(f"{shown(path)} can't be written: {error.strerror or error}") from None


def _facts(lens: Lens, path: Path) -> dict[str, Any]:
    """What came of training; JSON values only."""
    kept = ("pairs", "unlabelled", "epochs", "loss", "cross_validation")
    return {
        "lens": os.fspath(path),
        "bytes": path.stat().st_size,
        "sha256": lens.digest,
        "backbone": lens.backbone,
        "dimension": lens.dimension,
        "bytes_per_vector": 4 * lens.dimension,
        **{name: lens.provenance[name] for name in kept},
    }
