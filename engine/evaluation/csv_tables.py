"""CSV files of people: rows with the line they are in, and errors that name it."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

from ...core.errors import DataError
from ...core.names import shown


@dataclass(frozen=True)
class CsvRow:
    """One row of a CSV file; its cells without surrounding whitespace."""

    line: int
    """In the file, from 1."""
    cells: tuple[str, ...]


def candidate_header(count: int) -> tuple[str, ...]:
    """left,c0,c1,… with `count` columns for candidates."""
    return ("left", *(f"c{number}" for number in range(count)))


def read_text(file: Path) -> str:
    """A text file in UTF-8, without its byte order mark.

    Raises:
        DataError: it can't be read, or is not UTF-8; names file and line.
    """
    try:
        return file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{shown(file)} can't be read: {error.strerror}") from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise row_error(file, line, "is not UTF-8") from None


def read_table(file: Path, header: tuple[str, ...] | None = None) -> list[CsvRow]:
    """The rows below the header of a CSV file in UTF-8; at least one, each as wide as the header.

    With or without byte order mark, with any line ends; empty lines don't count. Where no `header`
    is given, it must be a `candidate_header` of any width.

    Raises:
        DataError: anything else; names file and line.
    """
    text = read_text(file)
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows = []
    try:
        for record in reader:
            cells = tuple(cell.strip() for cell in record)
            if cells not in ((), ("",)):
                rows.append(CsvRow(reader.line_num, cells))
    except csv.Error as error:
        raise row_error(file, reader.line_num, f"is not CSV ({error})") from None
    if not rows:
        raise DataError(f"{shown(file)} is empty")
    top, *rows = rows
    wanted = header or candidate_header(max(1, len(top.cells) - 1))
    if top.cells != wanted:
        found, expected = ",".join(top.cells)[:80], ",".join(header or ("left", "c0", "c1", "…"))
        raise row_error(file, top.line, f"the header is {found}, expected {expected}")
    for row in rows:
        if len(row.cells) != len(wanted):
            raise row_error(
                file, row.line, f"has {len(row.cells)} columns, the header has {len(wanted)}"
            )
    if not rows:
        raise DataError(f"{shown(file)} has a header and no rows")
    return rows


def check_name(file: Path, line: int, name: str) -> None:
    """Refuse what can't be the name of a picture in a folder.

    Raises:
        DataError: names file and line.
    """
    if not name:
        raise row_error(file, line, "has an empty name")
    if any(part in name for part in ("/", "\\", "..")) or not name.isprintable():
        raise row_error(file, line, f"{name[:80]} is not the plain name of a picture")


def row_error(file: Path, line: int, message: str) -> DataError:
    """An error about one line of a file."""
    return DataError(f"{shown(file)}, line {line}: {message}")
