"""The command line of the study: `python -m benchmarks.paper [--rows fig4-pca] [--pairs N] …`."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from tll_index.core.config import load_settings
from tll_index.core.errors import TllError, UsageError
from tll_index.engine.backbones.runtime import torch_device
from tll_index.rendering.progress import Bars

from .. import harness
from . import __doc__ as about
from .classifier import ClassifierOptions
from .page import draw, error_analysis, page
from .protocol import StudyProtocol
from .report import markdown, result
from .rows import install_stand_ins
from .run import MEASURED, Kept, Run, chosen_rows, run_rows


def main() -> None:
    arguments = _parser().parse_args()
    install_stand_ins()
    try:
        rows = chosen_rows(arguments.rows)
        settings = load_settings(device=arguments.device, batch_size=arguments.batch_size)
        torch_device(settings.device)
    except UsageError as error:
        _parser().error(str(error))
    data = harness.require_tll()
    classifier = ClassifierOptions(pairs=arguments.classifier_pairs)
    if arguments.classifier_epochs is not None:
        classifier = replace(classifier, epochs=tuple(arguments.classifier_epochs))
    runs: list[Run] = []
    stopped = False
    try:
        with Bars() as progress:
            protocol = StudyProtocol(
                data,
                settings,
                progress,
                seed=arguments.seed,
                pair_limit=arguments.pairs,
                epochs=arguments.epochs,
                classifier=classifier,
            )
            try:
                kept = Kept(arguments.out / "measured")
                for run in run_rows(protocol, rows, kept, arguments.out):
                    runs.append(run)
            except KeyboardInterrupt:
                stopped = True
            written = write(protocol, runs, arguments.out, with_pairs=not stopped)
    except TllError as error:
        sys.exit(f"study: {error}")
    except KeyboardInterrupt:
        stopped, written = True, []
    if written:
        harness.finish((arguments.out / "study.md").read_text("utf-8").rstrip(), *written)
    if stopped:
        print("stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(harness.INTERRUPTED)
    if arguments.strict and any(run.status != MEASURED for run in runs):
        sys.exit(1)


def write(
    protocol: StudyProtocol, runs: list[Run], out: Path, *, with_pairs: bool = True
) -> list[Path]:
    """Write JSON, table, plots and page of what was run into `out`; returns the files.

    Raises:
        TllError
    """
    found = result(protocol, runs)
    plots = draw(found, out / "figures")
    pairs = error_analysis(protocol, runs) if with_pairs else []
    return [
        harness.write_json(found, out / "study.json"),
        harness.write_text(markdown(found), out / "study.md"),
        harness.write_text(page(found, plots, pairs), out / "study.html"),
        *(path for own in plots.values() for path in own),
    ]


def _parser() -> argparse.ArgumentParser:
    parser = harness.parser(about, out=harness.OUT / "study", prog="python -m benchmarks.paper")
    add = parser.add_argument
    add("--rows", nargs="+", default=[], metavar="ROW", help="sections or rows; default all")
    add("--pairs", type=_count, default=0, metavar="N", help="only so many pairs, by chance")
    add("--epochs", type=_count, help="of every adaptation; default what each row says")
    add(
        "--classifier-pairs",
        type=_count,
        default=ClassifierOptions.pairs,
        metavar="N",
        help=f"training pairs of pair classifiers, 0 for all; default {ClassifierOptions.pairs}",
    )
    add(
        "--classifier-epochs",
        type=_count,
        nargs="+",
        metavar="N",
        help="of each step: the head alone, then one more stage thawed; default "
        f"{' '.join(map(str, ClassifierOptions.epochs))}",
    )
    add("--seed", type=_count, default=0, help="of the split and of training; default 0")
    add("--device", help="auto, cpu, cuda, cuda:N; default auto")
    add("--batch-size", type=int, help="pictures a forward pass; default 32")
    add("--strict", action="store_true", help="exit status 1 where a row lacks its weights")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


if __name__ == "__main__":
    main()
