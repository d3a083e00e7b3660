"""Where things lie: the part of a square that a view keeps, the positions that a cell has."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .spec import View


def kept_of(side: int, view: View) -> tuple[int, int]:
    """Where what the view keeps of a square begins, and how long it is, in pixels."""
    kept = round(side * view.keep)
    return (side - kept) // 2, kept


@lru_cache(maxsize=64)
def cells_of(side: int, grid: int) -> NDArray[np.float64]:
    """(grid, side): each row averages the positions of one cell."""
    cells = np.zeros((grid, side))
    for cell in range(grid):
        start, end = cell * side // grid, -(-(cell + 1) * side // grid)
        cells[cell, start:end] = 1 / (end - start)
    return cells
