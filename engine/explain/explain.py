"""Which regions make two pictures alike: the cells that their score comes from.

There are two ways to tell. *sum*: pooled features are sums over positions and a lens is linear, so
the cosine itself is a sum over the cells of either picture, and each cell's part can be told
exactly. *mask*: a cell of one picture is blurred, and what the cosine loses is the cell's part;
for networks that mix positions before they are done.
"""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...core.config import Settings
from ...core.contracts import UnitVectors
from ...core.errors import NoAttributionError, TllError, UsageError
from ...core.names import shown
from ...core.paths import named
from ...core.progress import Progress
from ..backbones.runtime import pictures_a_pass
from ..images.batches import Batch, batch_of
from ..lens.embedder import Embedder
from . import attribution, occlusion
from .sides import Side, Subject

if TYPE_CHECKING:
    from PIL import Image

METHODS = ("auto", "sum", "mask")
HEATMAP_SUFFIXES = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Endings of the files that can be written, with Pillow's names of their formats."""


@dataclass(frozen=True, eq=False)
class Explanation:
    """An explanation of why two pictures are as alike as they are: two heatmaps and the score."""

    a: Side
    """The query picture."""
    b: Side
    """The gallery picture."""
    score: float
    """Of b as a hit of a: what `Store.query` says."""
    cosine: float
    """Of their embeddings, with what their faces add: what the heatmaps explain. The score is less
    with a hubness correction, by what b loses for being near to many; that is in no region."""
    method: Literal["sum", "mask"]
    backbone: str
    faces: float | None = None
    """Of the cosine, what the two faces add, below 0 where they take from it; None where not both
    show one, or faces are not compared."""

    @property
    def heatmap_a(self) -> NDArray[np.float32]:
        """See `Side.heatmap`."""
        return self.a.heatmap

    @property
    def heatmap_b(self) -> NDArray[np.float32]:
        """See `Side.heatmap`."""
        return self.b.heatmap

    def image(self, side: int = 448) -> Image.Image:
        """Both pictures next to each other, `side` pixels the longer side of each, with the heatmap
        above 0 in colour."""
        from .heatmap import side_by_side

        return side_by_side(self.a, self.b, side)

    def encoded(self, format: str = "PNG") -> bytes:
        """The image as the bytes of a file, in one of Pillow's formats."""
        out = io.BytesIO()
        self.image().save(out, format)
        return out.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the image.

        Raises:
            UsageError: the name does not end in one of `HEATMAP_SUFFIXES`.
            TllError: the file can't be written.
        """
        path = named(path)
        data = self.encoded(format_for(path))
        try:
            path.write_bytes(data)
        except OSError as error:
            raise TllError(f"{shown(path)} can't be written: {error.strerror}") from None

    def facts(self) -> dict[str, Any]:
        """JSON values: what was found, cell by cell."""
        return {
            "score": round(self.score, 6),
            "cosine": round(self.cosine, 6),
            "faces": None if self.faces is None else round(self.faces, 6),
            "method": self.method,
            "backbone": self.backbone,
            "a": self.a.facts(),
            "b": self.b.facts(),
        }


def format_for(path: str | os.PathLike[str]) -> str:
    """Pillow's name of the format that a file's name stands for.

    Raises:
        UsageError: none that can be written.
    """
    found = HEATMAP_SUFFIXES.get(Path(path).suffix.lower())
    if found is None:
        raise UsageError(
            f"{shown(Path(path))}: the name must end in one of {', '.join(HEATMAP_SUFFIXES)}"
        )
    return found


def explain(
    embedder: Embedder,
    a: Subject,
    b: Subject,
    *,
    settings: Settings,
    method: str = "auto",
    progress: Progress | None = None,
) -> Explanation:
    """Which regions make `a` and `b` alike for this backbone and lens.

    Args:
        method: sum, mask (see above), or auto: sum where that can be.

    Raises:
        UsageError: no such method.
        NoAttributionError: sum, of a backbone that mixes positions.
    """
    if method not in METHODS:
        raise UsageError(f"method {method!r} is none of {', '.join(METHODS)}")
    progress = progress or Progress()
    batch = batch_of([a.picture, b.picture])
    found = None
    if method != "mask":
        try:
            found = _by_sum(embedder, batch, settings.device)
        except NoAttributionError:
            if method == "sum":
                raise
    embeddings, heatmaps = found or _by_masks(embedder, batch, pictures_a_pass(settings), progress)
    lens, faces = embedder.lens, None
    if lens.faces is not None and a.picture.face and b.picture.face:
        faces = lens.faces.face_likeness(embeddings[:1], embeddings[1:]).item()
    side_a, side_b = (
        Side.of(subject, heatmap, faces) for subject, heatmap in zip((a, b), heatmaps, strict=True)
    )
    inner = lens.query_of(embeddings[:1]) @ lens.gallery_of(embeddings[1:]).T
    return Explanation(
        side_a,
        side_b,
        score=lens.scale * inner.item(),
        cosine=(lens.compared(embeddings[:1]) @ embeddings[1:].T).item(),
        method="sum" if found else "mask",
        backbone=embedder.backbone.spec.name,
        faces=faces,
    )


_Found = tuple[UnitVectors, NDArray[np.float32]]
"""(2, d): embeddings of the two; (2, g, g): their heatmaps, faces aside."""


def _by_sum(embedder: Embedder, batch: Batch, device: str) -> _Found:
    lens, pixels = embedder.lens, embedder.seen(batch.pixels)
    activations = attribution.activations_of(embedder.backbone, pixels, device)
    features = embedder.backbone.with_faces(
        activations.features(), embedder.seen_faces(batch.faces)
    )
    embeddings = lens.transform(features)
    worth = lens.worth(features, embeddings[::-1])
    features = features[:, : worth.shape[1]]  # faces have no region in the network
    centre = np.zeros_like(features) if lens.mean is None else np.tile(lens.mean, (2, 1))
    return embeddings, activations.shared_out(worth, centre)


def _by_masks(embedder: Embedder, batch: Batch, size: int, progress: Progress) -> _Found:
    embeddings = embedder.embed(*batch)
    wholes = embeddings if embedder.lens.faces is None else embedder.lens.faces.whole(embeddings)
    heatmaps = []
    progress.start("blurring", 2 * occlusion.MASK_GRID**2, "cells")
    for picture, other in zip(batch.pixels, wholes[::-1], strict=True):
        found = []
        for piece in occlusion.losses(embedder, picture, other[None], size):
            found.append(piece)
            progress.advance(len(piece))
        heatmaps.append(np.concatenate(found).reshape(occlusion.MASK_GRID, occlusion.MASK_GRID))
    return embeddings, np.stack(heatmaps)
