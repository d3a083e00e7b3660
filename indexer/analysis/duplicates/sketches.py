"""What `dupes` keeps of each picture while it compares them: small grey copies and their shape."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ....core.progress import Progress
from ....core.scratch import scratch
from ....engine.images.decode import Geometry
from ....engine.near_duplicates.boxes import WHOLE, Box
from ....engine.near_duplicates.framing import content_box
from ....engine.near_duplicates.orientation import Orientation
from ....engine.near_duplicates.outlines import (
    SIDE,
    Outlines,
    PackedDetails,
    details,
    outline,
    packed_details,
)
from ....engine.near_duplicates.registration import sampled
from ...decoding.reread import reread
from ...store.store import Store

_GEOMETRY = Geometry(3 * SIDE, "squash")
KEY_SIDE = 16
"""Of the details by which pictures find each other, in every orientation."""


@dataclass(frozen=True, eq=False)
class Sketches:
    """A picture a row, in the order of `images`."""

    images: NDArray[np.int64]
    """(n,) ascending."""
    wholes: Outlines
    """(n, SIDE, SIDE)."""
    contents: Outlines
    """(n, SIDE, SIDE): of what is inside the frame."""
    whole_details: PackedDetails
    content_details: PackedDetails
    """Of both: what is compared, worked out once and not for each pair."""
    boxes: NDArray[np.float64]
    """(n, 4): what is inside the frame, in shares of the picture."""
    sizes: NDArray[np.int64]
    """(n, 2): width and height in pixels; 0 where it can't be read."""
    keys: NDArray[np.float32]
    """(n, KEY_SIDE, KEY_SIDE): details of `contents`, of length 1 (0 where there are none)."""

    @classmethod
    @contextmanager
    def of(cls, store: Store, images: NDArray[np.int64], progress: Progress) -> Iterator[Sketches]:
        """Of all these pictures, each read once; of a million pictures they take 11 GB on disk."""
        count = len(images)
        with (
            scratch((count, SIDE, SIDE), np.uint8) as wholes,
            scratch((count, SIDE, SIDE), np.uint8) as contents,
            scratch((count, SIDE, SIDE), np.int8) as whole_details,
            scratch((count, SIDE, SIDE), np.int8) as content_details,
            scratch((count, KEY_SIDE, KEY_SIDE), np.float32) as keys,
        ):
            boxes, sizes = np.tile(np.array(WHOLE), (count, 1)), np.zeros((count, 2), np.int64)
            sketches = cls(
                images, wholes, contents, whole_details, content_details, boxes, sizes, keys
            )
            for number, picture in reread(store, images, _GEOMETRY, progress=progress):
                row = int(np.searchsorted(images, number))
                sizes[row] = picture.width, picture.height
                boxes[row] = box = content_box(picture.pixels)
                grey = outline(picture.pixels)
                wholes[row] = _small(grey, WHOLE)
                contents[row] = _small(grey, box) if box != WHOLE else wholes[row]
                both = packed_details(np.stack([wholes[row], contents[row]]))
                whole_details[row], content_details[row] = both
                keys[row] = _key(contents[row])
            yield sketches

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(n,)."""
        return self.sizes[:, 0] > 0

    def box(self, row: int, orientation: Orientation) -> Box:
        """What is inside the frame of a picture that lies so."""
        return orientation.of_box(Box(*self.boxes[row].tolist()))

    def shapes(self, rows: NDArray[np.int64], *, framed: bool = False) -> NDArray[np.float64]:
        """(n,): width / height of what is inside the frame, or of all."""
        width, height = self.sizes[rows].T.astype(float)
        if not framed:
            left, top, right, bottom = self.boxes[rows].T
            width, height = width * (right - left), height * (bottom - top)
        return np.asarray(width / height)


def _small(grey: NDArray[np.uint8], box: Box) -> Outlines:
    return np.asarray(sampled(grey, box, SIDE, SIDE).clip(0, 255).round(), np.uint8)


def _key(content: Outlines) -> NDArray[np.float32]:
    step = SIDE // KEY_SIDE
    small = content.reshape(KEY_SIDE, step, KEY_SIDE, step).mean((1, 3), dtype=np.float32)
    found = details(small[None])[0]
    length = float(np.linalg.norm(found))
    return np.asarray(found / length if length > 1 else 0 * found)
