"""Stores with a text space: forgotten from, repaired, backed up, merged, and their format."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from clips import JOINT, VIT
from pictures import fill_folder
from raw_catalog import STORE, rewrite_table
from text_space import COUNT, require_both_spaces, stored
from tll_index import Recipe, Store, backup, build, forget, merge, repair, verify
from tll_index.core.errors import StoreDamagedError, StoreMismatchError
from tll_index.indexer.backends.metadata import read_about, write_about


def test_forgetting_leaves_no_byte(photos: list[Path]) -> None:
    with Store.open() as store:
        paths, rows = stored(store)
        gone = rows[paths.index(str(photos[4]))].astype("<f4").tobytes()
        kept = rows[paths.index(str(photos[5]))].astype("<f4").tobytes()
    assert traces(kept) == traces(gone) != []
    photos[4].unlink()
    forget([photos[4]])
    assert traces(gone) == [] and len(traces(kept)) == 2
    with Store.open() as store:
        require_both_spaces(store)


def traces(wanted: bytes) -> list[str]:
    """Files of the store that hold these bytes."""
    return sorted(
        path.name.partition("-")[0] for path in STORE.iterdir() if wanted in path.read_bytes()
    )


def flip(rows: dict[bytes, bytes]) -> None:
    key = sorted(rows)[2]
    value = rows[key]
    rows[key] = value[:9] + bytes([value[9] ^ 4]) + value[10:]


def lose(rows: dict[bytes, bytes]) -> None:
    del rows[sorted(rows)[2]]


def too_many(rows: dict[bytes, bytes]) -> None:
    rows[(999).to_bytes(8, "big")] = rows[sorted(rows)[0]]


@pytest.mark.parametrize("harm", [flip, lose, too_many])
@pytest.mark.slow_after_first
def test_a_damaged_place_is_noticed_and_mended(
    photos: list[Path], harm: Callable[[dict[bytes, bytes]], None]
) -> None:
    with Store.open() as store:
        wanted = store.query(text="a red door", k=COUNT).hits
    rewrite_table("words", harm)
    (STORE / "words.faiss").unlink()  # which would answer still
    found = verify().findings
    assert found and all((one.part, one.mends) == ("catalog", "repair") for one in found)
    if harm is not too_many:
        with Store.open() as store, pytest.raises(StoreDamagedError, match="repair"):
            store.query(text="a red door")
        with Store.open() as store:  # how pictures look is whole
            assert len(store.query(photos[0])) == 10
    assert "catalog written anew" in repair().done[0]
    assert verify().whole
    build()
    with Store.open() as store:
        assert store.query(text="a red door", k=COUNT).hits == wanted
        require_both_spaces(store)


@pytest.mark.slow
def test_a_lost_store_json_and_index_are_made_anew(photos: list[Path]) -> None:
    before = (STORE / "store.json").read_bytes()
    (STORE / "store.json").unlink()
    (STORE / "words.faiss").write_bytes(b"torn")
    assert repair().done == ("store.json written from the catalog (store.json is lost)",
                             "words.faiss made anew")  # fmt: skip
    assert (STORE / "store.json").read_bytes() == before
    assert verify(deep=True).whole
    about = read_about(STORE)
    write_about(STORE / "store.json", type(about).of({**about.document(), "words": 3}, ""))
    assert [one.part for one in verify().findings] == ["store.json"]
    repair()
    assert (STORE / "store.json").read_bytes() == before


def test_a_backup_keeps_texts(photos: list[Path], here: Path) -> None:
    with Store.open() as store:
        wanted = store.query(text="a red door", k=COUNT).hits
    backup("copy")
    shutil.rmtree(STORE)
    assert verify("copy").whole and Path("copy/words.faiss").is_file()
    with Store.open("copy") as store:
        assert store.query(text="a red door", k=COUNT).hits == wanted
        require_both_spaces(store)


@pytest.mark.slow
def test_stores_with_texts_are_merged(photos: list[Path], here: Path) -> None:
    other = fill_folder(here / "other", 5, first=80)
    build(["other"], store="other.store", recipe=Recipe(VIT, text=True))
    build(["other"], store="plain", recipe=Recipe(VIT))
    assert merge(["other.store"]).images == 5
    assert merge([STORE], store="new").images == COUNT + 5
    for path in (STORE, "new"):
        with Store.open(path) as store:
            require_both_spaces(store)
            assert str(other[0]) in [hit.path for hit in store.query(text="snow", k=99)]
        assert verify(path).whole
    with pytest.raises(StoreMismatchError, match=r"plain was built without --text .*with it"):
        merge(["plain"])
    assert merge(["other.store"], store="plain").known == 5  # which keeps none
    assert read_about(Path("plain")).text is None and verify("plain").whole


def test_only_stores_with_texts_have_the_newer_format(photos: list[Path], here: Path) -> None:
    build(["photos"], store="plain", recipe=Recipe(VIT))
    assert read_about(here / "plain").format == 2  # as before: earlier versions read it
    assert "words" not in json.loads((here / "plain/store.json").read_text())
    document = json.loads((STORE / "store.json").read_text())
    assert (document["format"], document["words"]) == (3, JOINT)
    forget([photos[0]])
    backup("copy")
    rewrite_table("words", flip)
    repair()
    for path in (STORE, Path("copy")):
        about = read_about(path)
        assert (about.format, about.text) == (3, JOINT)
    for wrong in ({"format": 2}, {"words": 0}, {"words": "x"}, {"words": [1]}):
        (STORE / "store.json").write_text(json.dumps({**document, **wrong}))
        with pytest.raises(StoreDamagedError, match="repair"):
            Store.open()
