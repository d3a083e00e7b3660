"""What a build on Ray costs and gains: `python -m benchmarks.scale.cluster [--pictures 2000]`.

The same Totally-Looks-Like pictures are indexed by a build here, by one on a Ray that is started
for it, and by ones on clusters of one and of two nodes, which all lie in this machine: so two nodes
can't be faster than one build here, but what Ray takes shows. In the last one a node is killed when
half of the pictures are done. For each: pictures a second, from the command to its end and while it
indexed; and whether its vectors are those of the build here.

Then made-up vectors go through the catalogs' own writers, in batches as a build on many machines
commits them: into a folder, and into a Milvus Lite's server through a socket, as to any Milvus.
What a cluster of Milvus does can't be measured on one machine. What very many pictures would take
is worked out from all that.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tll_index import Ray, Store, build
from tll_index.core.config import cores, load_settings
from tll_index.core.errors import TllError
from tll_index.core.location import located
from tll_index.core.progress import Progress
from tll_index.engine.lens.identity import ModelIdentity
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit
from tll_index.indexer.catalog.base import Writer
from tll_index.indexer.catalog.records import ImageRecord
from tll_index.indexer.scan.walk import FileState
from tll_index.indexer.store import resolve
from tll_index.indexer.store.create import create_store

from .. import harness
from .projections import Measured, report

_OBJECTS = 100 << 20
_CHECKS = {"initial_delay_ms": 0, "period_ms": 500, "timeout_ms": 2000, "failure_threshold": 4}
"""How the clusters here find out that a node is dead: in seconds; Ray's defaults take longer."""


@dataclass
class Watch(Progress):
    """When a build did what."""

    half: Callable[[], object] = int
    """Called once, in a thread, when half of the pictures are done."""
    began: float = field(default_factory=time.monotonic)
    is_indexing: bool = False
    total: int = 0
    times: list[tuple[float, int]] = field(default_factory=list)
    """After which seconds how many pictures were done."""

    def start(self, what: str, total: int | None, unit: str = "pictures", done: int = 0) -> None:
        """See `Progress.start`."""
        self.is_indexing = what == "indexing"
        if self.is_indexing:
            self.total = total or 0

    def advance(self, count: int = 1, **_: float) -> None:
        """See `Progress.advance`."""
        if not self.is_indexing:
            return
        before = self.times[-1][1] if self.times else 0
        self.times.append((time.monotonic() - self.began, before + count))
        if before < self.total / 2 <= before + count:
            threading.Thread(target=self.half, daemon=True).start()


def measured(pictures: Path, store: Path, on: Ray | None, half: Callable[[], object]) -> Any:
    """A build into an empty store: what `table` shows of it."""
    watch = Watch(half)
    load = os.getloadavg()[0]
    report = build([pictures], store=store, on=on, progress=watch)
    seconds = time.monotonic() - watch.began
    (first, early), (last, late) = watch.times[0], watch.times[-1]
    return {
        "pictures": report.added,
        "embedded": report.embedded,
        "seconds": seconds,
        "first_seconds": first,
        "pictures_a_second": report.added / seconds,
        "pictures_a_second_indexing": (late - early) / (last - first) if last > first else 0.0,
        "longest_pause": float(max(np.diff([one for one, _ in watch.times]), default=0.0)),
        "load_before": load,
    }


@contextlib.contextmanager
def cluster(*nodes: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """A cluster in this machine: a head without CPUs and nodes with so many. Its address, and what
    kills the last node."""
    from ray.cluster_utils import Cluster

    found = Cluster()
    try:
        found.add_node(
            num_cpus=0,
            object_store_memory=_OBJECTS,
            include_dashboard=False,
            _system_config={f"health_check_{name}": value for name, value in _CHECKS.items()},
        )
        there = [found.add_node(num_cpus=cpus, object_store_memory=_OBJECTS) for cpus in nodes]
        yield found.address, lambda: found.remove_node(there[-1], allow_graceful=False)
    finally:
        found.shutdown()


def vectors(path: Path) -> dict[str, NDArray[np.float32]]:
    """Of each content."""
    with Store.open(path) as store, store.catalog.reading() as reader:
        numbers = [int(number) for number in reader.image_numbers()]
        found = zip(numbers, reader.vectors(numbers), strict=True)
        return {reader.record(number).sha256: vector for number, vector in found}


def furthest(one: dict[str, NDArray[np.float32]], other: dict[str, NDArray[np.float32]]) -> float:
    """The largest difference of two values of the same picture; infinite where one lacks any."""
    if one.keys() != other.keys():
        return float("inf")
    return max(float(np.abs(one[key] - other[key]).max()) for key in one)


def run(pictures: Path, scratch: Path) -> dict[str, Any]:
    """All rows, in turn."""
    each = cores()
    half = max(1, each // 2)
    rows: dict[str, Any] = {}

    def row(name: str, on: Ray | None, at_half: Callable[[], object] = int) -> None:
        store = scratch / f"store{len(rows)}"
        found = measured(pictures, store, on, at_half)
        found["furthest"] = furthest(vectors(scratch / "store0"), vectors(store))
        rows[name] = found
        print("\n".join(table({"rows": {name: found}})), file=sys.stderr)

    row(f"here, {each} cores", None)
    row(f"Ray, started here, {each} CPUs", Ray())
    with cluster(each) as (address, _):
        row(f"a node of {each} CPUs", Ray(address))
    with cluster(half) as (address, _):
        row(f"a node of {half} CPUs", Ray(address, cores=half))
    with cluster(half, half) as (address, kill):
        row(f"two nodes of {half} CPUs", Ray(address, cores=half))
        row("the same, one is killed at half", Ray(address, cores=half), kill)
    return rows


_COLUMNS = {
    "seconds": "seconds",
    "first_seconds": "to the first",
    "pictures_a_second": "a second",
    "pictures_a_second_indexing": "indexing",
    "longest_pause": "longest pause",
}


def table(result: dict[str, Any]) -> list[str]:
    """What was found, in Markdown."""
    rows = [
        (name, *(f"{one[column]:.1f}" for column in _COLUMNS), f"{one['furthest']:.2g}")
        for name, one in result["rows"].items()
    ]
    return harness.markdown(("build", *_COLUMNS.values(), "furthest"), rows)


def chosen(root: Path, count: int, folder: Path) -> Path:
    """Copies of so many pictures of the training set, the same each time."""
    folder.mkdir()
    found = sorted(path for path in (root / "train").rglob("*.*") if path.is_file())
    for path in np.random.default_rng(0).permutation(np.array(found, dtype=object))[:count]:
        shutil.copyfile(path, folder / f"{path.parent.name} {path.name}")
    return folder


def main() -> None:
    parser = harness.parser(
        __doc__, out=harness.OUT / "cluster.json", prog="python -m benchmarks.scale.cluster"
    )
    parser.add_argument("--pictures", type=int, default=2000, help="how many (default 2000)")
    parser.add_argument(
        "--written", type=int, default=50_000, help="made-up pictures to commit (default 50,000)"
    )
    arguments = parser.parse_args()
    root = harness.require_tll()
    # Ray's sockets lie in there, whose names may not be long.
    with tempfile.TemporaryDirectory(prefix="c-", dir="/tmp") as scratch:
        os.environ |= {"RAY_TMPDIR": scratch, "RAY_USAGE_STATS_ENABLED": "0"}
        try:
            pictures = chosen(root, arguments.pictures, Path(scratch) / "pictures")
            result = {"machine": harness.machine(["ray", "pymilvus", "milvus-lite"])}
            result["written"] = written(Path(scratch), arguments.written)
            result["rows"] = run(pictures, Path(scratch))
        except TllError as error:
            sys.exit(str(error))
    harness.write_json(result, arguments.out)
    harness.finish("\n".join([*table(result), "", *report(figures(result))]), arguments.out)


def figures(result: dict[str, Any]) -> Measured:
    """What projections are made from."""
    here = next(iter(result["rows"].values()))  # the build without Ray
    folder, lite = result["written"]["folder"], result["written"]["milvus-lite"]
    return Measured(
        here["pictures_a_second"] / result["machine"]["cores"],
        folder["pictures_a_second"],
        lite["pictures_a_second"],
        folder["bytes_a_picture"],
        lite["bytes_a_picture"],
    )


# -- writing --------------------------------------------------------------------------------------

BATCH = 1024
DIMENSION = 128
_FOLDER = 1000
_STATE = FileState(50_000, 1_600_000_000_000_000_000)


def written(scratch: Path, count: int) -> dict[str, dict[str, float]]:
    """For each backend: pictures a second, and bytes a picture on disk."""
    locations = {"folder": scratch / "full", "milvus-lite": f"milvus-lite:{scratch}/full.db"}
    return {name: _filled(str(location), count) for name, location in locations.items()}


def _filled(address: str, count: int) -> dict[str, float]:
    settings, location = load_settings(), located(address)
    random = np.random.default_rng(0)
    made_by = ModelIdentity("imported", None, None, DIMENSION, recipe={"model": "made up"})
    lens = Lens("imported", DIMENSION)
    with resolve.only_writer(location):
        backend = create_store(location, made_by, lens, settings, origin="made up")
        try:
            empty = _bytes(backend.info())
            started = time.perf_counter()
            for first in range(0, count, BATCH):
                rows = random.normal(size=(min(BATCH, count - first), DIMENSION))
                vectors = unit(rows.astype(np.float32))
                backend.catalog.write(partial(_add, first=first, vectors=vectors))
            seconds = time.perf_counter() - started
            backend.indexes(lambda: lens, settings).save(Progress())
            size = _bytes(backend.info()) - empty
        finally:
            backend.close()
    return {"pictures_a_second": count / seconds, "bytes_a_picture": size / count}


def _bytes(info: dict[str, Any]) -> int:
    return sum(info["disk_bytes"].values())


def _add(writer: Writer, first: int, vectors: np.ndarray) -> None:
    contents = [os.urandom(32) for _ in vectors]
    numbers = range(first, first + len(vectors))
    name: Callable[[int], bytes] = b"%09d.jpg".__mod__
    folders = [b"/pictures/%06d" % (number // _FOLDER) for number in numbers]
    paths = (folder + b"/" + name(number) for folder, number in zip(folders, numbers, strict=True))
    writer.foresee(contents, paths)
    for number, folder, content, vector in zip(numbers, folders, contents, vectors, strict=True):
        record = ImageRecord(content.hex(), 640, 480, "JPEG", _STATE.size)
        image = writer.add_image(content, record, vector)
        writer.set_entry(writer.folder(folder), name(number), _STATE, image)


if __name__ == "__main__":
    main()
