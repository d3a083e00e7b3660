"""Correlations at all places at once are what SciPy's FFT makes of them, and what a sum does."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import fft

from tll_index.engine.near_duplicates.correlation import correlations, spectra

SIZES = [(48, 44, 32), (48, 32, 44), (24, 20, 14), (7, 7, 3), (5, 1, 5), (1, 1, 1)]


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).normal(size=shape).astype(np.float32)


@pytest.mark.parametrize(("side", "height", "width"), SIZES)
def test_spectra_are_those_of_scipy(side: int, height: int, width: int) -> None:
    images = noise(3, height, width)
    found, wanted = spectra(images, side), fft.rfft2(images, (side, side))
    assert found.shape == wanted.shape and found.dtype == np.complex64
    assert np.abs(found - wanted).max() <= 1e-6 * np.abs(wanted).max()


@pytest.mark.parametrize(("side", "height", "width"), SIZES)
def test_correlations_are_sums_of_products(side: int, height: int, width: int) -> None:
    wholes, parts = noise(2, side, side), noise(2, height, width)
    down, right = side - height + 1, side - width + 1
    found = correlations(spectra(wholes, side), spectra(parts, side), down, right)
    windows = np.lib.stride_tricks.sliding_window_view(wholes, (height, width), axis=(1, 2))
    wanted = np.einsum("nyxhw,nhw->nyx", windows.astype(float), parts.astype(float))
    assert found.shape == wanted.shape == (2, down, right) and found.dtype == np.float32
    largest = np.linalg.norm(wholes) * np.linalg.norm(parts)
    assert np.abs(found - wanted).max() <= 1e-6 * largest
