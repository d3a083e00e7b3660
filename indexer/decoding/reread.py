"""Indexed pictures are read again: from image numbers to pixels, as long as the files are there."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ...core.errors import PictureError
from ...core.progress import Progress
from ...core.wording import counted
from ...engine.backbones.runtime import pictures_a_pass
from ...engine.images.decode import Geometry, Limits, Picture
from ..scan.walk import FileState
from ..store.store import Store
from .decoder_process import Decoder
from .pipeline import File, Pipeline, Prepared

_NO_STATE = FileState(0, 0)
_AT_A_TIME = 1024
"""Pictures whose paths are known ahead."""


def reread(
    store: Store,
    images: NDArray[np.int64],
    geometry: Geometry,
    *,
    what: str = "reading",
    progress: Progress | None = None,
) -> Iterator[tuple[int, Picture]]:
    """The pictures of these images, decoded anew, about in this order: (number, picture).

    Those are left out that no path shows any more as they were indexed: moved, changed, forgotten
    or unreadable since, or not decoded now in two tries. `progress` gets a note of how many.

    Raises:
        TllError: decoder processes can't be started.
    """
    progress = progress or Progress()
    progress.start(what, len(images), "pictures")
    settings, limits = store.settings, Limits.of(store.settings)
    decoders = [
        Decoder(geometry, limits, settings.decode_seconds) for _ in range(settings.decoders())
    ]
    missing, undecoded = 0, dict[int, PictureError]()
    with Pipeline(decoders, limits, 2 * pictures_a_pass(settings) + len(decoders)) as pipeline:
        for start in range(0, len(images), _AT_A_TIME):
            wanted = _Wanted(store, images[start : start + _AT_A_TIME])
            while files := wanted.files():
                for prepared in pipeline.run(files.values(), lambda _: False):
                    picture, number = prepared.picture, wanted.tried(prepared)
                    if number is not None and picture is not None:
                        progress.advance(1)
                        yield number, picture
            undecoded |= wanted.undecoded
            missing += len(wanted.lost) - len(wanted.undecoded)
            progress.advance(len(wanted.lost))
    if missing:
        progress.note(
            f"left out {counted(missing, 'picture')} whose files are gone or changed; "
            "'tll-index build' brings the store up to date"
        )
    if undecoded:
        error = next(iter(undecoded.values()))
        progress.note(
            f"left out {counted(len(undecoded), 'picture')} whose files are unchanged, but could "
            f"not be decoded now, tried twice ({error}); a less busy machine or more "
            "decode_seconds may help"
        )


class _Wanted:
    """Some images, and the paths at which they may still be."""

    def __init__(self, store: Store, images: Iterable[int]) -> None:
        self.lost: list[int] = []
        """Those that were at none of their paths."""
        self.undecoded: dict[int, PictureError] = {}
        """Of those, the ones whose file is there as it was; why it could not be decoded."""
        self._left: dict[int, list[bytes]] = {}
        self._sha256: dict[int, str] = {}
        with store.catalog.reading() as reader:  # short: a long one would keep old pages
            images = list(map(int, images))
            reader.fetch(images)
            for image in images:
                record = reader.image(image)
                # One without bytes was imported without a file: nothing at its path can be it.
                has_file = record is not None and record.file_bytes > 0
                self._left[image] = reader.paths_of(image)[::-1] if has_file else []
                self._sha256[image] = "" if record is None else record.sha256
        self._trying: dict[bytes, int] = {}

    def files(self) -> dict[bytes, File]:
        """The next path of every image that was not found yet; none where there are no more."""
        self._trying = {}
        for image, paths in list(self._left.items()):
            if paths:
                self._trying[paths.pop()] = image
            else:
                self.lost.append(image)
                del self._left[image]
        return {
            path: File(os.path.dirname(path), os.path.basename(path), _NO_STATE, False)
            for path in self._trying
        }

    def tried(self, prepared: Prepared) -> int | None:
        """The image that was found at a path; None where it isn't there as it was, or could not be
        decoded. That is tried once more: on a busy machine a decoder may be late."""
        path = prepared.file.path
        image = self._trying[path]
        if prepared.sha256.hex() != self._sha256[image]:
            return None
        if prepared.picture is None:
            if prepared.error is not None:
                if image not in self.undecoded:
                    self._left[image].append(path)
                self.undecoded[image] = prepared.error
            return None
        del self._left[image]
        self.undecoded.pop(image, None)
        return image
