"""How fast stores take pictures that are embedded already, and what they take on disk.

Made-up vectors go through the catalogs' own writers, in batches as a build on many machines commits
them: into a folder, and into a Milvus Lite's server that is asked through a socket, as any Milvus
is. What a cluster of Milvus does can't be measured on one machine.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tll_index.core.config import load_settings
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

BATCH = 1024
DIMENSION = 128
_FOLDER = 1000
_STATE = FileState(50_000, 1_600_000_000_000_000_000)


def written(scratch: Path, count: int) -> dict[str, dict[str, float]]:
    """For each kind of home: pictures a second, and bytes a picture on disk."""
    places = {"folder": scratch / "full", "milvus-lite": f"milvus-lite:{scratch}/full.db"}
    return {name: _filled(str(place), count) for name, place in places.items()}


def _filled(place: str, count: int) -> dict[str, float]:
    settings, location = load_settings(), located(place)
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
