"""The command line of the speed benchmark: `python -m benchmarks.speed [--quick] [--rows a,b]`."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tll_index.core.config import load_settings
from tll_index.core.errors import UsageError
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.rendering.progress import Bars

from .. import harness
from . import __doc__ as about
from .rows import ROWS, Goal, document, draw, table
from .workload import FULL, QUICK, Sizes, Workload


def main() -> None:
    quick = "smaller sizes, at most five minutes"
    parser = harness.parser(about, quick=quick, rows=ROWS, prog="python -m benchmarks.speed")
    parser.add_argument(
        "--scratch", type=Path, help="a folder with 40 GB to spare; default the system's"
    )
    arguments = parser.parse_args()
    try:
        rows = harness.chosen_rows(ROWS, arguments.rows)
    except UsageError as error:
        parser.error(str(error))
    status = run(rows, QUICK if arguments.quick else FULL, arguments.out, scratch=arguments.scratch)
    if status:
        sys.exit(status)


def run(
    rows: Sequence[Goal],
    sizes: Sizes,
    out: Path,
    *,
    backbone: str = DEFAULT,
    scratch: Path | None = None,
) -> int:
    """Measure `rows`, write speed.json into `out` after each of them, then plots and a table.

    Args:
        scratch: where large files are for a while; None is the system's temporary folder.

    Returns:
        The exit status: 0, 1 where a row failed, 130 after Ctrl-C.
    """
    file = out / "speed.json"
    with Bars() as progress, tempfile.TemporaryDirectory(dir=scratch) as folder:
        workload = Workload(sizes, load_settings(), progress, Path(folder), backbone=backbone)
        found, stopped = harness.record(
            harness.run_rows(rows, lambda row: row.measure(workload), progress.note),
            file,
            lambda results, seconds: document(results, sizes, seconds),
        )
    harness.finish(table(found), file, *draw(found, out))
    if stopped:
        return harness.INTERRUPTED
    return int(any("error" in row for row in found["rows"]))


if __name__ == "__main__":
    main()
