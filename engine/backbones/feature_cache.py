"""Features of many pictures: extracted with progress, kept, gone on with after Ctrl-C."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from ...core import npy
from ...core.cache_folder import CacheFolder
from ...core.config import Settings, load_settings
from ...core.contracts import Features, Pixels
from ...core.errors import DataError, PictureError
from ...core.names import shown
from ...core.progress import Progress
from ..images.batches import batch_of
from ..images.decode import Geometry, Limits, Picture, decode, greyed
from ..images.file_bytes import read_bytes
from .backbone import Backbone
from .registry import BackboneSpec
from .runtime import pictures_a_pass

CACHE_FORMAT = 2
"""To be raised when the same pictures get other features though nothing in `_Cache` tells."""

CACHE_CHUNK = 64
"""Pictures in a file of the cache, which is what an interruption costs at most. No batch goes
beyond it, so features are the same bit for bit whichever chunks were there already."""

_LARGEST = float(np.finfo(np.float16).max)

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def gather(
    backbone: Backbone,
    paths: Sequence[Path],
    *,
    mirrored: bool = False,
    grey: bool = False,
    cache: bool = True,
    progress: Progress | None = None,
    settings: Settings | None = None,
) -> NDArray[np.float16]:
    """The features of the pictures at `paths`.

    Each `CACHE_CHUNK` of them is kept in the folder `settings.cache_dir` as soon as it is
    extracted, by
    content: the same pictures in the same order are not extracted again, wherever they lie, until
    one of them or the backbone changes. So after Ctrl-C, or worse, the same call goes on.

    Args:
        mirrored: of the pictures flipped left to right.
        grey: of their luma (ITU-R 601) instead of their colours.
        cache: False neither looks at what is kept nor keeps anything. A folder that can't be
            written is passed over with a note.

    Returns:
        (n, D) float16 in the order of `paths`; values beyond its range become its largest.

    Raises:
        DataError: a picture can't be used; names the file and says why.
    """
    settings = settings or load_settings()
    progress = progress or Progress()
    recipe = _Features(backbone.spec, Limits.of(settings), mirrored, grey)
    kept = _Cache(settings.cache_dir, backbone, recipe, progress) if cache else None
    features = np.empty((len(paths), backbone.spec.dimension), np.float16)
    missing = [
        slice(at, min(at + CACHE_CHUNK, len(paths))) for at in range(0, len(paths), CACHE_CHUNK)
    ]
    batch_size = pictures_a_pass(settings)
    depth = 2 * batch_size + settings.decoders()
    with _threads(settings.decoders()) as threads:
        if kept is not None:
            progress.start("reading pictures", len(paths))
            digests: list[bytes] = []
            for digest in _ahead(threads, recipe.digest, paths, depth):
                digests.append(digest)
                progress.advance()
            missing = [some for some in missing if not kept.fill(features[some], digests[some])]
        if missing:
            wanted = [path for some in missing for path in paths[some]]
            progress.start(str(recipe), len(paths), done=len(paths) - len(wanted))
            seen = _ahead(threads, recipe.picture, wanted, depth)
            for some in missing:
                digests = _extract(backbone, seen, features[some], batch_size, progress)
                if kept is not None:
                    kept.keep(features[some], digests)
    return features


def _extract(
    backbone: Backbone,
    seen: Iterator[tuple[Picture, bytes]],
    rows: NDArray[np.float16],
    batch_size: int,
    progress: Progress,
) -> list[bytes]:
    """Set `rows` to the features of as many pictures of `seen`, and return their digests."""
    digests: list[bytes] = []
    for at in range(0, len(rows), batch_size):
        part = rows[at : at + batch_size]
        pictures, some = zip(*islice(seen, len(part)), strict=True)
        part[:] = _as_halves(backbone.features(*batch_of(pictures)))
        digests += some
        progress.advance(len(part))
    return digests


def _as_halves(features: Features) -> NDArray[np.float16]:
    return np.clip(features, -_LARGEST, _LARGEST).astype(np.float16)


@dataclass(frozen=True)
class _Features:
    """The way that pictures are made features of; its methods are what threads do."""

    spec: BackboneSpec
    limits: Limits
    mirrored: bool
    grey: bool

    def __str__(self) -> str:
        flags = ("mirrored", self.mirrored), ("grey", self.grey)
        return f"features of {''.join(f'{flag} ' for flag, is_on in flags if is_on)}pictures"

    def digest(self, path: Path) -> bytes:
        """SHA-256 of a file."""
        try:
            return hashlib.sha256(read_bytes(path, self.limits)).digest()
        except PictureError as error:
            raise DataError(str(error)) from None

    def picture(self, path: Path) -> tuple[Picture, bytes]:
        """What the backbone is shown of a file, and the SHA-256 of just these bytes."""
        picture, data = decoded(path, self.spec.geometry, self.limits)
        face = picture.face and replace(picture.face, pixels=self._seen(picture.face.pixels))
        picture = replace(picture, pixels=self._seen(picture.pixels), face=face)
        return picture, hashlib.sha256(data).digest()

    def _seen(self, pixels: Pixels) -> Pixels:
        if self.grey:
            pixels = greyed(pixels)
        return pixels[:, ::-1] if self.mirrored else pixels


def decoded(path: Path, geometry: Geometry, limits: Limits) -> tuple[Picture, bytes]:
    """A picture of the data, and the bytes of its file.

    Raises:
        DataError: it can't be used; names the file and says why.
    """
    try:
        data = read_bytes(path, limits)
        return decode(data, geometry, limits), data
    except PictureError as error:
        raise DataError(str(error.at(path))) from None


class _Cache:
    """Chunks of features in files, each named by all that decides its values: a sealed .npy of
    (n, D) float16."""

    def __init__(
        self, folder: Path, backbone: Backbone, recipe: _Features, progress: Progress
    ) -> None:
        made_by: dict[str, Any] = {
            "format": CACHE_FORMAT,
            "backbone": backbone.spec.name,
            "weights_sha256": backbone.weights.sha256,
            **backbone.spec.recipe(),
            "runtime": backbone.runtime.name,
            "mirrored": recipe.mirrored,
            "grey": recipe.grey,
        }
        self._made_by = hashlib.sha256(json.dumps(made_by, sort_keys=True).encode()).digest()
        self._files = CacheFolder(folder, f"features/{backbone.spec.name}")
        self._progress = progress
        self._can_write = True

    def fill(self, rows: NDArray[np.float16], digests: Sequence[bytes]) -> bool:
        """Set `rows` to the features of these pictures; False where they are not kept whole."""
        if (body := self._files.read(self._name(digests))) is None:
            return False
        try:
            values = npy.load(io.BytesIO(body))
        except (OSError, ValueError):
            return False
        if values.shape != rows.shape or values.dtype != rows.dtype:
            return False
        rows[:] = values
        return True

    def keep(self, rows: NDArray[np.float16], digests: Sequence[bytes]) -> None:
        """Keep the features of these pictures, or say once that nothing can be kept."""
        if not self._can_write:
            return
        buffer = io.BytesIO()
        np.save(buffer, rows, allow_pickle=False)
        try:
            self._files.write(self._name(digests), buffer.getvalue())
        except OSError as error:
            self._can_write = False
            reason = error.strerror or error
            self._progress.note(f"features are not kept: {shown(self._files.path)}: {reason}")

    def _name(self, digests: Sequence[bytes]) -> str:
        return f"{hashlib.sha256(self._made_by + b''.join(digests)).hexdigest()}.npy"


@contextlib.contextmanager
def _threads(count: int) -> Iterator[ThreadPoolExecutor]:
    """Threads that end when the block does, however it does, with what they have in hand."""
    pool = ThreadPoolExecutor(count, thread_name_prefix="gather")
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _ahead(
    threads: ThreadPoolExecutor,
    work: Callable[[_Item], _Result],
    items: Iterable[_Item],
    depth: int,
) -> Iterator[_Result]:
    """`work` done on each of `items`, in order, at most `depth` of them under way or waiting."""
    rest = iter(items)
    waiting: deque[Future[_Result]] = deque()
    while True:
        for item in islice(rest, depth - len(waiting)):
            waiting.append(threads.submit(work, item))
        if not waiting:
            return
        yield waiting.popleft().result()
