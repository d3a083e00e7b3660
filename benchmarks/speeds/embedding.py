"""Pictures and crops of them, projected through the lens once and kept by content."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tll_index.core.config import Settings
from tll_index.core.contracts import Pixels
from tll_index.core.progress import Progress
from tll_index.core.sealed import read_sealed, write_sealed
from tll_index.engine.backbones.runtime import pictures_a_pass
from tll_index.engine.images.decode import Geometry, decode, from_image
from tll_index.engine.lens.embedder import Embedder

from .material import Material, projected
from .pictures import Pictures

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
