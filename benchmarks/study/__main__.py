"""The command line of the study: `python -m benchmarks.study [--rows fig4-pca] [--pairs N] …`."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

from tll_index.core.config import load_settings
from tll_index.core.errors import TllError, UsageError
from tll_index.engine.backbones.runtime import torch_device
from tll_index.rendering.progress import Bars

from ..machine import RESULTS, require_tll
from . import __doc__ as about
from . import stand_ins
from .classifier import ClassifierOptions
from .figures import draw
from .kept import Kept, write_text
from .laboratory import Laboratory
from .page import error_analysis, page
from .report import markdown, result
from .run import MEASURED, Run, chosen_rows, run_rows

INTERRUPTED = 130


def main() -> None:
    arguments = _parser().parse_args()
    stand_ins.install()
    try:
        rows = chosen_rows(arguments.rows)
        settings = load_settings(device=arguments.device, batch_size=arguments.batch_size)
        torch_device(settings.device)
    except UsageError as error:
        _parser().error(str(error))
    data = require_tll()
    classifier = ClassifierOptions(pairs=arguments.classifier_pairs)
    if arguments.classifier_epochs is not None:
        classifier = replace(classifier, epochs=tuple(arguments.classifier_epochs))
    runs: list[Run] = []
    stopped = False
    try:
        with Bars() as progress:
            laboratory = Laboratory(
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
                for run in run_rows(laboratory, rows, kept, arguments.out):
                    runs.append(run)
            except KeyboardInterrupt:
                stopped = True
            written = write(laboratory, runs, arguments.out, with_pairs=not stopped)
    except TllError as error:
        sys.exit(f"study: {error}")
    except KeyboardInterrupt:
        stopped, written = True, []
    if written:
        print((arguments.out / "study.md").read_text("utf-8"), end="")
        print("\nwrote", *written, sep="\n  ")
    if stopped:
        print("stopped; run the same command again to go on", file=sys.stderr)
        sys.exit(INTERRUPTED)
    if arguments.strict and any(run.status != MEASURED for run in runs):
        sys.exit(1)


def write(
    laboratory: Laboratory, runs: list[Run], out: Path, *, with_pairs: bool = True
) -> list[Path]:
    """Write JSON, table, drawings and page of what was run into `out`; returns the files.

    Raises:
        TllError
    """
    out.mkdir(parents=True, exist_ok=True)
    found = result(laboratory, runs)
    drawings = draw(found, out / "figures")
    pairs = error_analysis(laboratory, runs) if with_pairs else []
    texts = {
        "study.json": json.dumps(found, indent=2) + "\n",
        "study.md": markdown(found),
        "study.html": page(found, drawings, pairs),
    }
    for name, text in texts.items():
        write_text(out / name, text)
    return [*(out / name for name in texts), *(path for own in drawings.values() for path in own)]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.study", description=(about or "").split("\n")[0]
    )
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
    add("--out", type=Path, default=RESULTS / "study", help="default benchmarks/results/study")
    return parser


def _count(text: str) -> int:
    number = int(text)
    if number < 0:
        raise argparse.ArgumentTypeError(f"{number} is below 0")
    return number


if __name__ == "__main__":
    main()
