"""Weights and activations as whole numbers of 8 bits, so that every processor computes the same.

Activations are unsigned, with one scale a tensor; weights are signed, with one scale a filter.
Two things are ours:

Processors without VNNI multiply pairs of 8-bit numbers and add the two products in 16 bits, where
255 * (w1 + w2) may not fit. So a filter's scale is chosen such that no two neighbours of its
weights can sum to more than 128, and nothing ever saturates.

Rounding each weight by itself changes how a filter sees a smooth surface: its many small errors
add up wherever neighbouring pixels are alike. So weights are rounded such that the error of the
whole filter is least for pixels that correlate as those of pictures do (`CORRELATION` to the power
of their distance); behind the stem, where channels have little to do with each other, that of each
channel by itself. Of the stem and the first filters, which decide most, that takes away four
fifths of the error; no picture is needed for it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CORRELATION = 0.95
"""Of neighbouring pixels, and of the three colours of one."""
COLOURS = 4
"""Channels that a picture has at most, which correlate; those of maps further in don't."""
TOP = 127
MOST_OF_TWO = 126.9
"""What two neighbours may sum to before they are rounded; 128 * 255 fits into 15 bits."""


def scales(
    weights: NDArray[np.float32], groups: int, bias: NDArray[np.float32], input_scale: float
) -> NDArray[np.float32]:
    """(filters,): what 1 stands for in the weights of each filter.

    Args:
        weights: (filters, channels / groups, k, k).
        bias: (filters,); of 32 bits, it must fit as well.
        input_scale: what 1 stands for in the input.
    """
    flat = np.abs(weights).reshape(len(weights), -1)
    found = flat.max(1) / TOP
    if groups == 1:  # of one channel a filter, no products are added in 16 bits
        found = np.maximum(found, _two(weights) / MOST_OF_TWO)
    of_bias = np.abs(bias) / (input_scale * 2.0**24)
    return np.maximum(np.maximum(found, of_bias), 1e-12).astype(np.float32)


def _two(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """(filters,): the largest size of a sum of two weights that may be added first."""
    flat = weights.reshape(len(weights), -1)
    if weights.shape[-1] == 1:
        return np.abs(flat[:, :-1] + flat[:, 1:]).max(1)
    ordered = np.sort(flat, 1)  # runtimes order a window in ways of their own: any two
    sums = ordered[:, -1] + ordered[:, -2], -(ordered[:, 0] + ordered[:, 1])
    return np.maximum(*sums)


def rounded(weights: NDArray[np.floating], scale: NDArray[np.float32]) -> NDArray[np.int8]:
    """(filters, channels, k, k) as multiples of each filter's scale, rounded as the module says."""
    exact = weights.astype(np.float64) / scale.astype(np.float64)[:, None, None, None]
    nearest = np.clip(np.round(exact), -TOP, TOP)
    _, channels, k, _ = weights.shape
    if k > 1:
        alike = channels if channels <= COLOURS else 1
        windows = nearest.reshape(-1, alike * k * k)
        _settle(windows, exact.reshape(windows.shape), _likeness(alike, k))
    return nearest.astype(np.int8)


def _likeness(channels: int, k: int) -> NDArray[np.float64]:
    """(channels * k * k, the same): how pixels of a window correlate."""
    at = np.stack(np.divmod(np.arange(k * k), k), axis=1)
    distances = np.sqrt(((at[:, None] - at[None]) ** 2).sum(-1))
    colours = np.full((channels, channels), CORRELATION) + (1 - CORRELATION) * np.eye(channels)
    return np.kron(colours, CORRELATION**distances)


def _settle(
    windows: NDArray[np.float64], wanted: NDArray[np.float64], likeness: NDArray[np.float64]
) -> None:
    """Of each row, move one weight after the other to the whole number on its other side, the best
    move first, for as long as the expected square of the row's error gets less."""
    size = np.diag(likeness)
    open_ = np.arange(len(windows))
    while len(open_):
        now = windows[open_]
        error = now - wanted[open_]
        slope = 2 * error @ likeness
        up = np.where((error < 0) & (now < TOP), slope + size, np.inf)
        down = np.where((error > 0) & (now > -TOP), size - slope, np.inf)
        rises = up.min(1) <= down.min(1)
        gains = np.where(rises[:, None], up, down)
        at = gains.argmin(1)
        better = gains[np.arange(len(open_)), at] < -1e-12
        open_, at = open_[better], at[better]
        windows[open_, at] += np.where(rises[better], 1, -1)
