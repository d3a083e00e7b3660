"""At what size a picture is searched for faces."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from portraits import hopper
from tll_index.engine.faces.proposals import MULTIPLE, Proposals, _seen

SIZE = st.integers(1, 700)


@given(SIZE, SIZE, st.sampled_from([32, 100, 160, 256]))
def test_bounded_and_filled_up(width: int, height: int, side: int) -> None:
    seen, scale = _seen(Image.new("RGB", (width, height), "white"), side)
    rows, columns, _ = seen.shape
    assert rows % MULTIPLE == columns % MULTIPLE == 0
    assert max(rows, columns) <= -(-side // MULTIPLE) * MULTIPLE
    assert 0 < scale <= 1
    seen_height, seen_width = (seen[..., 0] == 255).sum(0).max(), (seen[..., 0] == 255).sum(1).max()
    assert abs(seen_width - max(1, width * scale)) <= 1
    assert abs(seen_height - max(1, height * scale)) <= 1


@pytest.mark.parametrize(
    ("size", "shape"),
    [
        ((200, 245), (160, 128)),  # Totally-Looks-Like's: 131 columns would be 160
        ((800, 600), (128, 160)),
        ((600, 600), (160, 160)),
        ((1920, 1080), (96, 160)),
        ((50, 40), (64, 64)),
    ],
)
def test_little_is_filled_up(size: tuple[int, int], shape: tuple[int, int]) -> None:
    seen, _ = _seen(Image.new("RGB", size), 160)
    assert seen.shape[:2] == shape


def test_boxes_are_in_pixels_of_the_picture() -> None:
    """The same box, at whatever size the picture was searched."""
    found = [Proposals().find(hopper(), side, 0.5)[0][0] for side in (128, 160, 320)]
    assert np.ptp(np.stack(found), axis=0).max() < 20


def test_a_blank_picture_has_none() -> None:
    boxes, scores = Proposals().find(Image.new("RGB", (300, 200), "grey"), 160, 0.25)
    assert boxes.shape == (0, 4) and scores.shape == (0,)
