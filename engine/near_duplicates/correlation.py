"""Sums of products of small pictures, at all places at once: correlations by Fourier transforms.

The transforms are products with small matrices: of squares of 48 pixels these take no longer than
SciPy's FFT, which would be a package of 110 MB.
"""

from __future__ import annotations

from functools import cache
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Spectra: TypeAlias = NDArray[np.complex64]
"""(n, side, side // 2 + 1): the half of a real picture's Fourier transform that tells the other."""


def spectra(images: NDArray[np.float32], side: int) -> Spectra:
    """(n, h, w), neither above `side`: with zeros below and to the right of each."""
    count, height, width = images.shape
    rows = images.reshape(-1, width) @ _as_reals(_waves(side)[:width, : _half(side)])
    halves: NDArray[np.complex64] = rows.view(np.complex64).reshape(count, height, _half(side))
    return np.asarray(_waves(side)[:, :height] @ halves)


def correlations(wholes: Spectra, parts: Spectra, height: int, width: int) -> NDArray[np.float32]:
    """(n, height, width): the sum of products of each whole and its part, for each number of pixels
    that the part is moved down and to the right. The same numbers for all n, and only where no part
    reaches beyond its whole, which would go on at the opposite border."""
    side = wholes.shape[1]
    columns = _waves(side)[:height].conj() @ (wholes * parts.conj())
    return np.asarray(columns.view(np.float32) @ _as_reals(_back(side)[:width]).T)


def _half(side: int) -> int:
    return side // 2 + 1


@cache
def _waves(side: int) -> NDArray[np.complex64]:
    """(side, side): row k is the wave that goes round k times."""
    at = np.arange(side)
    return np.exp(-2j * np.pi * (np.outer(at, at) % side) / side).astype(np.complex64)


@cache
def _back(side: int) -> NDArray[np.complex64]:
    """(side, half): what the real parts of products with half of a spectrum are summed by."""
    counted = np.full(_half(side), 2.0)  # the other half is the same
    counted[0] = 1
    if side % 2 == 0:
        counted[-1] = 1
    return np.asarray(_waves(side)[:, : _half(side)] * counted / side**2, np.complex64)


def _as_reals(matrix: NDArray[np.complex64]) -> NDArray[np.float32]:
    """(n, m) complex -> (n, 2m): real and imaginary parts in turn. A product of reals with it is
    complex numbers as they lie in memory; one of complex numbers with its rows, as they lie, is the
    real part of that with their conjugates."""
    return np.ascontiguousarray(matrix).view(np.float32)
