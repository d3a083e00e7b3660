"""Builds keep a text space in step with the pictures, and each index with its catalog."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import clips
from clips import JOINT, VIT
from pictures import fill_folder
from raw_catalog import STORE
from text_space import COUNT, images_in, require_both_spaces
from tll_index import Recipe, Store, build, forget, verify
from tll_index.core.config import Settings
from tll_index.core.progress import Progress
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit
from tll_index.indexer.catalog.lmdb_writer import LmdbWriter as Writer
from tll_index.indexer.catalog.records import ImageRecord
from tll_index.indexer.ingest.background_indexer import BackgroundIndexer
from tll_index.indexer.vector_index.faiss_file import glance

CLI = clips.__file__


class KilledError(BaseException):
    """As no code of ours raises."""


def test_builds_keep_both_in_step(photos: list[Path], here: Path) -> None:
    fill_folder(here / "photos", 4, first=50)
    photos[0].unlink()
    photos[1].rename(here / "photos/moved.png")
    report = build()
    assert (report.added, report.removed, report.embedded) == (4, 1, 4)
    with Store.open() as store:
        require_both_spaces(store)
        known = [glance(STORE / one.file, one.file_id, whole=True) for one in store.about.spaces]
        assert [one and one[0].images for one in known] == [COUNT + 3] * 2
        generations = {one[1].generation for one in known if one}
        assert len(generations) == 1
    assert verify(deep=True).whole
    assert verify().checked["words index"] == COUNT + 3


def test_a_store_that_is_open_follows(photos: list[Path], here: Path) -> None:
    with Store.open() as store:
        assert len(store.query(text="snow", k=99)) == COUNT
        fill_folder(here / "photos", 3, first=70)
        photos[2].unlink()
        build()
        require_both_spaces(store)
        forget([photos[3]])
        require_both_spaces(store)


class DiesAtTheSecond(Progress):
    """As if killed when the second index is being made."""

    indexes = 0

    def start(self, what: str, total: int | None, unit: str = "pictures", done: int = 0) -> None:
        self.indexes += what == "arranging"
        if self.indexes == 2:
            raise KilledError


def test_what_one_index_covers_is_kept_for_the_other(photos: list[Path], here: Path) -> None:
    """Removals are remembered as long as one of the files needs them."""
    with Store.open() as store:
        covered = glance(STORE / "words.faiss", store.about.spaces[1].file_id)
        assert covered is not None
        store.catalog.write(lambda writer: writer.remove_path(os.fsencode(photos[0])))
        store.catalog.write(lambda writer: writer.remove_orphans(10))
        with pytest.raises(KilledError):
            store.save_index(DiesAtTheSecond())
        with store.catalog.reading() as reader:
            assert len(reader.removed_since(covered[1].generation)) == 1
        assert verify().whole
        store.save_index()
        with store.catalog.reading() as reader:
            assert len(reader.removed_since(0)) == 0
        require_both_spaces(store)


@pytest.mark.slow
def test_a_store_that_keeps_texts_keeps_both(here: Path, home: Path) -> None:
    """A child process makes the large index of either space."""
    fill_folder(here / "photos", 2)
    build(["photos"], recipe=Recipe(VIT, text=True))
    generator = np.random.default_rng(6)
    count = 200

    def add(writer: Writer) -> None:
        for number in range(count):
            content = number.to_bytes(32, "big")
            rows = [
                unit(generator.normal(size=(1, width)).astype(np.float32))[0]
                for width in (152, JOINT)
            ]
            image = writer.add_image(content, ImageRecord(content.hex(), 1, 1, "PNG", 1), *rows)
            writer.set_entry(writer.folder(b"/p"), b"%d" % number, (1, 1), image)  # type: ignore[arg-type]

    with Store.open(settings=Settings(store=here / STORE, index="IVF2,Flat")) as store:
        store.catalog.write(add)
        assert [plan.factory for plan in store.indexes.due()] == ["IVF2,Flat"] * 2
        with BackgroundIndexer(store) as indexer:
            indexer.finish(Progress())
        assert store.indexes.due() == []
        for space in store.about.spaces:
            known = glance(STORE / space.file, space.file_id, whole=True)
            assert known is not None
            assert (known[0].images, known[0].factory) == (count + 2, "IVF2,Flat")
    assert verify().whole


def test_indexes_are_not_taken_for_each_other(here: Path) -> None:
    fill_folder(here / "photos", 4)
    lens = Lens(VIT, 152, adaptation=np.eye(JOINT, 152, dtype=np.float32))  # as long as words
    build(["photos"], recipe=Recipe(VIT, lens=lens, text=True))
    with Store.open() as store:
        require_both_spaces(store)
    shutil.copy(STORE / "vectors.faiss", STORE / "words.faiss")
    assert [(one.part, one.mends) for one in verify().findings] == [("index", "build")]
    with Store.open() as store:
        require_both_spaces(store)
    build()
    assert verify().whole


@pytest.mark.slow
def test_a_killed_build_has_both_or_none(here: Path, architectures: Path) -> None:
    fill_folder(here / "photos", 40)
    command = [sys.executable, CLI, architectures, "build", "photos", "--text", "-q"]
    command += ["--backbone", VIT, "--batch-size", "1", "--workers", "1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, env=environment)
    while process.poll() is None and images_in(STORE) < 3:
        time.sleep(0.005)
    process.kill()
    process.wait()
    with Store.open() as store:
        held = len(store)
        require_both_spaces(store)
    report = build()
    assert 3 <= held == 40 - report.embedded
    with Store.open() as store:
        require_both_spaces(store)
        assert len(store) == 40
    assert verify().whole
