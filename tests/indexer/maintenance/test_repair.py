"""Repair: store.json, the lens and the catalog are mended as far as anything is left of them."""

from __future__ import annotations

import json
import os
import random
import shutil
from pathlib import Path

import lmdb
import numpy as np
import pytest

from pictures import fill_folder
from queries import hits_of
from raw_catalog import STORE, flip, rewrite_tables
from tll_index import Recipe, Store, TllError, build, repair, verify
from tll_index.core.config import Settings
from tll_index.core.errors import StoreDamagedError, StoreError
from tll_index.engine.lens.lens import Lens
from tll_index.indexer.backends.metadata import read_about, write_about


@pytest.mark.parametrize("text", [None, b"", b"{", b'{"format": 2}', b"\xff\xfe"])
@pytest.mark.slow_after_first
def test_store_json_is_written_anew(photos: list[Path], text: bytes | None) -> None:
    wanted, before = hits_of(photos), (STORE / "store.json").read_bytes()
    if text is None:
        (STORE / "store.json").unlink()
    else:
        (STORE / "store.json").write_bytes(text)
    with pytest.raises(StoreDamagedError, match="repair"):
        Store.open()
    assert [(one.part, one.mends) for one in verify().findings] == [("store.json", "repair")]
    assert len(repair().done) == 1
    assert (STORE / "store.json").read_bytes() == before
    assert verify().whole and hits_of(photos) == wanted


@pytest.mark.slow
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
    wanted = hits_of(photos, "lensed")
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
            hits_of(photos, "lensed")
        with pytest.raises(StoreDamagedError, match=r"SHA-256 .* put that one"):
            repair("lensed")
        (home / "lenses").mkdir(exist_ok=True)
        shutil.copy("mine.npz", home / "lenses/mine.npz")
        assert "put back" in repair("lensed").done[0]
        (home / "lenses/mine.npz").unlink()
        assert verify("lensed").whole and hits_of(photos, "lensed") == wanted


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
@pytest.mark.slow_after_first
def test_a_torn_page_of_the_tree(photos: list[Path], seed: int) -> None:
    """Whatever LMDB makes of a page that it did not write, even if it ends the process: a look
    says so, and a repair keeps what can be read."""
    wanted = hits_of(photos)
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
    assert hits_of(photos) == wanted


@pytest.mark.slow
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


@pytest.mark.slow
def test_repair_goes_on_where_too_few_are_left_for_the_index(here: Path) -> None:
    fill_folder(here / "photos", 90)
    build(
        ["photos"], recipe=Recipe("tiny"), settings=Settings(store=here / STORE, index="IVF2,Flat")
    )

    def damage(tables: dict[str, dict[bytes, bytes]]) -> None:
        for key in sorted(tables["vectors"])[1:]:
            tables["vectors"][key] = flip(tables["vectors"][key])

    rewrite_tables(damage)
    assert any("is not made" in line for line in repair().done)
    with Store.open() as store:
        assert len(store) == 1


def test_store_json_is_written_whole(photos: list[Path], tmp_path: Path) -> None:
    about = read_about(STORE)
    write_about(tmp_path / "again.json", about)
    assert json.loads((tmp_path / "again.json").read_text())["id"] == about.id.hex()
