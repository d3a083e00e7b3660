"""`tll-index eval`: how well look-alikes find each other."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..engine.lens.options import RECIPES
from .shared.bars import bars
from .shared.formats import format_option
from .shared.interrupts import resumable
from .shared.lenses import candidates_option, data_argument, resolve_backbone, resolve_lens
from .shared.options import debug_option, network_options, no_progress_option
from .shared.param_types import WholeNumber
from .shared.training_options import recipe_option

if TYPE_CHECKING:
    from ..engine.lens.lens import Lens
    from ..engine.lens.options import TrainingOptions


@click.command("eval")
@data_argument
@click.option(
    "--lens",
    metavar="FILE|none",
    help="With --split all, the lens to score.  [default: the one that 'build' takes]  With val, "
    "train with the options of this lens; none scores the cosine of the features.",
)
@click.option(
    "--split",
    type=click.Choice(["val", "all"]),
    default="val",
    show_default=True,
    help="val: cross-validate; each lens is scored on pairs that it was not trained on. all: score "
    "one lens, as it is, on all pairs.",
)
@click.option("--folds", type=WholeNumber(2), help="With val, how many folds.  [default: 5]")
@click.option(
    "--seed",
    type=WholeNumber(0),
    help="With val, the seed of the folds.  [default: as in training]",
)
@recipe_option
@candidates_option(help="Rank the lists of candidates in this file: left,c0,c1,…")
@network_options("auto")
@format_option("table", "json", "jsonl", "csv", json="jsonl")
@no_progress_option
@debug_option
def eval_(
    data: Path,
    lens: str | None,
    split: str,
    folds: int | None,
    seed: int | None,
    recipe: str | None,
    candidates_file: Path | None,
    backbone: str,
    weights: Path | None,
    device: str | None,
    runtime: str | None,
    batch_size: int | None,
    format: str,
    quiet: bool,
) -> None:
    """Measure how well look-alikes find each other.

    For each pair in the folder DATA (laid out as for 'train'), the left picture has to find its
    match among 19 other right ones: top-1, top-2, top-5 and the mean reciprocal rank (MRR) are
    exact means over all draws of these 19. Recall is among all right pictures.
    """
    from ..core.config import load_settings
    from ..engine.evaluation.tll import read_pairs
    from ..engine.lens import experiment
    from ..rendering import render
    from ..rendering.formats import facts_as

    given = {"--folds": folds, "--seed": seed, "--recipe": recipe}
    if split == "all" and (odd := [name for name, value in given.items() if value is not None]):
        raise click.UsageError(f"{odd[0]} is for --split val; --split all trains nothing")
    if lens is not None and recipe is not None:
        raise click.UsageError("--recipe and --lens exclude each other")
    folds, recipe = folds or 5, recipe or "ours"
    settings = load_settings(device=device, runtime=runtime, batch_size=batch_size)
    if candidates_file is not None:  # what is wrong with it should be said before the long work
        experiment.rows_of_candidates(read_pairs(data), candidates_file)
    used: Lens | None = None
    options: TrainingOptions | None = None
    if split == "val" and lens is None:
        name = resolve_backbone(backbone, settings)
        label, options = f"recipe {recipe}", RECIPES[recipe]
    else:
        name, label, used = resolve_lens(lens, backbone, settings)
        if split == "val" and used.trained:
            label, options, used = f"options of {label}", experiment.recorded_options(used), None
    with resumable(), bars(quiet) as progress:
        material = experiment.load_pairs(
            data,
            name,
            options=options,
            lens=used,
            weights=weights,
            settings=settings,
            progress=progress,
        )
        judged: Lens | experiment.CrossValidation
        if used is None:
            label = f"cross-validated, {folds} folds, {label}"
            judged = experiment.cross_validate(
                material, options, count=folds, seed=seed, progress=progress
            )
        elif split == "val":
            judged = experiment.evaluate_by_folds(material, used, count=folds, seed=seed or 0)
        else:
            judged = used
            if used.provenance.get("data_sha256") == material.pairs.digest():
                progress.note(
                    "note: the lens was trained on these very pairs; --split val measures how it "
                    "does on others"
                )
        if candidates_file is not None:
            scores = experiment.score_candidates(material, candidates_file, judged)
        elif isinstance(judged, experiment.CrossValidation):
            scores = judged.scores
        else:
            scores = experiment.evaluate(material, judged)
    facts = {**scores.as_dict(), "backbone": name, "lens": label}
    if format == "table":
        click.echo(render.scores(facts))
    else:
        click.echo(facts_as(format, facts), nl=False)
