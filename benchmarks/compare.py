"""The last run of `make bench` against what a release measured, row by row as ratios.

    python -m benchmarks.compare [RELEASE]     the newest one that is kept, or the one named
    python -m benchmarks.compare --keep        keep the last run as that of this version

results/ holds a small JSON file for each release: of every row its figure, and those of its other
figures that are single numbers. Ratios of two machines, or of two sizes, say little; the table says
so where they differ.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .harness import OUT, RELEASES, parser, write_json
from .speed.rows import HIGHER, ROWS

ALIKE = 1.1
"""Ratios up to this are noise: runs on one machine differ by as much."""


def main() -> None:
    arguments = _arguments()
    try:
        found = json.loads(arguments.out.read_text("utf-8"))
    except (OSError, ValueError) as error:
        sys.exit(f"no results in {arguments.out} ({error}): run make bench first")
    if arguments.keep:
        print("wrote", keep(found, RELEASES))
        return
    released = kept(RELEASES, arguments.release)
    print("\n".join(table(released, found, figures=arguments.figures)))


def _arguments() -> Any:
    made = parser(__doc__, out=OUT / "speed.json", prog="python -m benchmarks.compare")
    made.add_argument("release", nargs="?", help="such as 0.2.0; default the newest that is kept")
    made.add_argument("--figures", action="store_true", help="each row's other figures as well")
    made.add_argument("--keep", action="store_true", help="keep the run as that of this version")
    return made.parse_args()


def keep(found: dict[str, Any], folder: Path) -> Path:
    """Write what `compare` needs of a run's document into `folder`, under the version that ran."""
    better = {row.key: row.better for row in ROWS}
    rows = [
        {
            **{name: row[name] for name in ("row", "unit", "met", "seconds")},
            **_numbers({"measured": row["measured"]}),
            "better": better[row["row"]],
            "figures": _numbers(row["figures"]),
        }
        for row in found["rows"]
        if row["measured"] is not None
    ]
    release = found["machine"]["tll_index"]
    small = {"release": release, "sizes": found["sizes"], "machine": found["machine"], "rows": rows}
    return write_json(small, folder / f"{release}.json", indent=1)


def kept(folder: Path, release: str | None = None) -> dict[str, Any]:
    """What a release measured; of the newest one where none is named. Ends the program where it is
    not kept."""
    files = {file.stem: file for file in folder.glob("*.json")}
    if not files:
        sys.exit(f"{folder} has no releases")
    release = release or max(files, key=_version)
    if release not in files:
        sys.exit(f"release {release} is not kept; these are: {', '.join(sorted(files))}")
    found: dict[str, Any] = json.loads(files[release].read_text("utf-8"))
    return found


def table(
    released: dict[str, Any], found: dict[str, Any], *, figures: bool = False
) -> Iterator[str]:
    """A line for each row that both measured: then, now, their ratio and what it means. With
    `figures`, lines for the row's other numbers."""
    yield f"{'':<16} {released['release']:>12} {'now':>12} {'ratio':>7}"
    for name in ("sizes", "cpu", "cores"):
        one, other = (each.get(name, each["machine"].get(name)) for each in (released, found))
        if one != other:
            yield f"not comparable: {name} were {one} and are {other}"
    now = {row["row"]: row for row in found["rows"] if row["measured"] is not None}
    for row in released["rows"]:
        if (other := now.get(row["row"])) is None:
            yield f"{row['row']:<16} {row['measured']:>12.4g} {'not measured':>12}"
            continue
        ratio = _ratio(row["measured"], other["measured"])
        yield _line(row["row"], row["measured"], other["measured"], ratio) + (
            f"   {row['unit']}{_verdict(ratio, row['better'])}"
        )
        if figures:
            numbers = _numbers(other["figures"])
            for name, then in row["figures"].items():
                if name in numbers:
                    line = _line("", then, numbers[name], _ratio(then, numbers[name]))
                    yield f"{line}   {name}"


def _line(name: str, then: float, now: float, ratio: float | None) -> str:
    shown = "" if ratio is None else f"{ratio:.2f}"
    return f"{name:<16} {then:>12.4g} {now:>12.4g} {shown:>7}"


def _ratio(then: float, now: float) -> float | None:
    """None where there is none: figures such as "more memory" may be 0 or below."""
    return now / then if then > 0 and now > 0 else None


def _verdict(ratio: float | None, better: str) -> str:
    if ratio is None or 1 / ALIKE <= ratio <= ALIKE:
        return ""
    return ", better" if (ratio > 1) == (better == HIGHER) else ", worse"


def _numbers(figures: dict[str, Any]) -> dict[str, float]:
    """Those that are single numbers, to five digits: the file stays small."""
    return {
        name: float(f"{value:.5g}")
        for name, value in figures.items()
        if isinstance(value, (int, float)) and not isinstance(value, bool)
    }


def _version(release: str) -> tuple[int, ...]:
    return tuple(int(part) for part in release.split(".") if part.isdigit())


if __name__ == "__main__":
    main()
