"""What a store holds, part by part, for whoever writes it into files of another kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ...core.contracts import UnitVectors
from ...core.errors import StoreDamagedError
from ...core.progress import Progress
from ...engine.lens.lens import Lens
from ..catalog.base import Reader
from ..catalog.records import ImageRecord
from ..scan.same_files import again_of_one_file

_BYTES, _ROWS = 16 << 20, 1 << 14
"""At most so much of vectors, and so many of them, at a time."""


@dataclass(frozen=True)
class Part:
    """Some images that paths show, in order of number."""

    vectors: UnitVectors
    """(n, d)."""
    records: list[ImageRecord]
    """n."""
    paths: list[list[bytes]]
    """n, at least one path each, sorted."""
    links: list[list[bool]]
    """n, for each path whether it leads to the file of one before it, as links are now."""

    def __len__(self) -> int:
        return len(self.records)

    def __getitem__(self, rows: slice) -> Part:
        return Part(self.vectors[rows], self.records[rows], self.paths[rows], self.links[rows])

    def by_path(self) -> Part:
        """The same with a row for each path."""
        times = [len(paths) for paths in self.paths]
        rows = np.repeat(np.arange(len(times)), times)
        records = [self.records[row] for row in rows.tolist()]
        return Part(
            self.vectors[rows],
            records,
            [[path] for paths in self.paths for path in paths],
            [[link] for links in self.links for link in links],
        )


@dataclass(frozen=True)
class Extract:
    """All that a store holds at one moment: read `parts` once."""

    reader: Reader
    lens: Lens | None
    """That the vectors were made with, to make looks of them; None leaves them as they are."""
    dimension: int
    """d of the vectors that come out."""
    progress: Progress

    @property
    def images(self) -> int:
        """How many rows the parts have together."""
        return self.reader.images - self.reader.orphans

    @property
    def paths(self) -> int:
        """The same, by path."""
        return self.reader.entries

    def parts(self) -> Iterator[Part]:
        """
        Raises:
            StoreDamagedError: the catalog has lost something.
        """
        self.progress.start("exporting", self.images, "pictures")
        at_most = max(1, min(_ROWS, _BYTES // (4 * self.dimension)))
        after = images = paths = 0
        while True:
            try:
                numbers, vectors = self.reader.vectors_from(after, at_most)
            except ValueError as error:
                raise StoreDamagedError(f"the catalog's vectors are damaged: {error}") from None
            if not len(numbers):
                break
            after = int(numbers[-1])
            part = self._part(numbers.tolist(), vectors)
            images += len(part.records)
            paths += sum(map(len, part.paths))
            yield part
            self.progress.advance(len(part.records))
        if (images, paths) != (self.images, self.paths):
            raise StoreDamagedError(
                f"the catalog lists {self.images:,} pictures with {self.paths:,} paths and holds "
                f"{images:,} with {paths:,}; 'tll-index repair' mends it"
            )

    def _part(self, numbers: list[int], vectors: UnitVectors) -> Part:
        paths = [self.reader.paths_of(number) for number in numbers]
        shown = [row for row, found in enumerate(paths) if found]  # not orphans
        records = [self.reader.record(numbers[row]) for row in shown]
        vectors = vectors[shown]
        if self.lens is not None and len(shown):
            vectors = self.lens.embeddings_of(vectors)
        if vectors.shape[1:] != (self.dimension,) and len(shown):
            raise StoreDamagedError(
                f"the catalog's vectors are damaged: {vectors.shape[1]} values, expected "
                f"{self.dimension}"
            )
        paths = [paths[row] for row in shown]
        links = [again_of_one_file(some) if len(some) > 1 else [False] for some in paths]
        return Part(vectors, records, paths, links)
