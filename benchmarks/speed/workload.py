"""What the rows of a run share: sizes, pictures, and vectors and stores that are made once."""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tll_index.core.config import Settings
from tll_index.core.contracts import UnitVectors
from tll_index.core.progress import Progress
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.engine.lens.embedder import Embedder, load_embedder
from tll_index.indexer.backends.layout import writer_lock
from tll_index.indexer.store.store import Store

from ..harness import ROOT, tll_root
from .dataset import BLOCK, Material, Truth, exact, material_of
from .stores import Filled, fill


@dataclass(frozen=True)
class Sizes:
    """So much of everything that rows measure."""

    name: str
    model_rounds: int
    """Batches that each runtime gets, in turn."""
    build_pictures: int
    build_rounds: int
    tiny_pictures: tuple[int, int]
    """How many drawn pictures the small and the large build see."""
    query_store: int
    """Vectors in the store that single pictures search."""
    rounds: int
    """Repetitions of what takes less than a second."""
    photographs: int
    """Of each size."""
    material_pictures: int
    """Pictures (and as many crops) that vectors are mixed of; 0 is all."""
    held_out: int
    """Left ones of them that only search."""
    choice: tuple[int, ...]
    """Numbers of vectors at which exact search and lists are held side by side."""
    growth: tuple[int, ...]
    """Numbers of vectors, ascending."""
    million: int
    """What row vectors_1m, and the peers, measure."""
    ten_millions: int
    """What row vectors_10m measures."""
    queries: int
    """Queries that a recall is the mean of."""
    peer_pictures: int


FULL = Sizes(
    name="full",
    model_rounds=9,
    build_pictures=1000,
    build_rounds=3,
    tiny_pictures=(5_000, 100_000),
    query_store=7_200,
    rounds=21,
    photographs=6,
    material_pictures=0,
    held_out=1000,
    choice=(5_000, 10_000, 25_000, 50_000, 100_000),
    growth=(10**4, 10**5, 10**6, 10**7),
    million=10**6,
    ten_millions=10**7,
    queries=1000,
    peer_pictures=500,
)

QUICK = Sizes(
    name="quick",
    model_rounds=3,
    build_pictures=150,
    build_rounds=1,
    tiny_pictures=(1_000, 4_000),
    query_store=1_000,
    rounds=7,
    photographs=2,
    material_pictures=600,
    held_out=100,
    choice=(5_000, 25_000, 50_000),
    growth=(10**3, 10**4, 10**5),
    million=10**5,
    ten_millions=10**5,
    queries=200,
    peer_pictures=30,
)


# -- pictures -------------------------------------------------------------------------------------

_PER_FOLDER = 1000


@dataclass(frozen=True)
class Pictures:
    """Files, and what they are."""

    name: str
    paths: tuple[Path, ...]

    def some(self, count: int) -> Pictures:
        """About `count` of them, spread evenly; all where `count` is 0 or more than there are."""
        if not 0 < count < len(self.paths):
            return self
        chosen = np.linspace(0, len(self.paths) - 1, count).round().astype(int)
        return Pictures(self.name, tuple(self.paths[one] for one in chosen))


def real_pictures(scratch: Path) -> Pictures:
    """Totally-Looks-Like, where it is; otherwise the gallery of `make run`, drawn in `scratch`."""
    if found := sorted(tll_root().glob("t*/*/*.jpg")):
        return Pictures("Totally-Looks-Like", tuple(found))
    gallery = scratch / "gallery"
    if not gallery.exists():
        command = [sys.executable, str(ROOT / "examples/gallery"), str(gallery)]
        subprocess.run(command, check=True, capture_output=True)
    found = sorted(path for path in gallery.rglob("*.*") if path.is_file())
    return Pictures("the drawn gallery (no Totally-Looks-Like here)", tuple(found))


def copied(paths: Sequence[Path], folder: Path) -> list[Path]:
    """The files in one folder, under numbers."""
    folder.mkdir(parents=True)
    copies = [folder / f"{number:06}{path.suffix}" for number, path in enumerate(paths)]
    for path, copy in zip(paths, copies, strict=True):
        shutil.copy(path, copy)
    return copies


def draw_tiny(folder: Path, first: int, stop: int) -> None:
    """PNG files of 16 x 16 pixels, each like no other, numbers `first` to `stop`."""
    for number in range(first, stop):
        inside = folder / f"{number // _PER_FOLDER:04}"
        if number % _PER_FOLDER == 0 or number == first:
            inside.mkdir(parents=True, exist_ok=True)
        blocks = np.random.default_rng(number).integers(0, 256, (16, 16, 3), dtype=np.uint8)
        Image.fromarray(blocks).save(inside / f"{number:06}.png", compress_level=0)


def photograph(source: Path, width: int, height: int, seed: int) -> bytes:
    """A JPEG as a camera would make it, of a small picture: enlarged, with detail and grain at
    every scale that the enlargement left smooth."""
    generator = np.random.default_rng(seed)
    with Image.open(source) as image:
        picture = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    grain = np.zeros((height, width), np.float32)
    for scale, strength in ((1, 6), (2, 6), (4, 8), (8, 8)):
        size = -(-height // scale), -(-width // scale)
        noise = Image.fromarray(generator.normal(0, strength, size).astype(np.float32))
        grain += np.asarray(noise.resize((width, height), Image.Resampling.BILINEAR))
    pixels = np.asarray(picture, np.int16) + grain.astype(np.int16)[..., None]
    out = io.BytesIO()
    Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(out, "JPEG", quality=92)
    return out.getvalue()


# -- vectors and stores ---------------------------------------------------------------------------

K = 10
"""Of recall@10, and of every query."""


@dataclass
class Workload:
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
        """(n, d) float32: the query embeddings."""
        return self.material.queries(self.sizes.queries)

    @cached_property
    def queries_file(self) -> Path:
        """The same, for other processes."""
        file = self.scratch / "queries.npy"
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
        """The exact hits among the first `count` vectors."""
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
