"""Which of several faces counts."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tll_index.engine.faces.face import Face, in_order


def face(left: float, side: float, score: float) -> Face:
    return Face((left, 0.0, left + side, side), np.zeros((5, 2), np.float32), score)


def test_the_size_is_that_of_a_square() -> None:
    assert Face((10, 10, 50, 20), np.zeros((5, 2), np.float32), 1.0).size == 20


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_large_and_sure_ones_count_first(order: tuple[int, ...]) -> None:
    far, unsure, near = face(0, 10, 1.0), face(0, 40, 0.5), face(0, 40, 0.9)
    faces = [(far, unsure, near)[at] for at in order]
    assert in_order(faces) == [near, unsure, far]


def test_of_equals_the_left_one() -> None:
    left, right = face(0, 10, 0.8), face(50, 10, 0.8)
    assert in_order([right, left]) == in_order([left, right]) == [left, right]
