"""Where a store lives, as everyone else sees it: a folder, or a Milvus.

    Backend   says what made the store, opens the catalog, makes the indexes
    Indexes   what finds the nearest vectors: of a query by `of`, of very many by `offers`

See `catalog.base` for the catalog, and `store.resolve` for which backend a store has.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import UnitVectors
from ...core.location import Location
from ..catalog.base import Catalog, Reader
from ..catalog.spaces import Space

if TYPE_CHECKING:
    from ...core.config import Settings
    from ...core.progress import Progress
    from ...engine.lens.lens import Lens
    from ...engine.search.index_plan import IndexPlan
    from ..vector_index.vector_index import VectorIndex
    from .metadata import About


class Offers(Protocol):
    """What offers candidates for many queries at a time."""

    def follow(self, reader: Reader) -> None:
        """Offer what `reader` knows from now on.

        Raises:
            StoreDamagedError: the catalog lacks a vector that it lists.
        """

    def candidates(self, queries: UnitVectors, count: int) -> NDArray[np.int64]:
        """For each of `queries` (n, d), images that are probably nearest to it, among them `count`
        of the nearest where there are so many and the index sees them: (n, c), in no order; -1
        where there are no more."""


class Indexes(ABC):
    """A store's vector indexes, one for each of its spaces. Searching is safe from several
    threads; the rest is for the store's one writer."""

    in_files: bool
    """Whether they are files that `save` makes, which takes its time."""

    @abstractmethod
    def of(self, space: Space) -> VectorIndex[Any]:
        """The index of a space."""

    @abstractmethod
    def offers(self) -> Offers:
        """What finds candidates for many queries by how pictures look; for one thread, and apart
        from the indexes that `of` gives."""

    @abstractmethod
    def lens_of(self, space: Space) -> Lens:
        """What made the vectors of a space: one that does nothing, where the network alone did."""

    @abstractmethod
    def due(self) -> list[IndexPlan]:
        """The indexes that `save` would make or bring up to date in files."""

    @abstractmethod
    def save(self, progress: Progress, *, afresh: bool = False) -> None:
        """See `Store.save_index`."""

    @abstractmethod
    def remember_wanted(self) -> None:
        """Let the store be told, where the settings say something of its indexes."""


class Backend(ABC):
    """Where one store lives, a folder or a Milvus. Safe to use from several threads."""

    location: Location

    keeps_snapshots: bool
    """Whether a reader of the catalog goes on reading the state of one moment."""

    @property
    def base(self) -> bytes | None:
        """The folder that the store's paths are kept relative to; None where they are absolute."""
        return None

    @property
    @abstractmethod
    def about(self) -> About:
        """Which store it is, and what made it, as of now."""

    @property
    @abstractmethod
    def catalog(self) -> Catalog:
        """The catalog of now."""

    @abstractmethod
    def lens(self) -> Lens:
        """The copy that it keeps of the lens that made its vectors, without its backbone.

        Raises:
            LensError: it is missing or damaged.
            StoreDamagedError: it is another one.
        """

    @abstractmethod
    def indexes(self, lens: Callable[[], Lens], settings: Settings) -> Indexes:
        """What finds the nearest of its vectors.

        Args:
            lens: its own, read when it is needed.
        """

    @abstractmethod
    def info(self) -> dict[str, Any]:
        """What there is to say of its indexes, and what it takes (bytes); JSON values."""

    @abstractmethod
    def close(self) -> None:
        """Let go of it."""

    # -- for the store's one writer ------------------------------------------

    @abstractmethod
    def set_about(self, about: About) -> None:
        """Say so from now on.

        Raises:
            StoreError: it can't be written; all is as before.
        """

    @abstractmethod
    def tidy(self) -> None:
        """Remove what is left of work that was cut short."""

    @abstractmethod
    def renew(self, progress: Progress) -> None:
        """Bring an old store to its newest format, where that is not done as it is written."""

    @abstractmethod
    def wipe(self, progress: Progress) -> None:
        """Leave no byte of what was removed from the catalog, where that takes more than removing;
        after the indexes were made afresh."""
