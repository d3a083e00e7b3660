"""Copies of stores: the same in another home, and known to be."""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Result
from milvus_server import Served, milvus
from pictures import fill_folder, noise
from tiny import lens_with_csls
from tll_index import Recipe, Store, build, copy_store, forget
from tll_index.core.config import load_settings
from tll_index.core.errors import StoreError, UsageError
from tll_index.indexer.transfer import copy as copying
from tll_index.indexer.transfer.copy import _PER_WRITE

LITE = "milvus-lite:copy.db"


@pytest.fixture
def photos(here: Path) -> list[Path]:
    """Indexed in `store`: 14 pictures, two of them the same, one without a proper name, one that
    can't be used."""
    paths = [*fill_folder(here / "photos", 8), *fill_folder(here / "photos/sub", 5, first=8)]
    shutil.copy(paths[0], here / "photos/sub/copy.png")
    noise(40).save(os.fsdecode(os.fsencode(here) + b"/photos/\xff\xfe.png"))
    (here / "photos/broken.png").write_bytes(b"no picture")
    build(["photos"], store="store", recipe=Recipe("tiny", lens=lens_with_csls()))
    return paths


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with milvus(tmp_path_factory.mktemp("milvus") / "data") as served:
        yield served


def said(address: str | Path) -> dict[str, Any]:
    """All that a store says of its pictures, whatever its home."""
    with Store.open(address) as store, store.catalog.reading() as reader:
        pictures = {}
        for number in reader.image_numbers().tolist():
            record = reader.record(number)
            vectors = [
                reader.of_space(space.table).vectors([number]).tobytes()
                for space in store.about.spaces
            ]
            pictures[record.sha256] = (record, reader.paths_of(number), vectors)
        files = {
            path: (
                {name: entry.state for name, entry in reader.entries_in(number).items()},
                reader.rejects_in(number),
            )
            for number, path in reader.folders()
        }
        about = store.about
        made = (about.made_by, about.origin, about.text, about.weights_file)
        hits = [(hit.path, hit.paths) for hit in store.query(noise(3), 20)]
        return {
            "pictures": pictures,
            "files": files,
            "made": made,
            "roots": reader.roots(),
            "hits": hits,
        }


@pytest.mark.slow
def test_there_and_back(photos: list[Path], here: Path) -> None:
    wanted = said("store")
    there = copy_store("store", LITE)
    assert (there.images, there.paths, there.unusable) == (14, 15, 1)
    assert (there.sent, there.changed, there.removed) == (14, 16, 0)
    assert (there.vectors, there.compared, there.recall) == (14, 14, 1.0)
    assert said(LITE) == wanted
    assert copy_store(LITE, "back").images == 14
    assert said("back") == wanted
    with Store.open("store") as one, Store.open("back") as other:
        assert one.about.id != other.about.id  # two stores: each has its own indexes, its own cache
    for store in (LITE, "back"):
        report = build(["photos"], store=store)
        # The files are young: they are opened again, and found to be what they were.
        assert (report.unchanged, report.embedded, len(report.skipped)) == (15, 0, 1)


@pytest.mark.slow
def test_a_second_copy_brings_in_step(photos: list[Path], here: Path) -> None:
    copy_store("store", LITE)
    again = copy_store("store", LITE)
    assert (again.sent, again.changed, again.removed) == (0, 0, 0)
    photos[1].unlink()
    photos[2].rename(here / "photos/sub/moved.png")
    noise(77).save(photos[3])
    fill_folder(here / "photos/new", 2, first=60)
    (here / "photos/broken.png").unlink()
    build(["photos"], store="store")
    found = copy_store("store", LITE)
    assert (found.sent, found.removed) == (3, 3)  # of the paths: gone, moved away, unusable
    assert said(LITE) == said("store")


def test_what_was_forgotten_goes_from_the_copy(photos: list[Path]) -> None:
    copy_store("store", LITE)
    forget(["photos/sub"], store="store")
    copy_store("store", LITE)
    assert said(LITE) == said("store")


@pytest.mark.slow
def test_a_killed_copy_goes_on(
    here: Path, server: Served, spawn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through a server, which is asked afterwards what came."""
    for folder in range(12):
        fill_folder(here / f"photos/{folder:02}", 6, first=6 * folder)
    build(["photos"], store="store", recipe=Recipe("tiny"))
    server.called.clear()
    process = spawn("copy", "store", server.address())
    deadline = time.monotonic() + 500
    while server.called.count("Upsert") < 25:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.002)
    process.kill()
    process.wait()
    monkeypatch.setattr("tll_index.indexer.backends.milvus.claims._ALIVE", 60.0)
    with Store.open(server.address()) as store:
        assert store.info()["unfinished copy"] is True
        kept = len(store)
        connection = store.backend._connection  # type: ignore[attr-defined]
        claims = connection.rows("photos_notes", 'kind == "claim"', (), "note")
        connection.delete("photos_notes", [row["note"] for row in claims])  # a minute has passed
    assert 0 < kept < 72
    found = copy_store("store", server.address())
    assert found.images == 72 and found.sent <= 72 - kept
    assert said(server.address()) == said("store")
    with Store.open(server.address()) as store:
        assert "unfinished copy" not in store.info()


def test_a_failing_milvus_leaves_a_copy_to_go_on_with(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 8)
    build(["photos"], store="store", recipe=Recipe("tiny"))
    server.fails_at = 6
    with pytest.raises(StoreError, match="the disk is gone"):
        copy_store("store", server.address())
    assert copy_store("store", server.address()).images == 8
    assert said(server.address()) == said("store")


def test_not_over_another_store(photos: list[Path], here: Path) -> None:
    build(["photos/sub"], store="other", recipe=Recipe("tiny"))
    before = said("other")
    with pytest.raises(StoreError, match=r"holds a store that is not a copy of .*tll-index merge"):
        copy_store("store", "other")
    assert said("other") == before
    with pytest.raises(StoreError, match="holds other things"):
        copy_store("store", "photos")
    with pytest.raises(UsageError, match="onto itself"):
        copy_store("store", here / "store")


@pytest.mark.slow
def test_a_copy_that_differs_is_noticed(
    photos: list[Path], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_store("store", LITE)
    with Store.open(LITE) as store, store.catalog.reading() as reader:
        connection = store.backend._connection  # type: ignore[attr-defined]
        number = int(reader.image_numbers()[0])
        row = connection.by_keys("tll_index", "image", [number], ["*"])[0]
        connection.upsert("tll_index", [{**row, "vector": row["vector"][::-1]}])
    with pytest.raises(StoreError, match=r"another vector of picture .*marked as unfinished"):
        copy_store("store", LITE)
    with Store.open(LITE) as store:
        assert store.info()["unfinished copy"] is True
        store.backend._connection.delete("tll_index", [number])  # type: ignore[attr-defined]
    # A picture that the copy has lost is sent again.
    assert copy_store("store", LITE).sent == 1
    assert said(LITE) == said("store")


def test_more_than_a_write(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert _PER_WRITE > 4
    monkeypatch.setattr("tll_index.indexer.transfer.copy._PER_WRITE", 4)
    fill_folder(here / "photos", 11)
    build(["photos"], store="store", recipe=Recipe("tiny"))
    assert copy_store("store", "copy").images == 11
    assert said("copy") == said("store")


@pytest.mark.slow
def test_within_one_milvus(photos: list[Path], server: Served) -> None:
    for first, second in ((LITE, f"{LITE}#other"), (server.address("a"), server.address("b"))):
        copy_store("store", first)
        assert copy_store(first, second).images == 14
        with Store.open(first) as one, Store.open(second) as other:  # and both are open at a time
            assert len(one) == len(other) == 14
        assert said(second) == said("store")


@pytest.mark.slow
def test_settings_go_over(photos: list[Path]) -> None:
    """Also of an index that only folders can have: a Milvus keeps to its own kind beside it."""
    for index, kind in (("hnsw", "HNSW"), ("HNSW16,Flat", "FLAT")):
        settings = load_settings(index=index, memory="2G")
        build(["photos"], store="store", settings=settings)
        shutil.rmtree("copy.db", ignore_errors=True)
        shutil.rmtree("back", ignore_errors=True)
        copy_store("store", LITE)
        with Store.open(LITE) as store:
            assert store.info()["index"]["kind"] == f"{kind} in Milvus"
        copy_store(LITE, "back")
        with Store.open("back") as store, store.catalog.reading() as reader:
            told = reader.index_settings()
            assert (told["index"], told["memory"]) == (index, 2 << 30)
            assert "HNSW" in store.info()["index"]["kind"]


@pytest.mark.parametrize("destination", [LITE, "copy"])
def test_a_copy_that_was_cut_short(
    destination: str,
    photos: list[Path],
    tll_index: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Others don't write to it, and whoever asks it is told."""
    verify = copying._verify
    monkeypatch.setattr(copying, "_verify", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        copy_store("store", destination)
    with pytest.raises(StoreError, match="is an unfinished copy; finish it first"):
        build(["photos"], store=destination)
    with pytest.raises(StoreError, match="is an unfinished copy; finish it first"):
        forget([photos[0]], store=destination)
    queried = tll_index("query", photos[0], "--store", destination)
    assert (
        queried.code == 0 and "is an unfinished copy; 'tll-index copy' finishes it" in queried.err
    )
    monkeypatch.setattr(copying, "_verify", verify)
    assert copy_store("store", destination).sent == 0
    assert tll_index("query", photos[0], "--store", destination).err == ""
    assert build(["photos"], store=destination).embedded == 0


@pytest.mark.parametrize("destination", [LITE, "copy"])
def test_killed_before_it_was_marked(
    destination: str, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    mark = copying._mark
    monkeypatch.setattr(copying, "_mark", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        copy_store("store", destination)
    monkeypatch.setattr(copying, "_mark", mark)
    assert copy_store("store", destination).sent == 14
    assert said(destination) == said("store")


@pytest.mark.slow
def test_a_source_that_changes_meanwhile(
    photos: list[Path],
    here: Path,
    tll_index: Callable[..., Result],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A folder is copied as it was when the copy began, though all its pictures go meanwhile."""
    wanted, verify = said("store"), copying._verify

    def later(*arguments: Any) -> None:
        monkeypatch.setattr(copying, "_verify", verify)
        shutil.rmtree("photos")
        fill_folder(here / "photos", 20, first=200)
        other = threading.Thread(target=build, args=(["photos"],), kwargs={"store": "store"})
        other.start()  # whoever reads in a thread can't write in it
        other.join()
        verify(*arguments)

    monkeypatch.setattr(copying, "_verify", later)
    result = tll_index("copy", "store", LITE)
    assert result.code == 0 and "has changed meanwhile: copy again" in result.err
    assert said(LITE) == wanted
    found = copy_store("store", LITE)
    assert (found.sent, found.source_changed) == (20, False)
    assert said(LITE) == said("store")


def test_the_command(photos: list[Path], tll_index: Callable[..., Result]) -> None:
    result = tll_index("copy", "store", LITE)
    assert result.code == 0, result.err
    assert "16 paths written (14 new pictures), 0 removed" in result.out
    assert "so are 14 random vectors, bit by bit" in result.out
    assert tll_index("copy", "store", LITE, "-q").out == ""
    nothing = tll_index("copy", "nowhere", LITE)
    assert nothing.code == 1 and "no store in" in nothing.err
    senseless = tll_index("copy", "store", "milvus://")
    assert senseless.code == 2 and senseless.err.count("\n") <= 4
