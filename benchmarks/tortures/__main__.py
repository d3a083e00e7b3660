"""The command line of the torture: `python benchmarks/torture.py [--minutes 20] [--rows a,b]`."""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tll_index.core.errors import UsageError

from ..machine import RESULTS
from ..written import write
from . import __doc__ as about
from .report import document, table
from .rows import NOTHING, ROWS, Row, chosen_rows
from .shim import NoCompilerError

INTERRUPTED = 130


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    try:
        rows = chosen_rows(arguments.rows)
    except UsageError as error:
        parser.error(str(error))
    if arguments.trial is not None and not (len(rows) == 1 and rows[0].numbered):
        numbered = ", ".join(row.key for row in ROWS if row.numbered)
        parser.error(f"--trial is for one torture: name it with --rows, one of {numbered}")
    seed = random.SystemRandom().randrange(1 << 31) if arguments.seed is None else arguments.seed
    status = run(
        rows, 60 * arguments.minutes, seed, arguments.out, arguments.scratch, arguments.trial
    )
    if status:
        sys.exit(status)


def run(
    rows: Sequence[Row],
    seconds: float,
    seed: int,
    out: Path,
    scratch: Path | None = None,
    only: int | None = None,
) -> int:
    """Torture, write torture.json into `out` after each of `rows`, then print the table.

    Args:
        scratch: where stores are tortured; None is the system's temporary folder. What failed
            stays there.
        only: the trial of this number.

    Returns:
        The exit status: 0, 1 where something failed, 130 after Ctrl-C.
    """
    started = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=scratch))
    results: list[dict[str, Any]] = []
    status = 0
    shares = sum(row.share for row in rows)
    print(f"seed {seed}, in {folder}", flush=True)
    try:
        for row in rows:
            print(f"{row.key}: {row.what}", flush=True)
            results.append(_one(row, seconds * row.share / shares, seed, folder, only))
            write(document(results, time.monotonic() - started), out / "torture.json")
    except KeyboardInterrupt:
        status = INTERRUPTED
    found = document(results, time.monotonic() - started)
    print(table(found))
    print("\nwrote", out / "torture.json", sep="\n  ")
    status = status or int(any(row["failures"] for row in results))
    if not status:
        shutil.rmtree(folder)
    return status


def _one(row: Row, seconds: float, seed: int, folder: Path, only: int | None) -> dict[str, Any]:
    scratch = folder / row.key
    scratch.mkdir()
    nothing = {**NOTHING, "torture": row.key, "what": row.what, "seed": seed}
    try:
        return row.run(seconds, seed, scratch, only)
    except NoCompilerError as reason:
        return {**nothing, "skipped": [str(reason)]}
    except Exception as error:  # of the torture itself: the others go on
        traceback.print_exc()
        return {**nothing, "failures": [{"fault": "the torture itself", "problems": [repr(error)]}]}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="torture", description=(about or "").split("\n\n")[0])
    add = parser.add_argument
    add("--minutes", type=float, default=20, help="shared by all tortures; default 20")
    keys = ", ".join(row.key for row in ROWS)
    add("--rows", nargs="+", default=[], metavar="ROW", help=f"only these: {keys}")
    add("--seed", type=int, help="as a run before said, to do the same again; default: chance")
    add("--trial", type=int, metavar="N", help="only that one of one torture, as a failure says")
    add("--out", type=Path, default=RESULTS, help="default benchmarks/results")
    add("--scratch", type=Path, help="a folder for stores; default the system's")
    return parser


if __name__ == "__main__":
    main()
