"""Reading .npy: whatever is wrong with the bytes of an array is one kind of error, in one line.

A .npy file begins with a Python literal, which NumPy hands to Python's own parser. What that raises
for a text that is no literal differs between versions of Python: for brackets nested deep it is a
`SyntaxError`, a `MemoryError`, a `RecursionError` or a `tokenize.TokenError`. Some also warn.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import IO, Any, Literal

import numpy as np
from numpy.typing import NDArray

Header = tuple[tuple[int, ...], bool, np.dtype[Any]]
"""Shape; whether columns come first (Fortran's order); type of the values."""


def read_header(file: IO[bytes]) -> Header:
    """The header of a .npy file of version 1.0, which is all that NumPy writes for plain arrays;
    `file` is then where its values begin. What it says of sizes has not been compared with the
    file.

    Raises:
        ValueError: it is no such file.
    """
    with _one_error():
        if (version := np.lib.format.read_magic(file)) != (1, 0):
            raise ValueError(f"version {version} of .npy")
        return np.lib.format.read_array_header_1_0(file)


def load(
    file: str | os.PathLike[str] | IO[bytes], mmap_mode: Literal["r"] | None = None
) -> NDArray[Any]:
    """The one array of a .npy file, of any shape and type but objects: no pickle is read.

    Raises:
        OSError: it can't be read.
        ValueError: it is no such file, is damaged, or claims more values than fit into memory.
    """
    with _one_error():
        array = np.load(file, mmap_mode=mmap_mode, allow_pickle=False)
        if not isinstance(array, np.ndarray):
            array.close()  # an archive of several
            raise ValueError("it holds no single array")
        return array


@contextlib.contextmanager
def _one_error() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except OSError:
        raise
    except Exception as error:  # a parser's, see above
        what = " ".join(str(error).split())[:200]
        raise ValueError(what or f"no header of an array ({type(error).__name__})") from None
