"""Half precision and bytes, in which features are kept and lenses are saved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def applied(
    function: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    features: NDArray[np.floating],
    step: int = 1024,
) -> NDArray[np.float32]:
    """A lens's function of (n, D) features in half precision, some rows at a time."""
    return np.concatenate(
        [
            function(features[at : at + step].astype(np.float32))
            for at in range(0, len(features), step)
        ]
    )


def rounded(array: NDArray[np.float32] | None, largest: float = 0) -> Any:
    """Rounded to float16, but float32; with `largest`, scaled first so that this is the largest
    size of a value (scaling an adaptation changes no direction)."""
    if array is None:
        return None
    if largest and (size := np.abs(array).max()) > 0:
        array = array * np.float32(largest / size)
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half.astype(np.float32) if np.isfinite(half).all() else array


def smallest(array: NDArray[np.float32]) -> NDArray[Any]:
    """The same in float16 where that loses nothing."""
    with np.errstate(over="ignore"):
        half = array.astype(np.float16)
    return half if (half == array).all() else array


def single(array: NDArray[Any]) -> NDArray[Any]:
    """float16 as float32; anything else as it is."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


_DIGITS = np.float32(1 << 11)
LONG = 4096
"""Values of a row from which a map is kept in bytes: the errors of so many cancel each other out,
and a lens of a bundled backbone takes half as much."""


def in_bytes(array: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row (n, d) rounded to 255 steps of its own, but float32: whole numbers from -127 to 127
    times one number."""
    return _product(*_steps(array))


def rounded_map(array: NDArray[np.float32] | None) -> NDArray[np.float32] | None:
    """A lens's last map as it is kept: long rows in bytes, others in float16, the largest 1."""
    if array is None or array.shape[1] < LONG:
        halves: NDArray[np.float32] | None = rounded(array, largest=1)
        return halves
    return in_bytes(array)


def as_bytes(array: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]] | None:
    """What `in_bytes` made, as (n, d) whole numbers and (n,) steps; None of anything else."""
    if array.ndim != 2 or array.shape[1] < LONG:
        return None
    numbers, steps = _steps(array)
    return (numbers, steps) if (_product(numbers, steps) == array).all() else None


def from_bytes(numbers: NDArray[np.int8], steps: NDArray[np.float32]) -> NDArray[np.float32]:
    """The way back.

    Raises:
        ValueError: there is not one step for each row.
    """
    if numbers.ndim != 2 or steps.shape != numbers.shape[:1] or numbers.dtype != np.int8:
        raise ValueError(f"{steps.shape} steps of {numbers.shape}")
    return _product(numbers, steps)


def _steps(array: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    largest = np.abs(array).max(axis=1)
    mantissas, exponents = np.frexp(np.where(largest > 0, largest, 127) / np.float32(127))
    # Steps of few binary digits: products are exact, and rounded again they stay what they are.
    steps = np.ldexp(np.ceil(mantissas * _DIGITS) / _DIGITS, exponents).astype(np.float32)
    return np.rint(array / steps[:, None]).astype(np.int8), steps


def _product(numbers: NDArray[np.int8], steps: NDArray[np.float32]) -> NDArray[np.float32]:
    return numbers.astype(np.float32) * steps[:, None]
