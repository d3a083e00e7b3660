"""A worker of a build on Ray: an actor that reads, decodes and embeds as a local build does.

It is made from small things, checks that its vectors are those of the store, and sends vectors
back, never pixels. What is wrong with it is a result as well: Ray would wrap it, and try again.
"""

from __future__ import annotations

import socket
import threading
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ...core.config import Settings, load_settings, take_cores
from ...core.contracts import UnitVectors
from ...core.errors import StoreMismatchError, TllError, WeightsError
from ...core.version import __version__
from ...engine.backbones.registry import spec_of
from ...engine.images.batches import batch_of
from ...engine.images.decode import Limits, Picture, codecs
from ...engine.lens.embedder import conversion_of, load_embedder
from ...engine.lens.identity import ModelIdentity, require_same
from ..decoding.decoder_process import Decoder
from ..decoding.pipeline import Pipeline, Prepared
from .rows import FileTask, broken_table, result_table, tasks_of
from .weights_files import weights_there

CALLS = 2
"""Blocks of files that a worker has under way: while one is embedded, another is decoded."""

_LEAST_COSINE = 1 - 1e-4
"""Between the reference picture's vectors there and here; half precision on a GPU is ten times
closer."""

_ON_NODE = ("store", "weights_dir", "lens_dir", "cache_dir", "hyperlinks", "index", "memory")
"""Settings that are a node's own, or that mean nothing to it."""


@dataclass(frozen=True)
class ReferencePicture:
    """A picture, and its vectors where the build was started."""

    data: bytes
    vectors: tuple[UnitVectors, ...]
    """(1, d) of each of the store's spaces."""


@dataclass(frozen=True)
class Task:
    """The task of all workers: all that one is made from."""

    made_by: ModelIdentity
    """Of the store: what its vectors must be made by."""
    text: bool
    """Whether the store keeps text embeddings as well."""
    settings: dict[str, Any]
    """See `carried`."""
    codecs: str
    """The decoders that there must be: files that they refuse are remembered as refused by them."""
    reference: ReferencePicture
    cores: int
    weights_hint: str
    """Where the weights were found at the start; nodes that share that disk take them there."""
    lens: Any
    """A reference to the `Lens`, kept by Ray."""
    weights_holder: Any
    """The actor that hands out the weights; None where each node has them."""
    version: str = __version__


def carried(settings: Settings, device: str, batch_size: int) -> dict[str, Any]:
    """What a worker must know of settings, its folders aside."""
    settings = replace(settings, device=device, batch_size=batch_size)
    return {name: value for name, value in vars(settings).items() if name not in _ON_NODE}


class Worker:
    """An actor of Ray: tables of files in, tables of vectors out. Several threads may call it."""

    def __init__(self, task: Task) -> None:
        self._lock = threading.Lock()
        self._broken: tuple[str, str] | None = None
        try:
            self._begin(task)
        except Exception as error:
            self._broken = _told(error)

    def __call__(self, table: Any) -> Any:
        """`task_table` -> `result_table`, or `broken_table`."""
        if self._broken is None:
            try:
                return result_table(self._results(tasks_of(table)))
            except Exception as error:
                self._broken = _told(error)
        return broken_table(*self._broken)

    def _begin(self, task: Task) -> None:
        import ray

        if task.version != __version__:
            raise StoreMismatchError(
                f"tll-index is {__version__} there and {task.version} where the build was started: "
                "install the same on every node"
            )
        if task.codecs != codecs():
            raise StoreMismatchError(
                f"pictures are decoded by {codecs()} there and by {task.codecs} where the build "
                "was started: install the same on every node"
            )
        take_cores(task.cores)
        self._settings = load_settings(**task.settings)
        conversion = conversion_of(task.made_by)
        spec = spec_of(task.made_by.backbone).converting(conversion)
        wanted = task.made_by.weights_sha256 or ""

        def fetched() -> bytes:
            if task.weights_holder is None:
                raise WeightsError(f"the weights of {spec.name} are missing or different")
            (held,) = ray.get(task.weights_holder.weights.remote())
            data: bytes = ray.get(held)
            return data

        hint = Path(task.weights_hint)
        file = weights_there(spec, wanted, hint, self._settings, fetched)
        lens = ray.get(task.lens)
        self._embedder = load_embedder(
            spec.name, self._settings, weights=file, lens=lens, conversion=conversion
        )
        require_same(task.made_by, self._embedder.identity)
        self._text = task.text
        limits, seconds = Limits.of(self._settings), self._settings.decode_seconds
        decoders = [
            Decoder(spec.geometry, limits, seconds) for _ in range(self._settings.decoders())
        ]
        batch = self._settings.batch_size
        self._pipeline = Pipeline(decoders, limits, 2 * batch + len(decoders)).__enter__()
        picture = decoders[0].decode(task.reference.data)
        require_alike(task.reference.vectors, self._vectors([picture]))

    def _results(self, tasks: Sequence[FileTask]) -> list[tuple[int, Prepared]]:
        known = {one.known for one in tasks}
        files = [one.file for one in tasks]
        results: list[Prepared] = []
        waiting: list[int] = []
        for prepared in self._pipeline.run(files, known.__contains__):
            if prepared.picture is not None:
                waiting.append(len(results))
            results.append(prepared)
            if len(waiting) >= self._settings.batch_size:
                self._embed(results, waiting)
        self._embed(results, waiting)
        return [(one.number, result) for one, result in zip(tasks, results, strict=True)]

    def _embed(self, results: list[Prepared], waiting: list[int]) -> None:
        """Give their vectors to those that wait."""
        if not waiting:
            return
        pictures = [picture for i in waiting if (picture := results[i].picture)]
        with self._lock:
            spaces = self._vectors(pictures)
        for i, vectors in zip(waiting, zip(*spaces, strict=True), strict=True):
            results[i] = replace(results[i], vectors=vectors)
        waiting.clear()

    def _vectors(self, pictures: Sequence[Picture]) -> tuple[UnitVectors, ...]:
        """As `Store.encode_spaces`."""
        if self._text:
            return self._embedder.encode_gallery_with_text(*batch_of(pictures))
        return (self._embedder.encode_gallery(*batch_of(pictures)),)


def require_alike(there: Sequence[UnitVectors], here: Sequence[UnitVectors]) -> None:
    """Refuse to work where a picture gets another vector, whatever the reason.

    Raises:
        StoreMismatchError: says how far apart they are.
    """
    for one, other in zip(there, here, strict=True):
        if not (cosine := float((one * other).sum())) >= _LEAST_COSINE:  # nor where it is NaN
            raise StoreMismatchError(
                f"a picture gets another vector there (cosine {cosine:.6f}): its libraries or its "
                "processor compute something else; install what is installed where the build began"
            )


def _told(error: Exception) -> tuple[str, str]:
    """What `broken_table` says of an error; of one that is not ours, all that is known."""
    where = f"the worker on {socket.gethostname()}"
    if isinstance(error, TllError):
        return type(error).__name__, f"{where}: {' '.join(str(error).splitlines())}"
    lines = traceback.format_exc()
    return "", f"{where} failed: {' '.join(repr(error).split())[:300]}\n{lines}"
