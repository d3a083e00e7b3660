"""Curves over epochs, and their smoothing."""

from __future__ import annotations

from collections.abc import Sequence

WEIGHT = 0.6
"""Of the exponential smoothing: what stays of the past with each epoch (TensorBoard's default)."""


def smoothed(values: Sequence[float], weight: float = WEIGHT) -> list[float]:
    """Exponential moving average without the pull towards 0 at the start:

    s_t = sum_i w^(t-i) x_i / sum_i w^(t-i)
    """
    total = norm = 0.0
    result = []
    for value in values:
        total, norm = weight * total + value, weight * norm + 1
        result.append(total / norm)
    return result


def rounded(values: Sequence[float]) -> list[float]:
    """To the six decimals that are kept."""
    return [round(value, 6) for value in values]
