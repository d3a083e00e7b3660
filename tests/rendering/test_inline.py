"""Pictures for terminals, taken apart again by decoders of these tests' own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from numpy.typing import NDArray
from PIL import Image

from pictures import noise, quadrants
from terminal import block_pictures, iterm_pictures, kitty_pictures, sixel_pictures
from tll_index.rendering import inline

FEW_COLOURS = st.builds(
    lambda indices, palette: palette[indices],
    arrays.arrays(
        np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 25)), elements=st.integers(0, 5)
    ),
    arrays.arrays(np.uint8, (6, 4)),
)
"""(height, width, 4) RGBA of at most six colours."""


@pytest.mark.parametrize("side", [8, 400])  # one chunk, many
def test_kitty_sends_the_very_picture(side: int) -> None:
    picture = Image.effect_noise((side, side), 90).convert("RGBA")
    ((keys, sent),) = kitty_pictures(inline.kitty(picture, 12, 5))
    assert sent.format == "PNG" and sent.tobytes() == picture.tobytes()
    assert (keys["a"], keys["f"], keys["c"], keys["r"], keys["q"]) == ("T", "100", "12", "5", "2")


def test_iterm_sends_the_very_picture() -> None:
    picture = noise(3, 90, 70).convert("RGBA")
    ((keys, sent),) = iterm_pictures(inline.iterm(picture, 12, 5))
    assert sent.format == "PNG" and sent.tobytes() == picture.tobytes()
    assert (keys["inline"], keys["width"], keys["height"]) == ("1", "12", "5")


@given(FEW_COLOURS)
def test_sixels_are_the_picture_where_it_has_few_colours(pixels: NDArray[np.uint8]) -> None:
    (sent,) = sixel_pictures(inline.sixel(Image.fromarray(pixels, "RGBA")))
    assert sent.shape == pixels.shape
    shown = pixels[:, :, 3] >= 128
    assert ((sent[:, :, 3] == 255) == shown).all()
    off = np.abs(sent[:, :, :3].astype(int) - pixels[:, :, :3])[shown]
    assert not off.size or off.max() <= 2  # a register has hundredths


def test_sixels_of_many_colours_are_near_the_picture() -> None:
    ramp = np.linspace(0, 255, 120).astype(np.uint8)
    pixels = np.stack(np.broadcast_arrays(ramp[:, None], ramp[None], np.uint8(90)), axis=2)
    picture = Image.fromarray(pixels)
    (sent,) = sixel_pictures(inline.sixel(picture))
    assert np.abs(sent[:, :, :3].astype(int) - pixels).mean() < 8


@given(st.integers(1, 9), st.integers(1, 9), st.data())
def test_blocks_are_the_picture(columns: int, rows: int, data: st.DataObject) -> None:
    pixels = data.draw(arrays.arrays(np.uint8, (2 * rows, columns, 4)))
    pixels[:, :, 3] = np.where(pixels[:, :, 3] >= 128, 255, 0)
    lines = inline.blocks(Image.fromarray(pixels, "RGBA"), columns, rows, True)
    assert len(lines) == rows
    seen = block_pictures("\n".join(lines).encode())
    shown = pixels[:, :, 3] == 255
    assert (seen[:, :, 3] == pixels[:, :, 3]).all()
    assert (seen[shown] == pixels[shown]).all()


def test_blocks_of_256_colours() -> None:
    lines = inline.blocks(quadrants(), 20, 10, False)
    seen = block_pictures("\n".join(lines).encode())
    expected = np.asarray(quadrants().resize((20, 20), Image.Resampling.BOX))
    assert (seen[:, :, :3] == expected).all()
    assert ";2;" not in "".join(lines)


@given(*[st.integers(0, 255)] * 3)
def test_no_other_of_the_256_is_nearer(red: int, green: int, blue: int) -> None:
    steps = (0, 95, 135, 175, 215, 255)
    every = {
        **{
            16 + 36 * r + 6 * g + b: (steps[r], steps[g], steps[b])
            for r in range(6)
            for g in range(6)
            for b in range(6)
        },
        **{232 + n: (8 + 10 * n,) * 3 for n in range(24)},
    }

    def distance(index: int) -> int:
        return sum(
            (one - other) ** 2 for one, other in zip(every[index], (red, green, blue), strict=True)
        )

    assert distance(inline.nearest_of_256(red, green, blue)) == min(map(distance, every))
