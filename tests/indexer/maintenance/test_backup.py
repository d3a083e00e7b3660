"""Backups: stores of their own, whole whoever writes meanwhile."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

import pytest

from pictures import fill_folder
from queries import hits_of
from raw_catalog import STORE, flip, rewrite_tables
from tll_index import Store, backup, build, verify
from tll_index.core.config import Settings
from tll_index.core.errors import StoreDamagedError, UsageError


def test_a_backup_is_a_store(photos: list[Path], here: Path) -> None:
    wanted = hits_of(photos)
    assert backup("deep-copy") == here / "deep-copy"
    assert verify("deep-copy").whole
    assert hits_of(photos, "deep-copy") == wanted
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

    rewrite_tables(damage)
    with pytest.raises(StoreDamagedError, match="verify"):
        backup("copy")
    assert not Path("copy").exists() and not Path("copy.part").exists()
