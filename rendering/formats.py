"""What commands print for programs: JSON, JSON lines, CSV, the same way everywhere."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]
"""JSON values by name."""


def rows_as(format: str, rows: Iterable[Row], columns: Sequence[str] = ()) -> bytes:
    """Rows as `json` (an array), `jsonl` (an object a line) or `csv` (a line with the names, then a
    line for each), with a line end after each line; in UTF-8, whatever the terminal speaks.

    Args:
        columns: of CSV, where there may be no row to tell.
    """
    if format == "jsonl":
        return "".join(f"{to_json(row)}\n" for row in rows).encode()
    if format == "csv":
        return _csv(list(rows), columns).encode()
    return f"{to_json(list(rows), indent=2)}\n".encode()


def facts_as(format: str, facts: Row) -> bytes:
    """What is one thing: as `json` an object over several lines, otherwise as one of `rows_as`."""
    if format == "json":
        return f"{to_json(facts, indent=2)}\n".encode()
    return rows_as(format, [facts])


def to_json(value: Any, indent: int | None = None) -> str:
    """JSON that stays readable in any script, and encodable whatever a path holds: bytes of a path
    that are not UTF-8 are PEP 383 surrogates, written as \\udcXX escapes, so that every line is
    valid JSON and no name is lost."""
    text = json.dumps(value, ensure_ascii=False, indent=indent)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, indent=indent)
    return text


def _csv(rows: Sequence[Row], columns: Sequence[str]) -> str:
    """Lists and objects are JSON in their cell; so is text that would break the line, or that UTF-8
    can't hold."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    names = list(columns) or list(rows[0] if rows else ())
    if names:
        writer.writerow(names)
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return out.getvalue()


def _cell(value: Any) -> Any:
    is_text = isinstance(value, str) and value.isprintable()
    return value if is_text or value is None or type(value) in (int, float) else to_json(value)
