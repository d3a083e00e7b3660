"""The command line of the comparison: `python -m benchmarks.tll [--seeds 3] [--folds 5] …`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from tll_index.core.config import load_settings
from tll_index.core.errors import TllError
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.rendering.progress import Bars

from ..machine import RESULTS, require_tll
from . import __doc__ as about
from .comparison import run
from .systems import ablations, systems


def main() -> None:
    parser = argparse.ArgumentParser(description=(about or "").split("\n")[0])
    parser.add_argument("--seeds", type=int, help="how many (default 3; with --quick 1)")
    parser.add_argument("--folds", type=int, default=5, help="how many (default 5)")
    parser.add_argument("--mirror", action="store_true", help="also train on mirrored pictures")
    parser.add_argument("--quick", action="store_true", help="no ablation")
    parser.add_argument("--backbone", default=DEFAULT, help=f"default {DEFAULT}")
    parser.add_argument("--out", type=Path, default=RESULTS, help="default benchmarks/results")
    arguments = parser.parse_args()
    seeds = (1 if arguments.quick else 3) if arguments.seeds is None else arguments.seeds
    if seeds < 1:
        parser.error("--seeds must be at least 1")
    data = require_tll()
    rows = systems()
    if not arguments.quick:
        rows += ablations(rows[-1].options, arguments.mirror)
    try:
        with Bars() as progress:
            written = run(
                data,
                rows,
                seeds=seeds,
                folds=arguments.folds,
                out=arguments.out,
                backbone=arguments.backbone,
                settings=load_settings(),
                progress=progress,
            )
    except TllError as error:
        sys.exit(str(error))
    print((arguments.out / "tll.md").read_text("utf-8"), end="")
    print("\nwrote", *written, sep="\n  ")


if __name__ == "__main__":
    main()
