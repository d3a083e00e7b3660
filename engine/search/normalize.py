"""Vectors scaled to length 1, so that their inner product is a cosine."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors


def unit(values: NDArray[np.float32]) -> UnitVectors:
    """Rows scaled to length 1; a row of zeros stays as it is."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return (values / np.where(lengths > 0, lengths, 1)).astype(np.float32, copy=False)
