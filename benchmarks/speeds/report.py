"""The results for machines (JSON) and for people (a table)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..machine import machine
from .peers import PEERS
from .rows import ROWS, Row
from .run import Result
from .sizes import Sizes

LEFT_OUT = "not measured: left out of this run"


def document(results: Sequence[Result], sizes: Sizes, seconds: float) -> dict[str, Any]:
    """Every row, also those that were not run; JSON values only."""
    known = {result.row.key: result for result in results}
    return {
        "sizes": sizes.name,
        "note": ""
        if sizes.name == "full"
        else "a quick run: fewer and smaller things than the goals are about",
        "machine": machine(also=(*PEERS, "imagededup")),
        "seconds": round(seconds, 1),
        "rows": [_row(row, known.get(row.key)) for row in ROWS],
    }


def _row(row: Row, result: Result | None) -> dict[str, Any]:
    result = result or Result(row, LEFT_OUT)
    told = {
        "row": row.key,
        "what": row.what,
        "goal": row.goal,
        "measured": result.measured,
        "unit": row.unit,
        "met": result.met,
        "conditions": result.conditions,
        "seconds": result.seconds,
        "figures": result.figures,
    }
    return {**told, "error": result.error} if result.error else told


def table(found: dict[str, Any]) -> str:
    """A line for each row, then what the peers' rows found."""
    of = found["machine"]
    head = f"{of['cpu']}, {of['cores']} cores, {found['sizes']} sizes"
    lines = [head, *([found["note"]] if found["note"] else []), ""]
    for row in found["rows"]:
        if row["met"] == LEFT_OUT:
            continue
        measured = "" if row["measured"] is None else f"{row['measured']:.4g} {row['unit']}"
        lines.append(f"{_word(row):<13} {row['row']:<14} {measured:<46} goal: {row['goal']}")
        if row.get("error") or str(row["met"]).startswith("not measurable"):
            lines.append(f"{'':<13} {row.get('error') or row['met']}")
    for row in found["rows"]:
        for name, part in (("peers_vectors", "peers"), ("peers_images", "tools")):
            if row["row"] == name and row["figures"]:
                lines += ["", f"{name}:", *map(_peer, row["figures"][part].items())]
    return "\n".join(lines)


def _word(row: dict[str, Any]) -> str:
    if row.get("error"):
        return "failed"
    return {True: "met", False: "not met"}.get(row["met"], "not measured")


def _peer(one: tuple[str, dict[str, Any]]) -> str:
    name, row = one
    if reason := row.get("missing"):
        return f"  {name:<16} not measurable here: {reason}"
    if error := row.get("error"):
        return f"  {name:<16} failed: {error}"
    shown = [
        f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
        for key, value in row.items()
        if isinstance(value, (int, float, str)) and value != ""
    ]
    return f"  {name:<16} {', '.join(shown)}"
