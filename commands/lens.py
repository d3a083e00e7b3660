"""The commands about lenses: train one, judge one, rate candidates with one."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ..core.names import shown
from ..core.wording import counted
from ..engine.lens.options import RECIPES
from .parameters import (
    INTERRUPTED,
    OUTPUT,
    PATH,
    bars,
    debug_option,
    format_option,
    network_options,
    require_place,
    training_options,
)

if TYPE_CHECKING:
    from ..core.config import Settings
    from ..engine.lens.lens import Lens
    from ..engine.lens.options import TrainingOptions

_data_argument = click.argument("data", type=PATH, metavar="DATA")

_recipe_option = click.option(
    "--recipe",
    type=click.Choice(list(RECIPES)),
    help="Our training options, or those of the ICIP 2021 paper.  [default: ours]",
)

_candidates_option = functools.partial(click.option, "--candidates-file", type=PATH, metavar="CSV")

_quiet_option = click.option("-q", "--quiet", is_flag=True, help="No progress.")


@click.command()
@_data_argument
@click.option("--out", type=OUTPUT, required=True, metavar="LENS", help="The file to write.")
@network_options("efficientnet_lite0")
@click.option(
    "--folds",
    type=click.IntRange(min=0),
    default=5,
    show_default=True,
    help="Of the cross-validation that follows; 0 is none.",
)
@_recipe_option
@training_options
@format_option("table", "json", "jsonl", "csv", json="jsonl")
@click.option("-q", "--quiet", is_flag=True, help="No progress, no summary.")
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

    The folder DATA is laid out as on Kaggle (train.csv, train/left, train/right; pictures of no
    pair in test/left, test/right), or has left and right with pictures of equal names. The lens of
    all pairs is written first, then cross-validation says how good such lenses are. Ctrl-C keeps
    the best epoch so far.
    """
    from ..core.config import load_settings
    from ..core.errors import TllError
    from ..engine.lens import experiment as learning
    from ..engine.lens.options import options_of
    from ..rendering import render
    from ..rendering.formats import facts_as

    if folds == 1:
        raise click.UsageError("--folds is 0 for none, or at least 2")
    options = options_of(recipe or "ours", **chosen)
    settings = load_settings(device=device, runtime=runtime, batch_size=batch_size)
    _require_lens_or_nothing(out)
    with _resumable(), bars(quiet) as progress:
        material = learning.load_material(
            data,
            _resolved(backbone, settings),
            options=options,
            weights=weights,
            settings=settings,
            progress=progress,
        )
        fit = learning.train(material, options, progress=progress)
    lens, stopped = fit.lens, ""
    _write(out, lens)
    if fit.stopped:
        stopped = (
            f"the best of {counted(len(fit.losses), 'epoch')}"
            if fit.losses
            else "that before any epoch"
        )
    elif folds:
        try:
            with bars(quiet) as progress:
                judged = learning.cross_validate(material, options, count=folds, progress=progress)
            lens = learning.with_score(lens, judged.scores, folds)
            _write(out, lens)
        except KeyboardInterrupt:
            stopped = "whole, but not cross-validated"
        except TllError as error:
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


@click.command("eval")
@_data_argument
@click.option(
    "--lens",
    metavar="FILE|none",
    help="all: what to score.  [default: what 'build' takes]  val: train with the options of this "
    "one; none is the cosine of the features.",
)
@click.option(
    "--split",
    type=click.Choice(["val", "all"]),
    default="val",
    show_default=True,
    help="val: cross-validation; lenses are trained on other pairs than they are scored on. all: "
    "one lens, as it is, on all pairs.",
)
@click.option("--folds", type=click.IntRange(min=2), help="val: how many.  [default: 5]")
@click.option(
    "--seed", type=click.IntRange(min=0), help="val: of the folds.  [default: as in training]"
)
@_recipe_option
@_candidates_option(help="Rank the lists in this file: left,c0,c1,…")
@network_options("auto")
@format_option("table", "json", "jsonl", "csv", json="jsonl")
@_quiet_option
@debug_option
def evaluate(
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
    """Say how well look-alikes find each other.

    Of the pairs in the folder DATA (laid out as for 'train'), each left picture is offered its
    match among 19 other right ones: top-1, top-2, top-5 and the mean reciprocal rank (MRR) are
    exact means over all draws of these. Recall is among all right pictures.
    """
    from ..core.config import load_settings
    from ..engine.evaluation.tll import read_pairs
    from ..engine.lens import experiment as learning
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
        learning.rows_of_candidates(read_pairs(data), candidates_file)
    used: Lens | None = None
    options: TrainingOptions | None = None
    if split == "val" and lens is None:
        name, label, options = _resolved(backbone, settings), f"recipe {recipe}", RECIPES[recipe]
    else:
        name, label, used = _lens_to_use(lens, backbone, settings)
        if split == "val" and used.trained:
            label, options, used = f"options of {label}", learning.recorded_options(used), None
    with _resumable(), bars(quiet) as progress:
        material = learning.load_material(
            data,
            name,
            options=options,
            lens=used,
            weights=weights,
            settings=settings,
            progress=progress,
        )
        judged: Lens | learning.CrossValidation
        if used is None:
            label = f"cross-validated, {folds} folds, {label}"
            judged = learning.cross_validate(
                material, options, count=folds, seed=seed, progress=progress
            )
        elif split == "val":
            judged = learning.judge_by_folds(material, used, count=folds, seed=seed or 0)
        else:
            judged = used
            if used.provenance.get("data_sha256") == material.pairs.digest():
                progress.note(
                    "note: the lens was trained on these very pairs; --split val says how it does "
                    "on others"
                )
        if candidates_file is not None:
            scores = learning.score_candidates(material, candidates_file, judged)
        elif isinstance(judged, learning.CrossValidation):
            scores = judged.scores
        else:
            scores = learning.score(material, judged)
    facts = {**scores.as_dict(), "backbone": name, "lens": label}
    if format == "table":
        click.echo(render.scores(facts))
    else:
        click.echo(facts_as(format, facts), nl=False)


@click.command()
@_data_argument
@click.option("--out", type=OUTPUT, required=True, metavar="CSV", help="The file to write.")
@click.option("--lens", metavar="FILE|none", help="Trained lens.  [default: what 'build' takes]")
@_candidates_option(help="Lists of test pictures.  [default: test_candidates.csv in DATA]")
@network_options("auto")
@_quiet_option
@debug_option
def submit(
    data: Path,
    out: Path,
    lens: str | None,
    candidates_file: Path | None,
    backbone: str,
    weights: Path | None,
    device: str | None,
    runtime: str | None,
    batch_size: int | None,
    quiet: bool,
) -> None:
    """Score candidates as Kaggle asks for it.

    DATA holds the pictures that have no known match: test/left, test/right, test_candidates.csv.
    """
    from ..core.config import load_settings
    from ..engine.evaluation.kaggle import check_submission, write_submission
    from ..engine.lens.embedder import load_embedder
    from ..engine.lens.experiment import rate_candidates

    sample = data / "sample-submission.csv"
    require_place(out)
    for read in (candidates_file, sample, data / "test_candidates.csv", data / "train.csv"):
        if read is not None and os.path.realpath(read) == os.path.realpath(out):
            raise click.UsageError(f"{shown(out)} is read here, not written; name another --out")
    settings = load_settings(device=device, runtime=runtime, batch_size=batch_size)
    name, _, used = _lens_to_use(lens, backbone, settings)
    with _resumable(), bars(quiet) as progress:
        embedder = load_embedder(name, settings, weights=weights, lens=used)
        candidates, scores = rate_candidates(
            data, embedder, file=candidates_file, settings=settings, progress=progress
        )
    write_submission(out, candidates, scores)
    said = f"wrote {shown(out)}: {counted(len(candidates), 'row')}"
    if candidates_file is None and os.path.isfile(sample):
        check_submission(out, sample)
        said += f", the format of {sample.name}"
    click.echo(said)


COMMANDS = (train, evaluate, submit)


@contextlib.contextmanager
def _resumable() -> Iterator[None]:
    """Ctrl-C loses nothing here: extracted features are kept."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("stopped; run the same command again to go on", err=True)
        sys.exit(INTERRUPTED)


def _resolved(backbone: str, settings: Settings) -> str:
    from ..engine.lens.embedder import choose_backbone

    return choose_backbone(settings).backbone if backbone == "auto" else backbone


def _lens_to_use(lens: str | None, backbone: str, settings: Settings) -> tuple[str, str, Lens]:
    """The backbone, what to call the lens, and the lens; auto is the backbone of a lens file."""
    from ..engine.lens.embedder import load_lens
    from ..engine.lens.lens import Lens, find_lens

    if lens not in (None, "none"):
        loaded = Lens.load(lens)
        name = loaded.backbone if backbone == "auto" else backbone
        return name, lens, load_lens(name, loaded, settings)
    name = _resolved(backbone, settings)
    used = load_lens(name, lens, settings)
    if not used.trained:
        return name, "none", used
    found = find_lens(name, settings.lens_dir)
    if found is not None and found.parent == settings.lens_dir:
        return name, os.fspath(found), used
    return name, f"shipped sha256:{used.digest[:12]}", used


def _require_lens_or_nothing(path: Path) -> None:
    """Refuse to overwrite what is no lens."""
    from ..core.errors import LensError
    from ..engine.lens.lens import Lens

    require_place(path)
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
    """Put the lens in its place at once: a killed process leaves the former file or this one."""
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
