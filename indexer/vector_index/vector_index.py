"""What finds the nearest vectors of a space: FAISS in a folder, or a Milvus."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...engine.search.search import Neighbours
from ..catalog.base import Reader

R = TypeVar("R", bound=Reader)
"""The readers of the catalog that an index is derived from."""


class VectorIndex(ABC, Generic[R]):
    """The index of one space of a store. Safe to use from several threads."""

    @abstractmethod
    def reading(self) -> AbstractContextManager[R]:
        """A reader of the catalog, with this space's vectors, for `nearest`."""

    @abstractmethod
    def nearest(
        self, queries: UnitVectors, k: int, reader: R, allowed: NDArray[np.int64] | None = None
    ) -> list[Neighbours]:
        """About the `k` images nearest to each of `queries` (n, d), with exact scores, best first:
        fewer where there are no more, or the index does not see them; n times (1, c).

        A query finds the same beside others as alone.

        Args:
            reader: of `reading`: the state that is searched.
            allowed: (m,) int64, ascending: only these images; None is all.

        Raises:
            StoreDamagedError: the catalog lacks a vector that it lists.
        """
