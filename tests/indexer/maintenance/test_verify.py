"""Verify: what is wrong with a store is found, named, and mended by what is named."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import lmdb
import pytest

from conftest import Result
from pictures import fill_folder
from queries import hits_of
from raw_catalog import STORE, flip, rewrite_tables
from tll_index import Store, backup, build, repair, verify
from tll_index.core.errors import NoStoreError, StoreDamagedError
from tll_index.indexer.backends.layout import writer_lock
from tll_index.indexer.backends.metadata import read_about
from tll_index.indexer.catalog.records import TABLES


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
    wanted = hits_of(photos)

    def damage(tables: dict[str, dict[bytes, bytes]]) -> None:
        key = sorted(tables[table])[0]
        tables[table][key] = flip(tables[table][key])

    rewrite_tables(damage)
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
    assert hits_of(photos) == wanted


@pytest.mark.parametrize("table", ["images", "vectors", "places", "place_of", "folder_numbers"])
@pytest.mark.slow_after_first
def test_a_lost_record_is_noticed_and_mended(photos: list[Path], table: str) -> None:
    wanted = hits_of(photos)

    def lose(tables: dict[str, dict[bytes, bytes]]) -> None:
        del tables[table][sorted(tables[table])[1]]

    rewrite_tables(lose)
    assert not verify().whole
    repair()
    assert verify().whole
    build()
    assert hits_of(photos) == wanted


def test_what_cannot_be_read_is_named(photos: list[Path], here: Path) -> None:
    def damage(tables: dict[str, dict[bytes, bytes]]) -> None:
        for key, value in list(tables["vectors"].items())[:3]:
            tables["vectors"][key] = flip(value)

    rewrite_tables(damage)
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


@pytest.mark.slow
def test_an_index_that_holds_other_things(photos: list[Path]) -> None:
    shutil.copytree(STORE, "kept")
    fill_folder(Path("photos"), 3, 50)
    build()
    shutil.copy(STORE / "vectors.faiss", "newer")
    shutil.rmtree(STORE)
    shutil.move("kept", STORE)
    shutil.copy("newer", STORE / "vectors.faiss")  # of a state that this catalog never had
    assert [one.part for one in verify().findings] == ["index"]
    assert len(hits_of(photos)) == 20
    build()
    assert verify().whole


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
    wanted = hits_of(photos)
    as_format_1(STORE)
    assert hits_of(photos) == wanted and verify().whole
    with Store.open() as store:
        assert store.info()["format"] == 1
    backup("copy")
    assert hits_of(photos, "copy") == wanted and read_about(Path("copy")).format == 2
    report = build()
    assert (report.unchanged, report.embedded) == (20, 0)
    assert read_about(STORE).format == 2
    assert verify().whole and hits_of(photos) == wanted


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
