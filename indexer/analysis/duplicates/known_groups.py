"""How well `dupes` finds groups that somebody knows: precision and recall, pair by pair."""

from __future__ import annotations

import csv
import io
import json
import os
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

from ....core.config import Settings
from ....core.errors import DataError
from ....core.names import shown
from ....engine.evaluation.csv_tables import read_text, row_error
from ...store.store import Store
from .groups import Group

Pair: TypeAlias = tuple[str, str]
"""Two absolute paths in order."""

_STEPS = (0.92, 0.94, 0.96, 0.97, 0.98, 0.99, 0.995)


@dataclass(frozen=True, slots=True)
class Counts:
    """What was found at a threshold."""

    threshold: float
    found: int
    """Pairs of files that are in one group."""
    right: int
    """Of these, pairs that are in one known group."""
    known: int
    """Pairs that are in one known group."""

    @property
    def precision(self) -> float:
        """The share of what was found that is right; 1 where nothing was found."""
        return self.right / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        """The share of what is known that was found; 1 where nothing is known."""
        return self.right / self.known if self.known else 1.0


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Found groups beside known ones."""

    counts: Counts
    """At the given threshold,"""
    higher: tuple[Counts, ...]
    """and at higher ones, where members that agree less well would be left out."""
    missed: tuple[Pair, ...]
    false: tuple[Pair, ...]
    known_files: int
    absent: tuple[str, ...]
    """Known files that aren't in the store: their pairs are missed."""


def read_known_groups(file: Path) -> list[frozenset[str]]:
    """Groups of absolute paths, from

    - CSV with the columns `path` and `group` (in any case and order, others don't count), or
    - JSON: a list of lists of paths, or an object of such lists by name.

    Paths are absolute or relative to the file's folder. Groups of one file are fine: a file that
    has no copy.

    Raises:
        DataError: anything else; names file and line or group.
    """
    text = read_text(file)
    is_json = text.lstrip()[:1] in ("[", "{")
    named = _of_json(file, text) if is_json else _of_csv(file, text)
    return _checked(file, named)


def in_store(files: Iterable[str], settings: Settings) -> set[str]:
    """Those of these absolute paths that the store knows.

    Raises:
        NoStoreError, StoreDamagedError, TllError
    """
    folders: dict[bytes, list[bytes]] = defaultdict(list)
    for path in map(os.fsencode, files):
        folder, _, name = path.rpartition(b"/")
        folders[folder or b"/"].append(name)
    found: set[str] = set()
    with (
        Store.open(settings=settings) as store,
        store.catalog.reading() as reader,
    ):
        for folder, names in folders.items():
            number = reader.folder_number(folder)
            there = {} if number is None else reader.entries_in(number)
            found |= {os.fsdecode(os.path.join(folder, name)) for name in names if name in there}
    return found


def evaluated(
    groups: Sequence[Group], known: Sequence[frozenset[str]], threshold: float, indexed: set[str]
) -> Evaluation:
    """What was found beside what is known, pair by pair. The truth is about the whole store: a file
    that no known group names is a copy of nothing.

    Args:
        indexed: the known files that are in the store.
    """
    wanted = {pair for group in known for pair in _pairs(group)}
    found = _found(groups, 0.0)
    steps = [step for step in _STEPS if step > threshold]
    files = frozenset[str]().union(*known)
    return Evaluation(
        _counts(threshold, found, wanted),
        tuple(_counts(step, _found(groups, step), wanted) for step in steps),
        tuple(sorted(wanted - found)),
        tuple(sorted(found - wanted)),
        len(files),
        tuple(sorted(files - indexed)),
    )


def facts(evaluation: Evaluation) -> dict[str, Any]:
    """As JSON has it."""
    return {
        **_facts(evaluation.counts),
        "missed": [list(pair) for pair in evaluation.missed],
        "false": [list(pair) for pair in evaluation.false],
        "known_files": evaluation.known_files,
        "not_in_the_store": list(evaluation.absent),
        "at_higher_thresholds": [_facts(counts) for counts in evaluation.higher],
    }


def _facts(counts: Counts) -> dict[str, Any]:
    return {
        "threshold": counts.threshold,
        "precision": round(counts.precision, 4),
        "recall": round(counts.recall, 4),
        "pairs_found": counts.found,
        "pairs_right": counts.right,
        "pairs_known": counts.known,
    }


def _counts(threshold: float, found: set[Pair], wanted: set[Pair]) -> Counts:
    return Counts(threshold, len(found), len(found & wanted), len(wanted))


def _pairs(paths: Iterable[str]) -> Iterable[Pair]:
    return combinations(sorted(paths), 2)


def _found(groups: Sequence[Group], threshold: float) -> set[Pair]:
    return {pair for group in groups for pair in _pairs(_paths(group, threshold))}


def _paths(group: Group, threshold: float) -> set[str]:
    """Of those files of a group that agree so well with its first; a truth may name either path of
    a file with links."""
    return {
        path
        for copy in group.copies
        if copy.likeness >= threshold
        for path in (copy.path, *copy.links)
    }


def _of_csv(file: Path, text: str) -> list[tuple[str, str, str]]:
    """(where, group, path) of each row."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[tuple[str, str, str]] = []
    names: list[str] = []
    try:
        for record in reader:
            if not any(cell.strip() for cell in record):
                continue
            if not names:
                names = [cell.strip().casefold() for cell in record]
                if names.count("path") != 1 or names.count("group") != 1:
                    found = ",".join(record)[:80]
                    raise row_error(
                        file, reader.line_num, f"the header is {found}, expected path,group"
                    )
                continue
            if len(record) != len(names):
                message = f"has {len(record)} columns, the header has {len(names)}"
                raise row_error(file, reader.line_num, message)
            cells = dict(zip(names, record, strict=True))
            rows.append((f"line {reader.line_num}", cells["group"].strip(), cells["path"]))
    except csv.Error as error:
        raise row_error(file, reader.line_num, f"is not CSV ({error})") from None
    return rows


def _of_json(file: Path, text: str) -> list[tuple[str, str, str]]:
    try:
        value = json.loads(text)
    except json.JSONDecodeError as error:
        raise row_error(file, error.lineno, f"is not JSON ({error.msg})") from None
    except RecursionError:
        raise DataError(f"{shown(file)} is not JSON (nested too deep)") from None
    groups = value.items() if isinstance(value, dict) else enumerate(value, 1)
    rows = []
    for name, paths in groups:
        where = f"group {str(name)[:80]}"
        if not isinstance(paths, list) or not all(isinstance(path, str) for path in paths):
            raise DataError(f"{shown(file)}, {where}: is not a list of paths")
        rows += [(where, str(name), path) for path in paths]
    return rows


def _checked(file: Path, rows: list[tuple[str, str, str]]) -> list[frozenset[str]]:
    """Absolute paths by group."""
    if not rows:
        raise DataError(f"{shown(file)} names no file")
    groups: dict[str, set[str]] = {}
    group_of: dict[str, str] = {}
    for where, group, path in rows:
        if not group or not path.strip() or "\0" in path:
            raise DataError(f"{shown(file)}, {where}: has no {'path' if group else 'group'}")
        full = path if "://" in path else os.path.abspath(file.absolute().parent / path)
        if group_of.setdefault(full, group) != group:
            raise DataError(f"{shown(file)}, {where}: {shown(path)} is in two groups")
        groups.setdefault(group, set()).add(full)
    return [frozenset(paths) for paths in groups.values()]
