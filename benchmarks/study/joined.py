"""Two pictures side by side as one input, and what the frozen part of a body makes of them."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from tll_index.core.config import Settings
from tll_index.core.contracts import Pixels
from tll_index.core.progress import Progress
from tll_index.engine.backbones.backbone import normalised
from tll_index.engine.backbones.feature_cache import decoded
from tll_index.engine.backbones.registry import BackboneSpec
from tll_index.engine.backbones.runtime import pictures_a_pass
from tll_index.engine.evaluation.tll import Pairs
from tll_index.engine.images.decode import Geometry, Limits

from .bodies import Body

SIDE = 112
"""Of each of the two pictures, in pixels: together half of the 224 x 224 that a backbone sees."""


class JoinedPairs:
    """The pictures of pairs, ready to be set side by side."""

    def __init__(self, pairs: Pairs, spec: BackboneSpec, body: Body, settings: Settings) -> None:
        self.body = body
        self._pairs, self._spec, self._settings = pairs, spec, settings
        self._squares: dict[Path, Pixels] = {}
        self._known: dict[bytes, NDArray[np.float16]] = {}
        self._folder = tempfile.TemporaryDirectory(prefix="tll-study-")
        self._device = next(body.frozen.parameters()).device

    def maps(self, lists: NDArray[np.int64], progress: Progress) -> NDArray[np.float16]:
        """What the frozen part gives for the left picture of the first pair of each of `lists`
        (n, c), joined with the right one of every pair in it: (n * c, channels, h, w), row by row.
        The same question is answered from memory; it lies on the disk.

        Raises:
            DataError: a picture can't be used.
        """
        key = lists.tobytes()
        if key not in self._known:
            self._known[key] = self._computed(lists, progress)
        return self._known[key]

    def _computed(self, lists: NDArray[np.int64], progress: Progress) -> NDArray[np.float16]:
        self._decode([self._pairs.left[row] for row in lists[:, 0]])
        self._decode([self._pairs.right[row] for row in np.unique(lists)])
        queries, gallery = np.repeat(lists[:, 0], lists.shape[1]), lists.ravel()
        maps: NDArray[np.float16] | None = None
        progress.start("looking at joined pairs", len(queries), "pairs")
        step = pictures_a_pass(self._settings)
        for start in range(0, len(queries), step):
            rows = slice(start, start + step)
            some = self._look(queries[rows], gallery[rows])
            if maps is None:
                path = Path(self._folder.name) / f"{len(self._known)}.npy"
                shape = (len(queries), *some.shape[1:])
                maps = np.lib.format.open_memmap(path, "w+", np.float16, shape)
            maps[rows] = some
            progress.advance(len(some))
        assert maps is not None
        return maps

    def _look(self, queries: NDArray[np.int64], gallery: NDArray[np.int64]) -> NDArray[np.float16]:
        joined = np.stack(
            [
                side_by_side(
                    self._squares[self._pairs.left[ask]], self._squares[self._pairs.right[answer]]
                )
                for ask, answer in zip(queries, gallery, strict=True)
            ]
        )
        batch = torch.from_numpy(normalised(joined, self._spec)).to(self._device)
        with torch.inference_mode():
            maps: NDArray[np.float16] = self.body.frozen(batch).half().cpu().numpy()
        return maps

    def _decode(self, paths: list[Path]) -> None:
        missing = [path for path in dict.fromkeys(paths) if path not in self._squares]
        limits, geometry = Limits.of(self._settings), Geometry(SIDE, fit="squash")

        def square(path: Path) -> Pixels:
            return decoded(path, geometry, limits)[0]

        with ThreadPoolExecutor(self._settings.decoders()) as threads:
            self._squares.update(zip(missing, threads.map(square, missing), strict=True))


def side_by_side(left: Pixels, right: Pixels) -> Pixels:
    """Two squares (side, side, 3) as one picture (side, 2 side, 3)."""
    return np.concatenate([left, right], axis=1)
