"""Boxes out of what a detector says of its grids, and each face only once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float32]


def overlaps(boxes: Values, box: Values) -> NDArray[np.float64]:
    """(n,): the area that each has in common with `box`, as a share of the area of both together.

    Args:
        boxes: (n, 4) left, top, right, bottom.
        box: (4,) the same.
    """
    some, one = boxes.astype(np.float64), box.astype(np.float64)
    shared = np.prod(
        np.maximum(np.minimum(some[:, 2:], one[2:]) - np.maximum(some[:, :2], one[:2]), 0), 1
    )
    areas = np.prod(some[:, 2:] - some[:, :2], 1) + np.prod(one[2:] - one[:2]) - shared
    return np.divide(shared, areas, out=np.zeros(len(some)), where=areas > 0)


def distinct(boxes: Values, scores: Values, most: float) -> NDArray[np.intp]:
    """Which boxes to keep, best score first: none that overlaps a better one by more than `most`.

    Args:
        boxes: (n, 4).
        scores: (n,); of equal ones the first counts as better.
    """
    order = np.argsort(-scores, kind="stable")
    kept: list[int] = []
    while len(order):
        kept.append(int(order[0]))
        order = order[1:][overlaps(boxes[order[1:]], boxes[order[0]]) <= most]
    return np.array(kept, np.intp)
