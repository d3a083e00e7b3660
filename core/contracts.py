"""What a search returns, and the shapes and dtypes that every floor agrees on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

Pixels: TypeAlias = NDArray[np.uint8]
"""(height, width, 3) or a batch (n, height, width, 3), RGB, 0 to 255."""

Features: TypeAlias = NDArray[np.float32]
"""(n, D): what a backbone returns, pooled layers side by side, not normalised."""

Maps: TypeAlias = NDArray[np.float32]
"""(n, channels, height, width): what a layer of a backbone puts out, before it is pooled."""

UnitVectors: TypeAlias = NDArray[np.float32]
"""(n, d): what a lens returns, every row of length 1; search ranks by their inner product."""


@dataclass(frozen=True, slots=True)
class Hit:
    """One picture that looks like the query."""

    rank: int
    """1 is the most alike."""
    score: float
    """Cosine similarity; less, with a lens that has a hubness correction, what a picture loses for
    being near to many."""
    path: str
    """Absolute path; of several copies the first by name (of those that a filter lets through).
    Stray bytes as PEP 383 surrogates."""
    paths: tuple[str, ...]
    """Every indexed path that shows this same picture, sorted."""
    width: int
    height: int
    """Of the upright picture (after EXIF orientation), in pixels."""
    sha256: str
    """Of the file's bytes, in hex: what a picture is called wherever it lies."""


@dataclass(frozen=True, slots=True)
class Indexed:
    """One picture that a store holds."""

    sha256: str
    paths: tuple[str, ...]
    """As in `Hit`."""
    width: int
    height: int
    format: str
    """As Pillow calls it."""
    file_bytes: int


@dataclass(frozen=True, slots=True)
class Hits(Sequence[Hit]):
    """What one query found, best first; ties in order of path."""

    query: str
    """The query's path, or '-' for bytes or pixels; of several pictures all, with + and -."""
    hits: tuple[Hit, ...]

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)
