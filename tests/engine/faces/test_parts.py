"""The part of a picture around a face: all that is needed, in little memory."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tll_index.engine.faces.parts import part_of

SPOT = st.tuples(st.floats(-1e5, 1e5), st.floats(-1e5, 1e5))


@given(st.lists(SPOT, min_size=2, max_size=4), st.floats(0, 3000), st.integers(1, 90))
def test_of_any_points(spots: list[tuple[float, float]], shrink: float, width: int) -> None:
    """However far outside: at least a pixel, at most the picture."""
    part = part_of(Image.new("RGB", (width, 60)), np.array(spots), shrink)
    assert 1 <= part.image.width <= width and 1 <= part.image.height <= 60
    assert 0 <= part.left < width and 0 <= part.top < 60


def test_as_it_is() -> None:
    image = Image.effect_noise((90, 60), 80).convert("RGB")
    part = part_of(image, np.array([[20.0, 10.0], [50.0, 40.0]]), 0.4)
    assert part.shrink == 1 and (part.left, part.top) == (19, 9)
    assert part.image.tobytes() == image.crop((19, 9, 52, 42)).tobytes()
    assert part.inside(np.array([20.0, 10.0])).tolist() == [1.5, 1.5]  # the centre of a pixel


def test_averaged() -> None:
    """At a third of the size a pixel is the mean of nine, and what it showed is where it was."""
    image = Image.new("RGB", (90, 60))
    image.putpixel((31, 22), (255, 255, 255))
    part = part_of(image, np.array([[18.0, 15.0], [50.0, 40.0]]), 3.9)
    assert part.shrink == 3
    row, column = np.unravel_index(np.asarray(part.image)[..., 0].argmax(), part.image.size[::-1])
    x, y = part.inside(np.array([31.0, 22.0]))
    assert (int(x), int(y)) == (column, row)
    assert np.asarray(part.image).max() == 28
