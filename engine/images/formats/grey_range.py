"""Deep grey -> 8 bits: which of its values become black and white.

Values that are none (NaN, infinite, what the file calls "no data", the usual stand-ins for it) say
nothing about the range, and a thousandth of the others at either end doesn't either. What starts
at or near 0 keeps its scale: 0 to 1, to 255, to 4095, to 65535, the least that holds it; float
light beyond 1 its own. So the same picture at 8 and at 16 bits looks the same. All else is
stretched.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

NODATA_TAG = 42113
"""GDAL's, in a TIFF: the value of pixels that are not there, as text."""

_STAND_INS = (-9999.0, -99999.0, -32768.0, -32767.0, -2147483648.0, -1e30, 1e30)
_FULL = (255.0, 4095.0, 65535.0)
_SHARES, _LIGHT = 1.25, 16.0
"""Float: up to the first they are shares of 1, with what resampling adds; up to the second, amounts
of light, of which 1 is no limit. Of 8 bits 16 would be next to black."""
_BEYOND = 1e29
_LEAST_VALUES = 16
_FOURTEEN_BITS = 16383.0
_SHARE = 0.001
_BIN = 4096


def nodata_of(text: object) -> float | None:
    """What the tag says; None where it can't be understood."""
    try:
        return float(str(text).strip("\0 "))
    except ValueError:
        return None


def valid(values: NDArray[np.float64], nodata: float | None) -> NDArray[np.bool_]:
    """Which of the values are of the picture: the shape of `values`."""
    found = np.isfinite(values) & (np.abs(values) < _BEYOND)
    for stand_in in (*_STAND_INS, *(() if nodata is None else (nodata,))):
        found &= values != np.float64(stand_in)
    return found


def grey_range(
    sample: NDArray[np.float64],
    nodata: float | None = None,
    *,
    is_float: bool = False,
    is_measured: bool = False,
) -> tuple[float, float]:
    """What becomes 0, and what 255.

    Args:
        sample: values of the picture, of any shape.
        is_float: whether they may be shares of 1.
        is_measured: whether their type is of measurements rather than of pictures (float, 32 bits,
            signed): such as begin far from 0 and go beyond 255, heights say, are stretched.
    """
    values = sample[valid(sample, nodata)]
    if values.size and values.max() == 65535 and not is_float:
        # White, or "no data" beside 12 or 14 bits? White has greys below it.
        rest = values[values < 65535]
        if rest.size and rest.max() <= _FOURTEEN_BITS and len(np.unique(rest)) >= _LEAST_VALUES:
            values = rest
    if not values.size:
        return 0.0, 255.0
    low, high = (float(value) for value in np.quantile(values, (_SHARE, 1 - _SHARE)))
    if low == high:
        low, high = float(values.min()), float(values.max())
    if low >= -0.02 * abs(high):
        if is_float and high <= _SHARES:
            return 0.0, 1.0
        if is_float and 0 < high <= _LIGHT:
            return 0.0, high
        for full in _FULL:
            if high <= full * 1.002 and (
                full <= 255 or not is_measured or low <= high / 4 or low == high
            ):
                return 0.0, full
    return (low, high) if math.isfinite(high - low) and high > low else (low, low + 1.0)
