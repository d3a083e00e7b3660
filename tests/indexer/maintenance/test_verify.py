"""Verify, repair, back up, forget: what is wrong is named, mended, copied, gone."""

from __future__ import annotations

import json
import os
import random
import shutil
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lmdb
import numpy as np
import pytest

from conftest import Result
from pictures import fill_folder
from tll_index import Recipe, Store, TllError, backup, build, forget, repair, verify
from tll_index.core.config import Settings
from tll_index.core.errors import (
    NoStoreError,
    StoreDamagedError,
    StoreError,
    StoreMismatchError,
    UsageError,
)
from tll_index.core.progress import Progress
from tll_index.engine.lens.lens import Lens
from tll_index.indexer.backends.layout import writer_lock
from tll_index.indexer.backends.metadata import read_about, write_about
from tll_index.indexer.catalog.records import TABLES

STORE = Path(".tll-index")


@pytest.fixture
def photos(here: Path) -> list[Path]:
    """Twenty indexed pictures, eight of them in a folder below, and one that can't be used."""
    paths = [*fill_folder(here / "photos", 12), *fill_folder(here / "photos/sub", 8, 100)]
    (here / "photos/broken.png").write_bytes(b"no picture")
    build(["photos"], recipe=Recipe("tiny"))
    return paths


def answers(paths: list[Path], **options: Any) -> dict[Path, list[tuple[str, float]]]:
    """What the store answers to each picture, itself included."""
    with Store.open(**options) as store:
        return {
            path: [(hit.path, hit.score) for hit in store.query(path, 5, include_self=True)]
            for path in paths
        }


def rewrite(change: Callable[[dict[str, dict[bytes, bytes]]], None]) -> None:
    """Change raw records of the catalog: a table's keys and values, as they lie in the file."""
    path = STORE / read_about(STORE).catalog
    with lmdb.open(str(path), subdir=False, max_dbs=32, map_size=64 << 20) as environment:
        handles = {name: environment.open_db(name.encode()) for name in TABLES}
        with environment.begin() as txn:
            before = {name: dict(txn.cursor(db=handle)) for name, handle in handles.items()}
        after = {name: dict(table) for name, table in before.items()}
        change(after)
        with environment.begin(write=True) as txn:
            for name, table in after.items():
                for key in before[name].keys() - table.keys():
                    txn.delete(key, db=handles[name])
                for key, value in table.items():
                    if before[name].get(key) != value:
                        txn.put(key, value, db=handles[name])


def flip(value: bytes) -> bytes:
    middle = len(value) // 2
    return value[:middle] + bytes([value[middle] ^ 4]) + value[middle + 1 :]


# -- verify -------------------------------------------------------------------


def test_a_whole_store(photos: list[Path]) -> None:
    found = verify(deep=True)
    assert found.whole
    assert (found.checked["images"], found.checked["index"], found.checked["pictures"]) == (
        20,
        20,
        20,
    )
    with pytest.raises(NoStoreError):
        verify("nothing-here")


@pytest.mark.parametrize(
    "table", ["images", "vectors", "places", "place_of", "folders", "contents", "rejects", "meta"]
)
@pytest.mark.slow_after_first
def test_one_flipped_bit_in_any_table_is_noticed_and_mended(photos: list[Path], table: str) -> None:
    wanted = answers(photos)

    def damage(tables: dict[str, dict[bytes, bytes]]) -> None:
        key = sorted(tables[table])[0]
        tables[table][key] = flip(tables[table][key])

    rewrite(damage)
    found = verify()
    assert [one.part for one in found.findings].count("catalog") >= 1
    for path in photos:  # refused, or the right answer
        try:
            with Store.open() as store:
                hits = store.query(path, 5, include_self=True)
        except StoreDamagedError as error:
            assert "repair" in str(error)
        else:
            assert [(hit.path, hit.score) for hit in hits] == wanted[path]
    assert repair().done
    assert verify().whole
    build()
    assert verify(deep=True).whole
    assert answers(photos) == wanted


@pytest.mark.parametrize("table", ["images", "vectors", "places", "place_of", "folder_numbers"])
@pytest.mark.slow_after_first
def test_a_lost_record_is_noticed_and_mended(photos: list[Path], table: str) -> None:
    wanted = answers(photos)

    def lose(tables: dict[str, dict[bytes, bytes]]) -> None:
        del tables[table][sorted(tables[table])[1]]

    rewrite(lose)
    assert not verify().whole
    repair()
    assert verify().whole
    build()
    assert answers(photos) == wanted


def test_what_cannot_be_read_is_named(photos: list[Path], here: Path) -> None:
    def damage(tables: dict[str, dict[bytes, bytes]]) -> None:
        for key, value in list(tables["vectors"].items())[:3]:
            tables["vectors"][key] = flip(value)

    rewrite(damage)
    result = repair()
    assert [line for line in result.lost if line.startswith(str(here))] == [
        str(path) for path in photos[:3]
    ]
    report = build()
    assert (report.added, report.embedded) == (3, 3)


def test_a_deep_look_reads_the_pictures(photos: list[Path]) -> None:
    state = photos[0].stat()
    data = bytearray(photos[0].read_bytes())
    data[-20] ^= 1
    photos[0].write_bytes(data)
    os.utime(photos[0], ns=(state.st_atime_ns, state.st_mtime_ns))
    photos[1].unlink()
    assert verify().whole
    found = verify(deep=True).findings
    assert [(one.part, one.mends) for one in found] == [
        ("pictures", "build --checksum"),
        ("pictures", "build"),
    ]


def test_an_index_that_holds_other_things(photos: list[Path]) -> None:
    shutil.copytree(STORE, "kept")
    fill_folder(Path("photos"), 3, 50)
    build()
    shutil.copy(STORE / "vectors.faiss", "newer")
    shutil.rmtree(STORE)
    shutil.move("kept", STORE)
    shutil.copy("newer", STORE / "vectors.faiss")  # of a state that this catalog never had
    assert [one.part for one in verify().findings] == ["index"]
    assert len(answers(photos)) == 20
    build()
    assert verify().whole


# -- store.json, lens -----------------------------------------------------------


@pytest.mark.parametrize("text", [None, b"", b"{", b'{"format": 2}', b"\xff\xfe"])
def test_store_json_is_written_anew(photos: list[Path], text: bytes | None) -> None:
    wanted, before = answers(photos), (STORE / "store.json").read_bytes()
    if text is None:
        (STORE / "store.json").unlink()
    else:
        (STORE / "store.json").write_bytes(text)
    with pytest.raises(StoreDamagedError, match="repair"):
        Store.open()
    assert [(one.part, one.mends) for one in verify().findings] == [("store.json", "repair")]
    assert len(repair().done) == 1
    assert (STORE / "store.json").read_bytes() == before
    assert verify().whole and answers(photos) == wanted


def test_the_catalog_of_another_store_is_not_taken_for_ones_own(photos: list[Path]) -> None:
    fill_folder(Path("other"), 3, 70)
    build(["other"], store="others", recipe=Recipe("tiny2"))
    shutil.copy("others/catalog.mdb", STORE / "catalog.mdb")
    with pytest.raises(StoreDamagedError, match=r"not the catalog of the store"):
        Store.open()
    assert [one.part for one in verify().findings] == ["store.json"]
    repair()
    assert verify().whole
    with Store.open() as store:
        assert store.about.made_by.backbone == "tiny2"


@pytest.mark.slow
def test_a_lens_is_put_back_or_asked_for(photos: list[Path], home: Path) -> None:
    random_ = np.random.default_rng(1)
    lens = Lens("tiny", 16, adaptation=random_.normal(size=(6, 16)).astype(np.float32))
    lens.save("mine.npz")
    build(["photos"], store="lensed", recipe=Recipe("tiny", lens=lens))
    wanted = answers(photos, path="lensed")
    whole = Path("lensed/lens.npz").read_bytes()
    other = Lens("tiny", 16, adaptation=random_.normal(size=(6, 16)).astype(np.float32))
    for damage in (
        lambda path: path.unlink(),
        lambda path: path.write_bytes(whole[:-9]),
        other.save,
    ):
        damage(Path("lensed/lens.npz"))
        assert [one.part for one in verify("lensed").findings] == ["lens"]
        with pytest.raises(TllError, match=r"lens"):
            answers(photos, path="lensed")
        with pytest.raises(StoreDamagedError, match=r"SHA-256 .* put that one"):
            repair("lensed")
        (home / "lenses").mkdir(exist_ok=True)
        shutil.copy("mine.npz", home / "lenses/mine.npz")
        assert "put back" in repair("lensed").done[0]
        (home / "lenses/mine.npz").unlink()
        assert verify("lensed").whole and answers(photos, path="lensed") == wanted


def test_what_only_a_backup_helps(photos: list[Path]) -> None:
    (STORE / "catalog.mdb").unlink()
    assert [(one.part, one.mends) for one in verify().findings] == [("catalog", "backup")]
    with pytest.raises(StoreDamagedError, match="backup"):
        repair()
    (STORE / "store.json").write_text("{")
    assert [(one.part, one.mends) for one in verify().findings] == [("store.json", "backup")]
    with pytest.raises(StoreDamagedError, match="backup"):
        repair()


@pytest.mark.parametrize("seed", range(3))
def test_a_torn_page_of_the_tree(photos: list[Path], seed: int) -> None:
    """Whatever LMDB makes of a page that it did not write, even if it ends the process: a look
    says so, and a repair keeps what can be read."""
    wanted = answers(photos)
    path = STORE / "catalog.mdb"
    data = bytearray(path.read_bytes())
    page = random.Random(seed).randrange(2, len(data) // 4096)
    data[page * 4096 : page * 4096 + 4096] = os.urandom(4096)
    path.write_bytes(data)
    try:
        repair()
    except StoreDamagedError as error:
        assert "backup" in str(error)
        return
    assert verify().whole
    build()
    assert answers(photos) == wanted


def test_a_catalog_that_claims_more_than_it_has(photos: list[Path]) -> None:
    path = STORE / "catalog.mdb"
    whole = path.read_bytes()
    psize = lmdb_page()
    for claimed in (1 << 24, 1 << 40):  # LMDB's two meta pages say which page is the last
        data = bytearray(whole)
        for one in range(2):
            at = one * psize + 16 + 120
            data[at : at + 8] = claimed.to_bytes(8, "little")
        path.write_bytes(data)
        with pytest.raises(StoreError, match=r"damaged|cut off"):
            Store.open()
        with pytest.raises(StoreDamagedError, match="backup"):
            repair()


def lmdb_page() -> int:
    with lmdb.open(str(STORE / "catalog.mdb"), subdir=False, readonly=True) as environment:
        return int(environment.stat()["psize"])


def test_repair_goes_on_where_too_few_are_left_for_the_index(here: Path) -> None:
    fill_folder(here / "photos", 90)
    build(
        ["photos"], recipe=Recipe("tiny"), settings=Settings(store=here / STORE, index="IVF2,Flat")
    )

    def damage(tables: dict[str, dict[bytes, bytes]]) -> None:
        for key in sorted(tables["vectors"])[1:]:
            tables["vectors"][key] = flip(tables["vectors"][key])

    rewrite(damage)
    assert any("is not made" in line for line in repair().done)
    with Store.open() as store:
        assert len(store) == 1


# -- backup -------------------------------------------------------------------


def test_a_backup_is_a_store(photos: list[Path], here: Path) -> None:
    wanted = answers(photos)
    assert backup("deep-copy") == here / "deep-copy"
    assert verify("deep-copy").whole
    assert answers(photos, path="deep-copy") == wanted
    shutil.rmtree(STORE)
    shutil.move("deep-copy", STORE)  # and takes the place of the one that it is of
    assert build().unchanged == 20
    for name in ("photos", "missing/copy"):
        with pytest.raises(UsageError):
            backup(name)


@pytest.mark.slow
def test_a_backup_while_another_writes(photos: list[Path], here: Path) -> None:
    done = threading.Event()

    def write() -> None:
        for first in range(200, 260, 6):
            fill_folder(here / "photos/more", 6, first)
            build(settings=Settings(store=here / STORE, batch_size=2))
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    held = []
    while not done.is_set():
        name = f"copy{len(held)}"
        backup(name)
        assert verify(name).whole
        with Store.open(name) as store:
            held.append(len(store))
            assert store.query(photos[0], 1, include_self=True)[0].score == pytest.approx(1)
    writer.join()
    assert held and held == sorted(held) and held[0] >= 20


def test_no_backup_of_a_damaged_store(photos: list[Path]) -> None:
    def damage(tables: dict[str, dict[bytes, bytes]]) -> None:
        key = sorted(tables["images"])[0]
        tables["images"][key] = flip(tables["images"][key])

    rewrite(damage)
    with pytest.raises(StoreDamagedError, match="verify"):
        backup("copy")
    assert not Path("copy").exists() and not Path("copy.part").exists()


# -- forget -------------------------------------------------------------------


def traces(store: Path, wanted: list[bytes]) -> list[bytes]:
    """Which of these bytes are in any file of the store."""
    files = [path.read_bytes() for path in store.iterdir()]
    return [one for one in wanted if any(one in data for data in files)]


@pytest.mark.parametrize("index", ["flat", "IVF2,Flat", "HNSW8"])
def test_not_a_byte_is_kept(here: Path, index: str) -> None:
    paths = fill_folder(here / "photos", 90)
    settings = Settings(store=here / STORE, index=index)
    build(["photos"], recipe=Recipe("tiny"), settings=settings)
    secret = [paths[5], paths[60]]
    kept = [path for path in paths if path not in secret]
    with Store.open() as store, store.catalog.reading() as reader:
        bytes_of = []
        for folder, _ in reader.folders():
            for name, place in reader.entries_in(folder).items():
                if here / "photos" / os.fsdecode(name) in secret:
                    record = reader.image(place.image)
                    assert record is not None
                    vector = reader.vectors([place.image])[0].astype("<f4").tobytes()
                    digest = record.sha256
                    bytes_of += [vector, name, digest.encode(), bytes.fromhex(digest)]
    assert len(bytes_of) == 8 and traces(STORE, bytes_of) == bytes_of
    wanted = {path: [hit for hit in found if hit[0] not in map(str, secret)]
              for path, found in answers(kept[:8]).items()}  # fmt: skip
    result = forget(secret)
    assert (result.paths, result.images, len(result.there)) == (2, 2, 2)
    assert traces(STORE, bytes_of) == []
    assert verify().whole
    for path, found in answers(kept[:8]).items():
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
    assert len(answers(photos)) == 20
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
    assert str(photos[0]) not in {hit for found in answers(photos).values() for hit, _ in found}
    assert traces(STORE, [vector])  # not yet
    photos[0].unlink()
    build()
    assert not traces(STORE, [vector]) and verify().whole


# -- a catalog that is replaced ---------------------------------------------------


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


def test_readers_are_right_at_every_moment(photos: list[Path]) -> None:
    stop, wrong = threading.Event(), []

    def ask() -> None:
        with Store.open() as store:
            while not stop.is_set():
                hits = store.query(photos[11], 30, include_self=True)
                names = {hit.path for hit in hits}
                if not {str(path) for path in photos[8:]} <= names:
                    wrong.append(names)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for path in photos[:6]:
        forget([path])
    stop.set()
    for asker in askers:
        asker.join()
    assert not wrong


def test_another_store_in_the_same_place(photos: list[Path]) -> None:
    with Store.open() as store:
        assert len(store) == 20
        shutil.rmtree(STORE)
        fill_folder(Path("other"), 3, 70)
        build(["other"], store=STORE, recipe=Recipe("tiny"))
        with pytest.raises(StoreMismatchError, match="another store"):
            store.query(photos[0])


def as_format_1(store: Path) -> None:
    """Make it what earlier versions wrote: records without checksums, nothing of store.json."""
    catalog = store / read_about(store).catalog
    with lmdb.open(str(catalog), subdir=False, max_dbs=32, map_size=64 << 20) as environment:
        handles = {
            name: environment.open_db(name.encode(), dupsort=name == "place_of") for name in TABLES
        }
        with environment.begin(write=True) as txn:
            for name, handle in handles.items():
                rows = list(txn.cursor(db=handle))
                txn.drop(handle, delete=False)
                for key, value in rows:
                    if (name, key) != ("meta", b"about"):
                        txn.put(key, value[:-4], db=handle)
    document = json.loads((store / "store.json").read_text())
    for key in ("catalog", "base"):
        del document[key]
    (store / "store.json").write_text(json.dumps({**document, "format": 1}))


def test_an_old_store_is_read_and_then_given_checksums(photos: list[Path]) -> None:
    wanted = answers(photos)
    as_format_1(STORE)
    assert answers(photos) == wanted and verify().whole
    with Store.open() as store:
        assert store.info()["format"] == 1
    backup("copy")
    assert answers(photos, path="copy") == wanted and read_about(Path("copy")).format == 2
    report = build()
    assert (report.unchanged, report.embedded) == (20, 0)
    assert read_about(STORE).format == 2
    assert verify().whole and answers(photos) == wanted


# -- the commands ---------------------------------------------------------------


def test_the_commands(photos: list[Path], tll_index: Callable[..., Result]) -> None:
    assert tll_index("verify").out == "whole: 20 images, 20 vectors, 20 places, 20 index\n"
    assert "20 pictures" in tll_index("verify", "--deep").out
    assert tll_index("backup", "copy", "-q").code == 0
    again = tll_index("backup", "copy")
    assert again.code == 2 and again.err.count("\n") == 1
    (STORE / "store.json").unlink()
    result = tll_index("verify", "--json")
    assert result.code == 1 and json.loads(result.out)["findings"][0]["mends"] == "repair"
    result = tll_index("verify")
    assert result.code == 1 and "'tll-index repair' mends it" in result.out
    assert "store.json written" in tll_index("repair").out
    assert tll_index("repair").out == "nothing was wrong\n"
    result = tll_index("forget", str(photos[0]))
    assert result.out == "forgot 1 path, 1 picture\n" and "still there" in result.err
    result = tll_index("forget", str(photos[0]))
    assert result.code == 1 and "is not indexed" in result.err
    with writer_lock(STORE):
        for command in (["forget", str(photos[1])], ["repair"]):
            result = tll_index(*command)
            assert result.code == 1 and "another tll-index is writing" in result.err
        assert tll_index("verify").code == tll_index("backup", "second").code == 0


def test_store_json_is_written_whole(photos: list[Path], tmp_path: Path) -> None:
    about = read_about(STORE)
    write_about(tmp_path / "again.json", about)
    assert json.loads((tmp_path / "again.json").read_text())["id"] == about.id.hex()
