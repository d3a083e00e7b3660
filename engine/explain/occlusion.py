"""What a picture's likeness to another loses when a part of it is blurred."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from ...core.contracts import Pixels, UnitVectors
from ..lens.embedder import Embedder

MASK_GRID = 7
"""Cells a side that are blurred one by one: 49 pictures to embed."""

_BLUR, _EDGE = 1 / 12, 1 / 80
"""Radii as parts of the picture's side: of the blur, in which nothing can be told but the colours;
and of the edge of a cell, so that it is no line that a network could see."""


def losses(
    embedder: Embedder, pixels: Pixels, other: UnitVectors, batch: int
) -> Iterator[NDArray[np.float32]]:
    """The cosine that is lost with each cell of the picture alone, row after row, in pieces of at
    most `batch` cells; below 0 where the pictures are more alike without the cell.

    Args:
        pixels: (size, size, 3) uint8 RGB.
        other: (1, d), the embedding of the other picture; of a lens with faces that of the whole
            picture alone, see `FaceTerm.whole`.
    """
    alone = np.eye(MASK_GRID**2, dtype=bool).reshape(-1, MASK_GRID, MASK_GRID)
    hidden = Hiding(pixels)
    for at in range(0, len(alone), batch):
        masked = [hidden.under(cells) for cells in alone[at : at + batch]]
        # The whole picture beside them: in 8 bits it differs a little by the size of the batch,
        # and what a cell makes out is as little.
        embeddings = embedder.embed(np.stack([pixels, *masked]))
        if (faces := embedder.lens.faces) is not None:
            embeddings = faces.whole(embeddings)
        cosines = embeddings @ other[0]
        yield (cosines[0] - cosines[1:]).astype(np.float32)


class Hiding:
    """A picture of which parts can be blurred."""

    def __init__(self, pixels: Pixels) -> None:
        """`pixels`: (size, size, 3) uint8 RGB."""
        self._side = pixels.shape[0]
        self._clear = Image.fromarray(pixels)
        self._blurred = self._clear.filter(ImageFilter.GaussianBlur(self._side * _BLUR))

    def under(self, cells: NDArray[np.bool_]) -> Pixels:
        """The picture, blurred in those cells of a grid, (rows, columns), that are true."""
        size = (self._side, self._side)
        mask = Image.fromarray(np.uint8(255) * cells.astype(np.uint8))
        mask = mask.resize(size, Image.Resampling.NEAREST)
        mask = mask.filter(ImageFilter.GaussianBlur(self._side * _EDGE))
        return np.asarray(Image.composite(self._blurred, self._clear, mask))
