"""Finds the faces of a picture: YuNet proposes boxes, O-Net looks at each of them closer.

Together they find 98% of the faces that MTCNN finds for sure in Totally-Looks-Like, and those of
drawings, statues and animals that it does not.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image

from ...core.contracts import Pixels
from .face import Face, in_order
from .landmarks import Landmarks
from .parts import as_image
from .proposals import Proposals

SIDE = 160
"""Pixels of the longer side that is looked at, by default."""
SURE = 0.5
"""The least score of a face, by default."""
MOST = 4
"""So many boxes of a picture are looked at closer, the best."""


class FaceDetector:
    """Both networks, ready to look at pictures in any thread."""

    def __init__(self) -> None:
        self._proposals = Proposals()
        self._landmarks = Landmarks()

    def find(self, image: Pixels | Image.Image, side: int = SIDE, sure: float = SURE) -> list[Face]:
        """The faces of a picture, the one that counts first.

        Args:
            image: (height, width, 3) uint8 RGB, of any size, or the same by Pillow.
            side: a picture whose longer side has more pixels is made smaller for the first network:
                what is less than twenty pixels then, an eighth of 160, may not be found.
            sure: the least score.
        """
        picture = as_image(image)
        boxes, scores = self._proposals.find(picture, side, sure**2)
        boxes, scores = boxes[:MOST], scores[:MOST]
        if not len(boxes):
            return []
        likely, boxes, points = self._landmarks.at(picture, boxes)
        scores = np.sqrt(scores * likely)
        return in_order(
            Face(tuple(boxes[row].tolist()), points[row], float(scores[row]))
            for row in np.flatnonzero(scores >= sure)
        )


@cache
def face_detector() -> FaceDetector:
    """The detector of this process, loaded when it is first asked for."""
    return FaceDetector()
