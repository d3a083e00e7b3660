"""Half precision, in which features are kept and lenses are saved."""

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
