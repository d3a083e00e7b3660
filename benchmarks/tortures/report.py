"""The results for machines (JSON) and for people (a table)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..machine import machine

_COLUMNS = ("tried", "survived", "images_lost", "wrong_answers", "crashes")
_HEADS = ("faults tried", "survived", "images lost", "wrong answers", "by a crash")


def document(results: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """JSON values only."""
    return {
        "machine": machine(),
        "seconds": round(seconds, 1),
        "total": {column: sum(row[column] for row in results) for column in _COLUMNS},
        "tortures": list(results),
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
