"""The part of a picture around a face, no finer than it is needed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from ...core.contracts import Pixels


class Part(NamedTuple):
    """Some pixels of a picture, averaged over `shrink` x `shrink`."""

    image: Image.Image
    left: int
    top: int
    """Where it begins, in pixels of the picture."""
    shrink: int

    def inside(self, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """x, y from the centre of the picture's first pixel -> from the part's corner."""
        return (points - (self.left, self.top) + 0.5) / self.shrink


def as_image(image: Pixels | Image.Image) -> Image.Image:
    """(height, width, 3) uint8 RGB as Pillow has it."""
    return image if isinstance(image, Image.Image) else Image.fromarray(image)


def part_of(image: Image.Image, points: NDArray[np.float64], shrink: float) -> Part:
    """What holds all of `points`, as far as the picture goes: at least one pixel.

    Args:
        points: (n, 2) x, y, from the centre of the first pixel.
        shrink: so many times fewer pixels a side are needed; whole numbers of it are used.
    """
    times = max(1, int(shrink))
    last = np.array(image.size) - 1
    first = np.clip(np.floor(points.min(0)) - times, 0, last).astype(int)
    end = np.clip(np.ceil(points.max(0)) + times, first, last).astype(int) + 1
    box = (*first.tolist(), *end.tolist())
    part = image.reduce(times, box) if times > 1 else image.crop(box)
    return Part(part, int(first[0]), int(first[1]), times)
