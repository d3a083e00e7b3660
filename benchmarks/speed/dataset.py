"""Vectors like those of real pictures, as many as are wanted, and the exact hits among them.

A picture is embedded once, whole and as one crop by chance. What a lens makes of features before it
scales them to length 1 is linear, so a mix of pictures' features, with weights that sum to 1, has
the same mix of what the lens makes of each. Any number of vectors is therefore mixed of these,
exactly as if the features had been mixed: two or three at a time, with weights by chance.

Some pictures are held out, with their crops: they are in no mix, and only search.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tll_index.core.config import Settings, cores
from tll_index.core.contracts import Features, Pixels, UnitVectors
from tll_index.core.progress import Progress
from tll_index.core.sealed import read_sealed, write_sealed
from tll_index.engine.backbones.runtime import pictures_a_pass
from tll_index.engine.images.decode import Geometry, decode, from_image
from tll_index.engine.lens.embedder import Embedder
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit

from ..harness import NotMeasurableError

if TYPE_CHECKING:
    from .workload import Pictures

BLOCK = 20_000
"""Vectors that are drawn with one seed."""
_STEP = 2048
"""Vectors whose crowding is computed at once: a small part of a core's cache more is slower."""


def projected(lens: Lens, features: Features) -> NDArray[np.float32]:
    """(n, D) -> (n, d): all that the lens does before it scales to length 1.

    Raises:
        NotMeasurableError: that is not linear.
    """
    if lens.relu:
        raise NotMeasurableError("the lens has a ReLU: mixes of features aren't mixes of vectors")
    values = features if lens.mean is None else features - lens.mean
    for matrix in (lens.components, lens.adaptation):
        if matrix is not None:
            values = values @ matrix.T
    return values.astype(np.float32, copy=False)


@dataclass(frozen=True, eq=False)
class Material:
    """What vectors are made of; the same seed makes the same ones, and fewer are the first of
    more."""

    lens: Lens
    base: NDArray[np.float32]
    """(r, d): pictures and crops, projected, in an order by chance."""
    held_out: NDArray[np.float32]
    """(q, d): those that only search."""
    source: str
    """What the pictures are."""
    seed: int = 0

    @property
    def dimension(self) -> int:
        """Of the stored vectors."""
        return self.lens.dimension

    def queries(self, count: int) -> UnitVectors:
        """(count or fewer, dimension) float32: what held-out pictures search with."""
        vectors = unit(self._order(self.held_out)[:count])
        return self.lens.query_of(vectors)

    def block(self, number: int) -> UnitVectors:
        """(BLOCK, dimension) float32: the stored vectors from `number * BLOCK` on."""
        mixed = self.mixes(number)
        parts = (unit(mixed[at : at + _STEP]) for at in range(0, BLOCK, _STEP))
        return np.concatenate([self.lens.gallery_of(part) for part in parts])

    def mixes(self, number: int) -> NDArray[np.float32]:
        """(BLOCK, d): the same before it is scaled to length 1."""
        of, weights = self.drawn(number)
        mixed: NDArray[np.float32] = np.einsum("nj,njd->nd", weights, self._shuffled[of])
        return mixed

    def drawn(self, number: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """(BLOCK, 3) rows of the base, in the order by chance, and their weights, which sum to 1.
        The first vectors of all are the base itself."""
        generator = np.random.default_rng((self.seed, number))
        of = generator.integers(0, len(self.base), (BLOCK, 3))
        weights = generator.exponential(size=(BLOCK, 3))  # scaled to sum 1: even over all mixes
        weights[generator.random(BLOCK) < 0.5, 2] = 0
        first = np.arange(number * BLOCK, min((number + 1) * BLOCK, len(self.base)))
        of[: len(first), 0] = first
        weights[: len(first)] = 1, 0, 0
        weights /= weights.sum(axis=1, keepdims=True)
        return of, weights.astype(np.float32)

    def blocks(self, count: int) -> Iterator[UnitVectors]:
        """The first `count` stored vectors, block by block, made ahead on all cores."""
        numbers = iter(range(-(-count // BLOCK)))
        ahead: list[Future[UnitVectors]] = []
        with ThreadPoolExecutor(cores()) as threads:
            while True:
                wanted = cores() + 1 - len(ahead)
                ahead += [threads.submit(self.block, one) for one in islice(numbers, wanted)]
                if not ahead:
                    return
                made = ahead.pop(0).result()[:count]
                count -= len(made)
                yield made

    @cached_property
    def _shuffled(self) -> NDArray[np.float32]:
        return self._order(self.base)

    def _order(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return rows[np.random.default_rng(self.seed).permutation(len(rows))]


# -- pictures and crops, embedded -----------------------------------------------------------------

CHUNK = 64
"""Pictures in a file of the cache."""
AREA = 0.3, 0.8
"""What a crop keeps of its picture: drawn evenly between these."""
_FORMAT = 1
"""To be raised when the same pictures would get other values and nothing in the name tells."""


def material_of(
    pictures: Pictures, embedder: Embedder, held_out: int, settings: Settings, progress: Progress
) -> Material:
    """Embed `pictures`, whole and as a crop each, and hold the first `held_out` left ones out."""
    whole, crops = embedded(pictures.paths, embedder, settings, progress)
    is_left = np.array(["right" not in path.parts for path in pictures.paths])
    out = np.zeros(len(whole), bool)
    chosen = np.random.default_rng(0).permutation(np.flatnonzero(is_left))[:held_out]
    out[chosen] = True
    return Material(
        embedder.lens,
        base=np.concatenate([whole[~out], crops[~out]]),
        held_out=np.concatenate([whole[out], crops[out]]),
        source=f"{pictures.name}, {len(whole):,} pictures and a crop of each",
    )


def embedded(
    paths: Sequence[Path], embedder: Embedder, settings: Settings, progress: Progress
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(n, d) float32 each: what the lens makes, before it scales to length 1, of the pictures and
    of a crop of each. Every `CHUNK` is kept in the cache folder as soon as it is made."""
    made_by = _made_by(embedder)
    geometry = embedder.backbone.spec.geometry
    parts = []
    with ThreadPoolExecutor(settings.decoders()) as threads:
        progress.start("embedding pictures and crops", len(paths))
        for at in range(0, len(paths), CHUNK):
            data = list(threads.map(Path.read_bytes, paths[at : at + CHUNK]))
            digests = b"".join(hashlib.sha256(one).digest() for one in data)
            name = hashlib.sha256(made_by + digests).hexdigest()
            file = settings.cache_dir / "speeds" / f"{name}.npy"
            values = _read(file, (2, len(data), embedder.lens.dimension))
            if values is None:
                whole = threads.map(lambda one: decode(one, geometry).pixels, data)
                crops = threads.map(lambda one: crop(one, geometry), data)
                values = np.stack([_projected(embedder, seen, settings) for seen in (whole, crops)])
                buffer = io.BytesIO()
                np.save(buffer, values, allow_pickle=False)
                write_sealed(file, buffer.getvalue())
            parts.append(values)
            progress.advance(len(data))
    whole, crops = np.concatenate(parts, axis=1)
    return whole, crops


def crop(data: bytes, geometry: Geometry) -> Pixels:
    """(size, size, 3): a part of a picture with its shape, as large and where its content says, by
    chance."""
    generator = np.random.default_rng(list(hashlib.sha256(data).digest()[:8]))
    with Image.open(io.BytesIO(data)) as image:
        kept = np.sqrt(generator.uniform(*AREA))
        width, height = (max(1, round(side * kept)) for side in image.size)
        left = int(generator.integers(0, image.width - width + 1))
        top = int(generator.integers(0, image.height - height + 1))
        part = image.convert("RGB").crop((left, top, left + width, top + height))
    return from_image(part, geometry).pixels


def _projected(embedder: Embedder, seen: Any, settings: Settings) -> NDArray[np.float32]:
    pixels = list(seen)
    step = pictures_a_pass(settings)
    return np.concatenate(
        [
            projected(embedder.lens, embedder.backbone.features(np.stack(pixels[at : at + step])))
            for at in range(0, len(pixels), step)
        ]
    )


def _made_by(embedder: Embedder) -> bytes:
    """All that decides a value but the pictures."""
    known = {**embedder.identity.document(), "format": _FORMAT, "area": AREA}
    known["runtime"] = embedder.backbone.runtime.name
    return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).digest()


def _read(file: Path, like: tuple[int, int, int]) -> NDArray[np.float32] | None:
    """What is kept in a file; None where there is nothing, or nothing of that many pictures."""
    if (body := read_sealed(file)) is None:
        return None
    values: NDArray[np.float32] = np.load(io.BytesIO(body), allow_pickle=False)
    return values if values.shape[:2] == like[:2] and values.dtype == np.float32 else None


# -- exact hits -----------------------------------------------------------------------------------

TIE = 1e-6
"""Scores closer than this are equal: sums in float32 differ by less."""
_ROWS = 250_000


@dataclass(frozen=True, eq=False)
class Truth:
    """The best of `vectors` for each of `queries`."""

    vectors: NDArray[np.float32]
    queries: UnitVectors
    last: NDArray[np.float32]
    """(n,): the score of each query's k-th best vector."""
    k: int

    def recall(self, found: Sequence[Sequence[int] | NDArray[np.int64]]) -> float:
        """The share of the k best that `found` has, a list of rows for each of the first queries.
        Any vector that scores as the k-th best does counts as one of them, once."""
        hits = []
        for query, last, rows in zip(self.queries, self.last, found, strict=False):
            mine = sorted({int(row) for row in rows[: self.k] if row >= 0})
            scores = self.vectors[mine] @ query
            hits.append(np.count_nonzero(scores >= last - TIE) / self.k)
        return float(np.mean(hits))


def exact(vectors: NDArray[np.float32], queries: UnitVectors, k: int, progress: Progress) -> Truth:
    """Compare all of `queries` (n, d) with all of `vectors` (m, d), which may lie on the disk;
    `k` is at most m."""
    import faiss

    best = np.full((len(queries), k), -np.inf, np.float32)
    progress.start(f"exact hits among {len(vectors):,}", len(vectors), "vectors")
    for at in range(0, len(vectors), _ROWS):
        some = np.ascontiguousarray(vectors[at : at + _ROWS])
        scores, _ = faiss.knn(queries, some, min(k, len(some)), metric=faiss.METRIC_INNER_PRODUCT)
        best = np.sort(np.hstack([best, scores]), axis=1)[:, -k:]
        progress.advance(len(some))
    return Truth(vectors, queries, best[:, 0].copy(), k)
