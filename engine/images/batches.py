"""Decoded pictures side by side, as networks take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ...core.contracts import Pixels
from .decode import FaceChip, Picture


class Faces(NamedTuple):
    """The faces of some pictures."""

    chips: Pixels
    """(m, side, side, 3) uint8 RGB: of the pictures that show one, in their order."""
    scores: NDArray[np.float32]
    """(n,): how sure it is that each picture shows one; 0 of those without."""


class Batch(NamedTuple):
    """Decoded pictures, as an embedder takes them."""

    pixels: Pixels
    """(n, size, size, 3) uint8 RGB."""
    faces: Faces | None
    """None where no face was found."""


def batch_of(pictures: Sequence[Picture]) -> Batch:
    """At least one picture, all decoded for the same backbone."""
    return Batch(
        np.stack([one.pixels for one in pictures]), faces_of([one.face for one in pictures])
    )


def faces_of(found: Sequence[FaceChip | None]) -> Faces | None:
    """The faces of pictures, None for those without."""
    chips = [one.pixels for one in found if one is not None]
    scores = [0.0 if one is None else one.score for one in found]
    return Faces(np.stack(chips), np.array(scores, np.float32)) if chips else None
