"""The command line of the speed benchmark: `python benchmarks/speed.py [--quick] [--rows a,b]`."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from tll_index.core.config import load_settings
from tll_index.core.errors import UsageError
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.rendering.progress import Bars

from ..machine import RESULTS
from ..written import write
from . import __doc__ as about
from .laboratory import Laboratory
from .plots import draw
from .report import document, table
from .rows import ROWS, Row, chosen_rows
from .run import Result, run_rows
from .sizes import FULL, QUICK, Sizes

INTERRUPTED = 130


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    try:
        rows = chosen_rows(arguments.rows)
    except UsageError as error:
        parser.error(str(error))
    status = run(rows, QUICK if arguments.quick else FULL, arguments.out, scratch=arguments.scratch)
    if status:
        sys.exit(status)


def run(
    rows: Sequence[Row],
    sizes: Sizes,
    out: Path,
    *,
    backbone: str = DEFAULT,
    scratch: Path | None = None,
) -> int:
    """Measure `rows`, write speed.json into `out` after each of them, then drawings and a table.

    Args:
        scratch: where large files are for a while; None is the system's temporary folder.

    Returns:
        The exit status: 0, 1 where a row failed, 130 after Ctrl-C.
    """
    started = time.perf_counter()
    results: list[Result] = []
    file, status = out / "speed.json", 0

    def keep() -> None:
        write(document(results, sizes, time.perf_counter() - started), file)

    keep()
    try:
        with Bars() as progress, tempfile.TemporaryDirectory(dir=scratch) as folder:
            laboratory = Laboratory(
                sizes, load_settings(), progress, Path(folder), backbone=backbone
            )
            for result in run_rows(laboratory, rows):
                results.append(result)
                keep()
    except KeyboardInterrupt:
        status = INTERRUPTED
    found = document(results, sizes, time.perf_counter() - started)
    drawings = draw(found, out)
    print(table(found))
    print("\nwrote", file, *drawings, sep="\n  ")
    return status or int(any(result.error for result in results))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="speed", description=(about or "").split("\n")[0])
    add = parser.add_argument
    add("--quick", action="store_true", help="smaller sizes, at most five minutes")
    keys = ", ".join(row.key for row in ROWS)
    add("--rows", nargs="+", default=[], metavar="ROW", help=f"only these: {keys}")
    add("--out", type=Path, default=RESULTS, help="default benchmarks/results")
    add("--scratch", type=Path, help="a folder with 40 GB to spare; default the system's")
    return parser


if __name__ == "__main__":
    main()
