"""Arrays that may be more than memory holds, in files that nobody sees."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


@contextlib.contextmanager
def scratch(shape: tuple[int, ...], dtype: DTypeLike) -> Iterator[NDArray[Any]]:
    """An array of zeros in a file without a name, for what may be more than memory holds; it is
    gone after the block."""
    if 0 in shape:
        yield np.zeros(shape, dtype)
        return
    with tempfile.TemporaryFile() as file:
        yield np.memmap(file, dtype, "w+", shape=shape)
