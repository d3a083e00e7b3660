"""Chips: where the points of a face come to lie, and what pixels they have."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraits import hopper, pixels
from tll_index.engine.faces import alignment
from tll_index.engine.faces.alignment import CANONICAL, SIDE, WEIGHTS, chip, similarity

SHIFTS = st.tuples(st.floats(-500, 500), st.floats(-500, 500))


def turned(
    points: np.ndarray, angle: float, scale: float, shift: tuple[float, float]
) -> np.ndarray:
    """Points after a similarity."""
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    return points @ np.array([[cos, sin], [-sin, cos]]) + shift


@given(st.floats(-3, 3), st.floats(0.05, 20), SHIFTS)
def test_a_similarity_is_found_again(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    matrix = similarity(turned(CANONICAL, angle, scale, shift))
    some = np.array([[0.0, 0.0], [149, 0], [20, 90]])
    ours = some @ matrix[:, :2].T + matrix[:, 2]
    assert np.allclose(ours, turned(some, angle, scale, shift), atol=1e-6 * max(1, scale))


@given(st.integers(0, 1000))
def test_nothing_is_nearer(seed: int) -> None:
    """Of faces that are none of ours turned, the fit is the best of its neighbours."""
    rng = np.random.default_rng(seed)
    points = turned(CANONICAL, rng.uniform(-1, 1), 0.7, (30, 40)) + rng.normal(0, 4, (5, 2))
    best = similarity(points)

    def error(matrix: np.ndarray) -> float:
        away = CANONICAL @ matrix[:, :2].T + matrix[:, 2] - points
        return float(WEIGHTS @ (away**2).sum(1))

    a, b = best[0, 0], best[1, 0]
    for turn in (1e-3, -1e-3):
        for c, d in ((a + turn, b), (a, b + turn)):
            assert error(np.array([[c, -d, best[0, 2]], [d, c, best[1, 2]]])) >= error(best)
        moved = best + np.array([0, 0, turn])
        assert error(moved) >= error(best)


def test_a_mirrored_face_is_not_mirrored_back() -> None:
    matrix = similarity(CANONICAL * [-1, 1])
    assert np.linalg.det(matrix[:, :2]) > 0


def test_points_on_top_of_each_other() -> None:
    found = chip(pixels(hopper()), np.full((5, 2), 200.0))
    assert found.shape == (SIDE, SIDE, 3)
    assert np.ptp(found.reshape(-1, 3), axis=0).max() <= 40  # a pixel, enlarged


@pytest.mark.parametrize("side", [150, 64])
def test_an_upright_face_as_it_is(side: int) -> None:
    """Cut out of a picture at the size that it has there: the same pixels."""
    image = pixels(hopper())
    points = CANONICAL * side / SIDE + [180, 120]
    found = chip(image, points, side)
    assert np.abs(found.astype(int) - image[120 : 120 + side, 180 : 180 + side]).max() <= 1


def test_areas_are_averaged() -> None:
    """Of a fine chequer a small chip is grey, where single pixels would be black or white."""
    chequer = np.indices((900, 900)).sum(0) % 2 * 255
    image = np.repeat(chequer[..., None], 3, axis=2).astype(np.uint8)
    found = chip(image, CANONICAL * 4 + 100)
    assert found.min() >= 120 and found.max() <= 135


def test_what_is_outside_is_black() -> None:
    white = np.full((60, 60, 3), 255, np.uint8)
    found = chip(white, CANONICAL / 2 - 30)
    assert found[:50, :50].max() == 0
    assert found[-20:, -20:].min() >= 254


def test_far_outside() -> None:
    assert chip(np.full((5, 7, 3), 255, np.uint8), CANONICAL + 5000).max() == 0


def test_without_kornia(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow's pixels are the same but for rounding."""
    image = pixels(hopper())
    points = turned(CANONICAL, 0.3, 1.7, (120, 60))
    fast = chip(image, points).astype(int)
    monkeypatch.setattr(alignment, "_fast_warp", lambda: None)
    assert np.abs(chip(image, points) - fast).max() <= 2


def test_a_pillow_image_is_the_same() -> None:
    points = turned(CANONICAL, 0.1, 1.0, (120, 60))
    assert np.array_equal(chip(hopper(), points), chip(pixels(hopper()), points))
