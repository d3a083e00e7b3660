"""What all rows of a run share: sizes, settings, a scratch folder, things that are made once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tll_index.core.config import Settings
from tll_index.core.contracts import UnitVectors
from tll_index.core.progress import Progress
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.engine.lens.embedder import Embedder, load_embedder
from tll_index.indexer.backends.layout import writer_lock
from tll_index.indexer.store.store import Store

from .embedding import material_of
from .material import BLOCK, Material
from .ours import Filled, fill
from .pictures import Pictures, real_pictures
from .sizes import Sizes
from .truth import Truth, exact

K = 10
"""Of recall@10, and of every query."""


@dataclass
class Laboratory:
    """One run's things. Rows take them in any order, and what none needs is not made."""

    sizes: Sizes
    settings: Settings
    progress: Progress
    scratch: Path
    """A folder that is removed at the end: tens of gigabytes in a full run."""
    backbone: str = DEFAULT
    shared: dict[str, Any] = field(default_factory=dict)
    """What rows of one module make once."""
    _vectors: dict[int, NDArray[np.float32]] = field(default_factory=dict)
    _truths: dict[int, Truth] = field(default_factory=dict)
    _stores: dict[int, Filled] = field(default_factory=dict)

    @cached_property
    def pictures(self) -> Pictures:
        """Real ones, as many as there are."""
        return real_pictures(self.scratch)

    @cached_property
    def embedder(self) -> Embedder:
        """The backbone and its lens."""
        return load_embedder(self.backbone, self.settings)

    @cached_property
    def material(self) -> Material:
        """What vectors are made of."""
        some = self.pictures.some(self.sizes.material_pictures)
        left_out = min(self.sizes.held_out, len(some.paths) // 4)
        return material_of(some, self.embedder, left_out, self.settings, self.progress)

    @cached_property
    def queries(self) -> UnitVectors:
        """(n, d) float32: what queries ask with."""
        return self.material.queries(self.sizes.queries)

    @cached_property
    def asks_file(self) -> Path:
        """The same, for other processes."""
        file = self.scratch / "asks.npy"
        np.save(file, self.queries)
        return file

    def vectors_file(self, count: int) -> Path:
        """A .npy file of (count, d) float32: the stored vectors, for other processes."""
        file = self._file(count)
        if not file.exists():
            self.progress.start(f"mixing {count:,} vectors", count, "vectors")
            for block in self._made(count):
                self.progress.advance(len(block))
        return file

    def vectors(self, count: int) -> NDArray[np.float32]:
        """(count, d) float32: the stored vectors, on the disk."""
        if count not in self._vectors:
            self._vectors[count] = np.load(self.vectors_file(count), mmap_mode="r")
        return self._vectors[count]

    def truth(self, count: int) -> Truth:
        """The exact answers among the first `count` vectors."""
        if count not in self._truths:
            self._truths[count] = exact(self.vectors(count), self.queries, K, self.progress)
        return self._truths[count]

    def store(self, count: int) -> Filled:
        """A store whose catalog holds the first `count` vectors, and that has no index yet."""
        if count not in self._stores:
            folder = self.scratch / f"store-{count}"
            made = self._made(count)
            self._stores[count] = fill(
                folder, self.embedder, made, count, self.settings, self.progress
            )
        return self._stores[count]

    def indexed(self, count: int) -> Filled:
        """The same with its index."""
        filled = self.store(count)
        with Store.open(filled.path, settings=self.settings) as store, writer_lock(filled.path):
            store.save_index()
        return filled

    def _file(self, count: int) -> Path:
        return self.scratch / f"vectors-{count}.npy"

    def _made(self, count: int) -> Iterator[UnitVectors]:
        """The first `count` stored vectors, block by block; the file has them when all are
        taken."""
        file, new = self._file(count), self.scratch / "vectors.new"
        if file.exists():
            known = self.vectors(count)
            yield from (known[at : at + BLOCK] for at in range(0, count, BLOCK))
            return
        shape = count, self.material.dimension
        kept = np.lib.format.open_memmap(new, "w+", np.float32, shape)
        for number, block in enumerate(self.material.blocks(count)):
            kept[number * BLOCK : number * BLOCK + len(block)] = block
            yield block
        kept.flush()
        new.rename(file)
