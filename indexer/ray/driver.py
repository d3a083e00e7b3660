"""Files -> Ray Data -> prepared files with their vectors: a build's other pipeline.

The driver keeps the files that it has handed out, a window of them at a time, and gives each away
once: a result that comes twice, after a retry, is left out, and one that never comes is noticed.
"""

from __future__ import annotations

import contextlib
import io
import queue
import threading
from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
from PIL import Image

from ...core.errors import TllError
from ...core.extras import extra
from ...engine.images.decode import Limits, decode
from ..catalog.base import Reader
from ..decoding.pipeline import Listed, Prepared
from ..store.store import Store
from .cluster import Cluster
from .rows import FileTask, results_of, task_table
from .session import quiet_logs
from .weights_files import WeightsHolder
from .worker import CALLS, ReferencePicture, Task, Worker, carried

_WINDOW, _WINDOW_A_WORKER = 100_000, 10_000
"""Files that are handed to Ray Data at once: that many, and so many more for each worker, since all
workers begin anew with each window."""

_PASSES_A_BLOCK = 2
"""Forward passes that a worker does for one result: few, since a block is what is repeated where a
worker is lost."""

_ON_CPU, _ON_GPU = 32, 256
"""Pictures a forward pass."""

_AHEAD = 4
"""Blocks of results that wait for the catalog."""


class Spreading:
    """A build on a cluster: hands the files of one build of one store to the workers."""

    def __init__(self, store: Store, cluster: Cluster, codecs: str) -> None:
        """`codecs`: the decoders here, see `Task.codecs`."""
        self._store = store
        self._cluster = cluster
        batch = store.settings.batch_size or (_ON_GPU if cluster.gpus else _ON_CPU)
        self.block = _PASSES_A_BLOCK * batch
        """Files whose results a worker gives at once."""
        self._window = _WINDOW + _WINDOW_A_WORKER * cluster.workers
        self._held: list[Any] = []
        self._task = self._task_of(batch, codecs)

    def run(self, files: Iterable[Listed]) -> Generator[Prepared, None, None]:
        """Each of `files` once, in any order.

        Raises:
            TllError: a worker can't do what it should, or none is left.
        """
        rest = iter(files)
        while window := list(islice(rest, self._window)):
            waiting = dict(enumerate(window))
            with contextlib.closing(self._tables(window)) as tables:
                for table in tables:
                    yield from taken(table, waiting)
                    if not waiting:
                        break
            if waiting:
                raise TllError(
                    f"Ray lost {len(waiting)} of {len(window)} files; what is indexed is kept: run "
                    "the same command again"
                )

    def _task_of(self, batch: int, codecs: str) -> Task:
        store, cluster, ray = self._store, self._cluster, self._cluster.ray
        embedder = store.embedder
        weights = embedder.backbone.weights.path
        weights_holder = None
        if not (cluster.is_ours or embedder.backbone.weights.is_graph):
            here = ray.util.scheduling_strategies.NodeAffinitySchedulingStrategy(
                ray.get_runtime_context().get_node_id(), soft=False
            )
            kind = ray.remote(num_cpus=0, max_concurrency=4, scheduling_strategy=here)(
                WeightsHolder
            )
            weights_holder = kind.remote(str(weights))
        lens = ray.put(replace(embedder.lens))  # one that has not computed its digest yet
        self._held = [lens, weights_holder]  # as long as workers may begin
        return Task(
            made_by=store.about.made_by,
            text=store.about.text is not None,
            settings=carried(store.settings, cluster.device, batch),
            codecs=codecs,
            reference=_reference_picture(store),
            cores=cluster.cores,
            weights_hint=str(weights),
            lens=lens,
            weights_holder=weights_holder,
        )

    def _tasks(self, window: Sequence[Listed]) -> Iterator[Any]:
        """Tables of files, a block each."""
        for start in range(0, len(window), self.block):
            files = window[start : start + self.block]
            with self._store.catalog.reading() as reader:
                known = [_known(reader, file) for file in files]
            yield task_table(
                [
                    FileTask(start + i, file, digest)
                    for i, (file, digest) in enumerate(zip(files, known, strict=True))
                ]
            )

    def _tables(self, window: Sequence[Listed]) -> Generator[Any, None, None]:
        """Tables of results, as they come."""
        data = extra("ray.data", "ray", "a build on Ray")
        with _settings_of(data.DataContext.get_current()):
            tasks = data.from_blocks(list(self._tasks(window)))
            quiet_logs()
            blocks = -(-len(window) // self.block)
            workers = min(self._cluster.workers, blocks)
            embedded = tasks.map_batches(
                Worker,
                fn_constructor_args=(self._task,),
                batch_size=None,
                batch_format="pyarrow",
                compute=data.ActorPoolStrategy(
                    min_size=1,
                    initial_size=workers,
                    max_size=blocks,
                    max_tasks_in_flight_per_actor=CALLS + 1,
                    max_concurrent_calls_per_actor=CALLS,
                    enable_true_multi_threading=True,
                ),
                num_cpus=self._cluster.cores,
                num_gpus=self._cluster.gpus or None,
            )
            yield from _pumped(embedded, self._cluster)


def _known(reader: Reader, file: Listed) -> bytes:
    """SHA-256 of what the catalog has at the file's path."""
    record = None if file.entry is None else reader.image(file.entry.image)
    return b"" if record is None else bytes.fromhex(record.sha256)


def taken(table: Any, waiting: dict[int, Listed]) -> Iterator[Prepared]:
    """The results in a table, of files that are still `waiting`, which they then are no more.

    Raises:
        TllError: see `results_of`.
    """
    for number, prepared in results_of(table, waiting):
        del waiting[number]
        yield prepared


def _pumped(embedded: Any, cluster: Cluster) -> Iterator[Any]:
    """Tables of a dataset, read by a thread: so the main one hears Ctrl-C, and sees that nobody is
    left to work, while Ray waits."""
    tables: queue.Queue[Any] = queue.Queue(_AHEAD)
    is_over = threading.Event()

    def put(item: Any) -> bool:
        while not is_over.is_set():
            with contextlib.suppress(queue.Full):
                tables.put(item, timeout=0.2)
                return True
        return False

    def read() -> None:
        found = embedded.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=1)
        try:
            with contextlib.closing(iter(found)) as batches:
                if not all(map(put, batches)):
                    return
            put(None)
        except Exception as error:
            put(error)

    threading.Thread(target=read, name="results", daemon=True).start()
    try:
        while True:
            try:
                item = tables.get(timeout=1)
            except queue.Empty:
                cluster.require_room()
                continue
            if item is None:
                return
            if isinstance(item, Exception):
                reason = (str(item).strip().splitlines() or [type(item).__name__])[-1][:200]
                raise TllError(
                    f"Ray failed ({reason}); what is indexed is kept: run the same command again"
                ) from item
            yield item
    finally:
        is_over.set()
        if (executor := getattr(embedded, "_current_executor", None)) is not None:
            with contextlib.suppress(Exception):
                executor.shutdown(force=True)


@contextlib.contextmanager
def _settings_of(context: Any) -> Iterator[None]:
    """Ray Data without bars of its own."""
    ours = {"enable_progress_bars": False, "print_on_execution_start": False}
    before = {name: getattr(context, name) for name in ours if hasattr(context, name)}
    for name in before:
        setattr(context, name, ours[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(context, name, value)


def _reference_picture(store: Store) -> ReferencePicture:
    """A picture that no two decoders or networks should see differently: waves, as a JPEG."""
    y, x = np.mgrid[0:240, 0:320] / 40
    waves = np.stack([np.sin(x * y), np.cos(x + y), np.sin(2 * x - y)], -1)
    out = io.BytesIO()
    Image.fromarray((127 * waves + 128).astype(np.uint8)).save(out, "JPEG", quality=90)
    data = out.getvalue()
    picture = decode(data, store.embedder.backbone.spec.geometry, Limits.of(store.settings))
    return ReferencePicture(data, store.encode_spaces([picture]))
