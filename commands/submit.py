"""`tll-index submit`: scores in Kaggle's format."""

from __future__ import annotations

import os
from pathlib import Path

import click

from ..core.names import shown
from ..core.wording import counted
from .shared.bars import bars
from .shared.interrupts import resumable
from .shared.lenses import candidates_option, data_argument, resolve_lens
from .shared.options import debug_option, network_options, no_progress_option
from .shared.param_types import OUTPUT
from .shared.results import require_writable


@click.command()
@data_argument
@click.option("--out", type=OUTPUT, required=True, metavar="CSV", help="The file to write.")
@click.option(
    "--lens", metavar="FILE|none", help="The trained lens.  [default: the one that 'build' takes]"
)
@candidates_option(help="The lists of candidates.  [default: test_candidates.csv in DATA]")
@network_options("auto")
@no_progress_option
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
    """Score candidates in Kaggle's format.

    DATA holds the pictures without a known match: test/left, test/right, test_candidates.csv.
    """
    from ..core.config import load_settings
    from ..engine.evaluation.kaggle import check_submission, write_submission
    from ..engine.lens.embedder import load_embedder
    from ..engine.lens.experiment import rate_candidates

    sample = data / "sample-submission.csv"
    require_writable(out)
    for read in (candidates_file, sample, data / "test_candidates.csv", data / "train.csv"):
        if read is not None and os.path.realpath(read) == os.path.realpath(out):
            raise click.UsageError(f"{shown(out)} is read here, not written; name another --out")
    settings = load_settings(device=device, runtime=runtime, batch_size=batch_size)
    name, _, used = resolve_lens(lens, backbone, settings)
    with resumable(), bars(quiet) as progress:
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
