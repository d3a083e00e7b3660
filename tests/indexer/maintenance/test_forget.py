"""Forgetting: not a byte is kept, and readers follow to the catalog that is written anew."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result
from pictures import fill_folder
from queries import hits_of
from raw_catalog import STORE
from tll_index import Recipe, Store, TllError, build, forget, verify
from tll_index.core.config import Settings
from tll_index.core.errors import StoreMismatchError, UsageError
from tll_index.core.progress import Progress


def traces(store: Path, wanted: list[bytes]) -> list[bytes]:
    """Which of these bytes are in any file of the store."""
    files = [path.read_bytes() for path in store.iterdir()]
    return [one for one in wanted if any(one in data for data in files)]


@pytest.mark.parametrize("index", ["flat", "IVF2,Flat", "HNSW8"])
@pytest.mark.slow_after_first
def test_not_a_byte_is_kept(here: Path, index: str) -> None:
    paths = fill_folder(here / "photos", 90)
    settings = Settings(store=here / STORE, index=index)
    build(["photos"], recipe=Recipe("tiny"), settings=settings)
    secret = [paths[5], paths[60]]
    kept = [path for path in paths if path not in secret]
    with Store.open() as store, store.catalog.reading() as reader:
        bytes_of = []
        for folder, _ in reader.folders():
            for name, entry in reader.entries_in(folder).items():
                if here / "photos" / os.fsdecode(name) in secret:
                    record = reader.image(entry.image)
                    assert record is not None
                    vector = reader.vectors([entry.image])[0].astype("<f4").tobytes()
                    digest = record.sha256
                    bytes_of += [vector, name, digest.encode(), bytes.fromhex(digest)]
    assert len(bytes_of) == 8 and traces(STORE, bytes_of) == bytes_of
    wanted = {path: [hit for hit in found if hit[0] not in map(str, secret)]
              for path, found in hits_of(kept[:8]).items()}  # fmt: skip
    result = forget(secret)
    assert (result.paths, result.images, len(result.there)) == (2, 2, 2)
    assert traces(STORE, bytes_of) == []
    assert verify().whole
    for path, found in hits_of(kept[:8]).items():
        assert found[: len(wanted[path])] == wanted[path]


@pytest.mark.usefixtures("anywhere")
@pytest.mark.slow_after_first
def test_folders_copies_and_what_is_not_indexed(photos: list[Path], here: Path) -> None:
    copy = here / "photos/copy.png"
    shutil.copy(photos[12], copy)
    build()
    with pytest.raises(TllError, match=r"missing\.png is not indexed; nothing is forgotten"):
        forget([photos[0], "photos/missing.png"])
    with pytest.raises(UsageError):
        forget([])
    assert len(hits_of(photos)) == 20
    result = forget(["photos/sub", "photos/broken.png"])
    assert (result.paths, result.images) == (9, 7)
    assert result.copies == (os.fsencode(copy),)
    with Store.open() as store:
        assert store.info()["unusable_files"] == 0 and len(store) == 13
    assert forget([copy]).images == 1
    assert build().added == 9  # all are still there
    assert forget([photos[12]], copies=True).paths == 2
    shutil.rmtree(here / "photos")
    assert forget(["photos"]).images == 19
    with Store.open() as store:
        assert (len(store), store.roots()) == (0, [])


def test_a_folder_that_is_forgotten_whole_is_walked_only_when_named(
    here: Path, tll_index: Callable[..., Result]
) -> None:
    for name, first in (("one", 0), ("two", 10)):
        fill_folder(here / name, 2, first=first)
        tll_index("build", name, "--backbone", "tiny", "--store", STORE)
    told = tll_index("forget", "one", here / "two/picture0010.png").err
    assert f"still there: 1 file ({here}/two/picture0010.png …): move" in told
    assert f"the store is no longer built from {here}/one: 'tll-index build' leaves it" in told
    assert tll_index("build").out.startswith("1 added, 0 updated, 1 unchanged")
    assert tll_index("build", "one").out.startswith("2 added")


class KilledError(Exception):
    pass


class DiesAt(Progress):
    """As if killed when the catalog is being written anew."""

    def start(self, what: str, total: int | None, unit: str = "pictures", done: int = 0) -> None:
        if what == "copying the catalog":
            raise KilledError


def test_what_was_cut_short_is_ended_by_the_next_writer(photos: list[Path]) -> None:
    with Store.open() as store, store.catalog.reading() as reader:
        vector = reader.vectors([1])[0].astype("<f4").tobytes()
    with pytest.raises(KilledError):
        forget([photos[0]], progress=DiesAt())
    assert str(photos[0]) not in {hit for found in hits_of(photos).values() for hit, _ in found}
    assert traces(STORE, [vector])  # not yet
    photos[0].unlink()
    build()
    assert not traces(STORE, [vector]) and verify().whole


def test_open_readers_follow(photos: list[Path]) -> None:
    with Store.open() as store, Store.open() as other:
        before = store.query(photos[1], 19)
        assert len(before) == 19
        forget([photos[0]])
        forget([photos[2]])
        for reader in (store, other):
            hits = reader.query(photos[1], 19)
            assert len(hits) == 17 and reader.info()["images"] == 18
        assert store.catalog.path.name == "catalog-3.mdb"
        fill_folder(photos[0].parent, 2, 40)
        build()
        assert len(store) == 22
    assert {path.name for path in STORE.glob("catalog*")} <= {
        "catalog-3.mdb",
        "catalog-3.mdb-lock",
    }


@pytest.mark.slow
def test_readers_are_right_at_every_moment(photos: list[Path]) -> None:
    stop, wrong = threading.Event(), []

    def query() -> None:
        with Store.open() as store:
            while not stop.is_set():
                hits = store.query(photos[11], 30, include_self=True)
                names = {hit.path for hit in hits}
                if not {str(path) for path in photos[8:]} <= names:
                    wrong.append(names)

    readers = [threading.Thread(target=query) for _ in range(3)]
    for reader in readers:
        reader.start()
    for path in photos[:6]:
        forget([path])
    stop.set()
    for reader in readers:
        reader.join()
    assert not wrong


def test_another_store_in_the_same_place(photos: list[Path]) -> None:
    with Store.open() as store:
        assert len(store) == 20
        shutil.rmtree(STORE)
        fill_folder(Path("other"), 3, 70)
        build(["other"], store=STORE, recipe=Recipe("tiny"))
        with pytest.raises(StoreMismatchError, match="another store"):
            store.query(photos[0])
