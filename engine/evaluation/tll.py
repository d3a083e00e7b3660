"""Totally-Looks-Like data in its two layouts: pairs of pictures, and lists of candidates.

Kaggle's layout: `train.csv` names the pairs (left,right, without extension), whose pictures are in
`train/left` and `train/right`; `test/left` and `test/right` may hold more, without pairs. The
original one: `left` and `right`, where pictures of equal name are a pair.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.errors import DataError
from ...core.names import shown
from ...core.paths import named, why_hidden
from ..images.decode import SUFFIXES
from ..images.file_bytes import read_bytes
from .csv_tables import check_name, read_table, row_error

PAIR_SIDES = ("left", "right")


@dataclass(frozen=True)
class Pairs:
    """Pairs of pictures that a person called look-alikes: pair i is `left[i]` and `right[i]`."""

    root: Path
    left: tuple[Path, ...]
    right: tuple[Path, ...]
    """As many as `left`."""
    unlabelled: tuple[Path, ...] = ()
    """Pictures of no known pair (`test/left`, `test/right`), sorted."""

    def __len__(self) -> int:
        return len(self.left)

    @property
    def folder(self) -> Path:
        """Where the folders `left` and `right` of the pairs are."""
        return self.left[0].parent.parent

    def rows(self, which: NDArray[np.int64]) -> Pairs:
        """Some of the pairs; all of the unlabelled."""
        left, right = (tuple(side[row] for row in which) for side in (self.left, self.right))
        return replace(self, left=left, right=right)

    def digest(self) -> str:
        """SHA-256, in hex, of the contents of the pairs' files in order of pair; where they are
        and what they are called does not matter.

        Raises:
            PictureError: a picture can't be read.
        """
        hasher = hashlib.sha256()
        for pair in zip(self.left, self.right, strict=True):
            for path in pair:
                hasher.update(hashlib.sha256(read_bytes(path)).digest())
        return hasher.hexdigest()


@dataclass(frozen=True)
class Located:
    """The pictures of some candidates; each is there once, however many rows it is offered in."""

    left: tuple[Path, ...]
    """One for each row."""
    right: tuple[Path, ...]
    """Every right picture that is offered, sorted."""
    offered: NDArray[np.int64]
    """(n, c): candidate j of row i is `right[offered[i, j]]`."""


@dataclass(frozen=True)
class CandidateLists:
    """Right pictures offered for left ones, by name without extension."""

    file: Path
    left: tuple[str, ...]
    right: tuple[tuple[str, ...], ...]
    """One tuple for each of `left`, all of the same length."""
    lines: tuple[int, ...]
    """Where in the file each of `left` is."""

    def __len__(self) -> int:
        return len(self.left)

    def located(self, folder: Path) -> Located:
        """Their pictures in `folder/left` and `folder/right`.

        Raises:
            DataError: one is not there; names file and line.
        """
        left, right = (pictures(folder / side) for side in PAIR_SIDES)
        for line, query, offered in zip(self.lines, self.left, self.right, strict=True):
            _picture(self.file, line, query, left, folder / "left")
            for name in offered:
                _picture(self.file, line, name, right, folder / "right")
        names = sorted({name for offered in self.right for name in offered})
        number_of = {name: number for number, name in enumerate(names)}
        return Located(
            tuple(left[name] for name in self.left),
            tuple(right[name] for name in names),
            np.array([[number_of[name] for name in offered] for offered in self.right], np.int64),
        )

    def true_matches(self, pairs: Pairs) -> NDArray[np.int64]:
        """(n,): which candidate of each row is the one that `pairs` says.

        Raises:
            DataError: a left picture of no pair, or its match isn't offered; names file and line.
        """
        match = {a.stem: b.stem for a, b in zip(pairs.left, pairs.right, strict=True)}
        true = []
        for line, query, offered in zip(self.lines, self.left, self.right, strict=True):
            if query not in match:
                raise row_error(
                    self.file,
                    line,
                    f"{query} is the left picture of no pair in {shown(pairs.root)}",
                )
            if match[query] not in offered:
                raise row_error(
                    self.file, line, f"{match[query]}, the match of {query}, is not a candidate"
                )
            true.append(offered.index(match[query]))
        return np.array(true, np.int64)


def read_pairs(root: str | os.PathLike[str]) -> Pairs:
    """The pairs below `root`, in either layout: in the order of `train.csv`, or sorted by name.

    Pictures that `train.csv` doesn't name are passed over, so it may list a part of the folders.

    Raises:
        DataError: neither layout, a missing picture, a name twice, a malformed `train.csv`.
    """
    root = named(root)
    if os.path.isfile(root / "train.csv"):
        return _read_kaggle(root)
    if all(os.path.isdir(root / side) for side in PAIR_SIDES):
        return _read_original(root)
    if not os.path.isdir(root):
        raise _no_folder(root)
    raise DataError(
        f"{shown(root)} is in no known layout: expected train.csv with train/left and train/right "
        "(Kaggle), or left and right with pictures of equal names (original Totally-Looks-Like)"
    )


def _no_folder(folder: Path) -> DataError:
    if why := why_hidden(folder):
        return DataError(f"{shown(folder)} can't be read: {why}")
    return DataError(f"there is no folder {shown(folder)}")


def _read_kaggle(root: Path) -> Pairs:
    file = root / "train.csv"
    found = {side: pictures(root / "train" / side) for side in PAIR_SIDES}
    paths: dict[str, list[Path]] = {side: [] for side in PAIR_SIDES}
    lines: dict[tuple[str, str], int] = {}  # of each side and name
    for row in read_table(file, PAIR_SIDES):
        earlier = [lines.get(key) for key in zip(PAIR_SIDES, row.cells, strict=True)]
        if earlier[0] and earlier[0] == earlier[1]:
            raise row_error(file, row.line, f"repeats the pair of line {earlier[0]}")
        for side, name, line in zip(PAIR_SIDES, row.cells, earlier, strict=True):
            check_name(file, row.line, name)
            if line:
                raise row_error(file, row.line, f"{side} picture {name} is already in line {line}")
            lines[side, name] = row.line
            paths[side].append(_picture(file, row.line, name, found[side], root / "train" / side))
    unlabelled: list[Path] = []
    for side in PAIR_SIDES:
        if os.path.isdir(root / "test" / side):
            unlabelled += pictures(root / "test" / side).values()
    return Pairs(root, tuple(paths["left"]), tuple(paths["right"]), tuple(sorted(unlabelled)))


def _read_original(root: Path) -> Pairs:
    left, right = (pictures(root / side) for side in PAIR_SIDES)
    for name in sorted(left.keys() ^ right.keys()):
        alone, other = (left, "right") if name in left else (right, "left")
        raise DataError(f"{shown(alone[name])} has no partner in {shown(root / other)}")
    if not left:
        raise DataError(f"there is no picture in {shown(root / 'left')}")
    names = sorted(left)
    return Pairs(root, tuple(left[name] for name in names), tuple(right[name] for name in names))


def read_candidates(file: str | os.PathLike[str]) -> CandidateLists:
    """The candidates in a CSV file with the header left,c0,c1,… (as many c as one likes).

    Raises:
        DataError: no such file, or malformed: a ragged row, a name twice; names file and line.
    """
    file = named(file)
    rows = read_table(file)
    lines: dict[str, int] = {}
    for row in rows:
        left, *offered = row.cells
        for name in row.cells:
            check_name(file, row.line, name)
        if left in lines:
            raise row_error(file, row.line, f"left picture {left} is already in line {lines[left]}")
        lines[left] = row.line
        for column, name in enumerate(offered):
            if name in offered[:column]:
                raise row_error(file, row.line, f"candidate {name} is there twice")
    return CandidateLists(
        file, tuple(lines), tuple(row.cells[1:] for row in rows), tuple(lines.values())
    )


def pictures(folder: Path) -> dict[str, Path]:
    """The pictures in `folder` (not below it, no hidden ones) by name without extension.

    Raises:
        DataError: there is no such folder, or two pictures differ in their extension only.
    """
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_file())
    except (FileNotFoundError, NotADirectoryError):
        raise DataError(f"there is no folder {shown(folder)}") from None
    except OSError as error:
        raise DataError(f"{shown(folder)} can't be read: {error.strerror}") from None
    found: dict[str, Path] = {}
    for path in (folder / name for name in names if not name.startswith(".")):
        if os.fsencode(path.suffix.lower()) in SUFFIXES:
            if path.stem in found:
                raise DataError(
                    f"{shown(path)} and {shown(found[path.stem].name)} have the same name: "
                    "which of them is meant?"
                )
            found[path.stem] = path
    return found


def _picture(file: Path, line: int, name: str, found: dict[str, Path], folder: Path) -> Path:
    if name not in found:
        raise row_error(file, line, f"there is no picture {name} in {shown(folder)}")
    return found[name]
