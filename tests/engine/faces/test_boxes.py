"""Overlaps of boxes, and each face only once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from tll_index.engine.faces.boxes import distinct, overlaps

CORNERS = npst.arrays(
    np.float32, st.tuples(st.integers(1, 12), st.just(4)), elements=st.integers(0, 30)
)


def boxes_of(corners: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom in order; a side may be 0."""
    return np.hstack(
        [np.minimum(corners[:, :2], corners[:, 2:]), np.maximum(corners[:, :2], corners[:, 2:])]
    )


def test_a_half_in_common() -> None:
    box = np.array([0, 0, 2, 2], np.float32)
    others = np.array([[0, 0, 2, 2], [1, 0, 3, 2], [2, 0, 4, 2], [0, 0, 1, 1]], np.float32)
    assert overlaps(others, box).tolist() == [1, 1 / 3, 0, 1 / 4]


@given(CORNERS)
def test_overlaps_are_shares_and_mutual(corners: np.ndarray) -> None:
    boxes = boxes_of(corners)
    table = np.stack([overlaps(boxes, box) for box in boxes])
    assert ((table >= 0) & (table <= 1)).all()
    assert np.array_equal(table, table.T)


@given(CORNERS, st.sampled_from([0.0, 0.3, 0.7]), st.integers(0, 5))
def test_each_face_once(corners: np.ndarray, most: float, seed: int) -> None:
    """What is kept does not overlap; what is not overlaps something better that is kept."""
    boxes = boxes_of(corners)
    scores = np.random.default_rng(seed).integers(0, 4, len(boxes)).astype(np.float32)
    kept = distinct(boxes, scores, most)
    assert sorted(scores[kept], reverse=True) == scores[kept].tolist()
    for at, row in enumerate(kept):
        assert (overlaps(boxes[kept[at + 1 :]], boxes[row]) <= most).all()
    for row in set(range(len(boxes))) - set(kept.tolist()):
        better = kept[scores[kept] >= scores[row]]
        assert (overlaps(boxes[better], boxes[row]) > most).any()


def test_of_nothing_nothing() -> None:
    assert distinct(np.empty((0, 4), np.float32), np.empty(0, np.float32), 0.3).tolist() == []
