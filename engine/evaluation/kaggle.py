"""Scores of candidates -> Kaggle's submission file, written and checked."""

from __future__ import annotations

import csv
import math
import os
import re
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from ...core.atomic_files import replace_file
from ...core.errors import TllError, UsageError
from ...core.names import shown
from ...core.paths import named
from .csv_tables import candidate_header, read_table, row_error
from .tll import CandidateLists

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


def write_submission(
    path: str | os.PathLike[str], candidates: CandidateLists, scores: ArrayLike
) -> None:
    """Write `scores` (n, c), larger is better, one for each of the n x c `candidates`, as CSV:
    header left,c0,c1,…, rows in the candidates' order, 9 digits (all that a float32 has). The file
    appears whole or not at all.

    Raises:
        UsageError: scores of another shape, or not finite.
        TllError: the file can't be written.
    """
    values = np.asarray(scores, np.float64)
    count = len(candidates.right[0])
    if values.shape != (len(candidates), count):
        raise UsageError(
            f"{len(candidates)} x {count} candidates need as many scores, not {values.shape}"
        )
    if not np.isfinite(values).all():
        raise UsageError("the scores of a submission must be finite numbers")
    path = named(path).resolve()  # a link stays one

    def write(new: Path) -> None:
        with new.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(candidate_header(count))
            for left, row in zip(candidates.left, values.tolist(), strict=True):
                writer.writerow([left, *(f"{score:.9g}" for score in row)])

    try:
        replace_file(path, write)
    except OSError as error:
        raise TllError(f"{shown(path)} can't be written: {error.strerror}") from None


def check_submission(path: str | os.PathLike[str], sample: str | os.PathLike[str]) -> None:
    """Hold a submission against Kaggle's `sample-submission.csv`: the same header, the same left
    pictures in the same order, a finite number in each other cell.

    Raises:
        DataError: says in which line they differ.
    """
    path, sample = named(path), named(sample)
    wanted = read_table(sample)
    rows = read_table(path, candidate_header(len(wanted[0].cells) - 1))
    for row, like in zip(rows, wanted, strict=False):
        if row.cells[0] != like.cells[0]:
            raise row_error(
                path, row.line, f"is about {row.cells[0]}, {shown(sample)} has {like.cells[0]}"
            )
        for cell in row.cells[1:]:
            if not _NUMBER.fullmatch(cell) or not math.isfinite(float(cell)):
                raise row_error(path, row.line, f"{cell[:80]!r} is not a finite number")
    if len(rows) != len(wanted):
        surplus = rows[min(len(wanted), len(rows) - 1)]
        raise row_error(
            path, surplus.line, f"there are {len(rows)} rows, {shown(sample)} has {len(wanted)}"
        )
