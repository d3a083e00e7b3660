"""The torture's command line: `python -m benchmarks.reliability [--minutes 20] [--rows a,b]`."""

from __future__ import annotations

import argparse
import importlib
import random
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tll_index.core.errors import UsageError

from .. import harness
from . import __doc__ as about


@dataclass(frozen=True)
class Torture(harness.Row):
    """One kind of torture."""

    function: str
    """`module:function` of this package; called with seconds, count, seed and a scratch folder."""
    share: int
    """Parts of the time."""
    count: int
    """How many trials at most; of 'model', steps."""
    numbered: bool = True
    """Whether one trial can be done again by its number; otherwise all of a seed are."""

    def run(
        self, seconds: float, seed: int, scratch: Path, trial_number: int | None
    ) -> dict[str, Any]:
        """Do it; JSON values, with the keys of `Tally.told`."""
        scratch.mkdir()
        module, function = self.function.split(":")
        torture = getattr(importlib.import_module(f".{module}", __package__), function)
        more = {} if trial_number is None else {"trial_number": trial_number}
        return _same(torture(seconds, self.count, seed, scratch, **more))


ROWS = (
    Torture("kills", "kill -9 at any moment of every command that writes", "faults:kills", 6, 300),
    Torture(
        "writes",
        "each write, sync and rename of every command fails in turn",
        "faults:writes",
        8,
        10_000,
    ),
    Torture("damage", "files torn, cut, flipped, zeroed, lost, mixed up", "damage:run", 5, 1000),
    Torture(
        "crowds",
        "two writers, eight readers, read-only disks, copies in use",
        "concurrency:run",
        2,
        10,
    ),
    Torture(
        "hostile",
        "lens, weights and store files that lie, explode or hold code",
        "hostile_files:run",
        2,
        3000,
    ),
    Torture(
        "pictures",
        "malformed pictures, into decoder processes",
        "malformed_pictures:run",
        2,
        20_000,
        numbered=False,
    ),
    Torture(
        "model",
        "random commands, held against a model of what a store must hold",
        "model:run",
        2,
        10_000,
        numbered=False,
    ),
)

NOTHING: dict[str, Any] = {
    **dict.fromkeys(("tried", "survived", "images_lost", "wrong_answers", "crashes"), 0),
    "seconds": 0.0,
    "skipped": [],
    "failures": [],
}
"""What a torture tells that did nothing."""


def _same(found: dict[str, Any]) -> dict[str, Any]:
    """What a torture tells with keys of its own: failures are what it lists as wrong."""
    if "survived" in found:
        return found
    failures = [
        {"fault": name, "problems": [str(one)]}
        for name in ("crashes_of_the_parent", "hangs", "wrong")
        for one in found.get(name, ())
    ]
    tried = found["tried"] if "tried" in found else found["steps"]
    return {
        "tried": tried,
        "survived": tried - len(failures),
        "wrong_answers": len(found.get("wrong", ())),
        "failures": failures,
        "seconds": found["seconds"],
        "figures": found,
    }


_COLUMNS = ("tried", "survived", "images_lost", "wrong_answers", "crashes")
_HEADS = ("faults tried", "survived", "images lost", "wrong answers", "by a crash")


def document(tortures: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """JSON values only."""
    return {
        "machine": harness.machine(),
        "seconds": round(seconds, 1),
        "total": {column: sum(row[column] for row in tortures) for column in _COLUMNS},
        "tortures": list(tortures),
    }


def table(found: dict[str, Any]) -> str:
    """A line for each torture and their sum, then what failed and what was left out."""
    of = found["machine"]
    lines = [f"{of['cpu']}, {of['cores']} cores, {found['seconds'] / 60:.1f} minutes", ""]
    lines.append(f"{'':<10}" + "".join(f"{head:>15}" for head in _HEADS))
    total = {**found["total"], "torture": "together"}
    for row in [*found["tortures"], total]:
        numbers = "".join(f"{row[column]:>15,}" for column in _COLUMNS)
        lines.append(f"{row['torture']:<10}{numbers}  {row.get('what', '')}".rstrip())
    lines += ["", "by a crash: damage that was noticed by the end of the process that met it"]
    for row in found["tortures"]:
        lines += [f"{row['torture']}: not tried: {reason}" for reason in row["skipped"]]
    for row in found["tortures"]:
        for failure in row["failures"]:
            where = f"--rows {row['torture']} --seed {row['seed']}"
            if failure.get("number") is not None:
                where += f" --trial {failure['number']}"
            lines.append(f"\nFAILED {where}: {failure.get('scene', '')} {failure.get('fault', '')}")
            for kind in ("struck", "ended", "lost", "wrong", "problems"):
                if said := failure.get(kind):
                    told = said if isinstance(said, str) else "; ".join(map(str, said))
                    lines.append(f"  {kind}: {told[:600]}")
    return "\n".join(lines)


def main() -> None:
    parser = _parser()
    arguments = parser.parse_args()
    try:
        rows = harness.chosen_rows(ROWS, arguments.rows)
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
    rows: Sequence[Torture],
    seconds: float,
    seed: int,
    out: Path,
    scratch: Path | None = None,
    trial_number: int | None = None,
) -> int:
    """Torture, write torture.json into `out` after each of `rows`, then print the table.

    Args:
        scratch: where stores are tortured; None is the system's temporary folder. What failed
            stays there.
        trial_number: do only the trial of this number.

    Returns:
        The exit status: 0, 1 where something failed, 130 after Ctrl-C.
    """
    folder = Path(tempfile.mkdtemp(prefix="torture-", dir=scratch))
    file, shares = out / "torture.json", sum(row.share for row in rows)
    print(f"seed {seed}, in {folder}", flush=True)

    def torture(row: Torture) -> dict[str, Any]:
        return row.run(seconds * row.share / shares, seed, folder / row.key, trial_number)

    found, stopped = harness.record(
        harness.run_rows(rows, torture),
        file,
        lambda results, taken: document([_told(result, seed) for result in results], taken),
    )
    harness.finish(table(found), file)
    if stopped:
        return harness.INTERRUPTED
    if any(row["failures"] for row in found["tortures"]):
        return 1
    shutil.rmtree(folder)
    return 0


def _told(result: harness.Result[Torture, dict[str, Any]], seed: int) -> dict[str, Any]:
    told = {**NOTHING, **(result.found or {})}
    told |= {"torture": result.row.key, "what": result.row.what, "seed": seed}
    if result.reason:
        told["skipped"] = [result.reason]
    if result.error:  # of the torture itself: the others go on
        told["failures"] = [{"fault": "the torture itself", "problems": [result.error]}]
    return told


def _parser() -> argparse.ArgumentParser:
    parser = harness.parser(about, rows=ROWS, prog="python -m benchmarks.reliability")
    add = parser.add_argument
    add("--minutes", type=float, default=20, help="shared by all tortures; default 20")
    add("--seed", type=int, help="as a run before said, to do the same again; default: chance")
    add("--trial", type=int, metavar="N", help="only that one of one torture, as a failure says")
    add("--scratch", type=Path, help="a folder for stores; default the system's")
    return parser


if __name__ == "__main__":
    main()
