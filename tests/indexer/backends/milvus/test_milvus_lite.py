"""Milvus Lite: for one process, without a port, and with rows in an order of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from pictures import fill_folder, noise
from tll_index import Recipe, Store, build

TINY = Recipe("tiny")


@pytest.mark.slow
def test_more_rows_than_a_question_gives(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Milvus Lite gives rows of one segment after the other, not in order of their keys: none may
    be passed over, nor the paths of a picture with many copies."""
    lite = "milvus-lite:many.db"
    for part in range(4):
        paths = fill_folder(here / "photos", 7, first=7 * part)
        build(["photos"], store=lite, recipe=TINY)
        with Store.open(lite) as store:
            store.catalog.flush()  # type: ignore[attr-defined]
    (here / "photos/copies").mkdir()
    for number in range(23):
        os.link(paths[0], here / f"photos/copies/{number:02}.png")
    build(["photos"], store=lite)
    monkeypatch.setattr("tll_index.indexer.backends.milvus.connection.AT_ONCE", 5)
    with Store.open(lite) as store:
        with store.catalog.reading() as reader:
            assert len(list(reader.folders())) == 2
            numbers = reader.image_numbers().tolist()
            assert len(numbers) == 28 and numbers == sorted(numbers)
            for at_most in (1, 3, 28, 99):
                found, after = [], 0
                while len(part := reader.vectors_from(after, at_most)[0]):
                    found += part.tolist()
                    after = found[-1]
                assert found == numbers
            folder = reader.folder_number(os.fsencode(here / "photos"))
            assert folder is not None and len(reader.entries_in(folder)) == 28
            assert max(len(reader.paths_of(number)) for number in numbers) == 24
        # Who takes the copies away, one write after the other, does not lose the picture.
        for path in sorted((here / "photos/copies").iterdir())[:-1]:
            store.catalog.write(lambda writer, path=path: writer.remove_path(os.fsencode(path)))
        paths[0].unlink()
        store.catalog.write(lambda writer: writer.remove_path(os.fsencode(paths[0])))
        assert store.catalog.remove_orphans() == 0 and len(store) == 28


@pytest.mark.slow
def test_a_lite_is_for_one_process(here: Path, spawn: Any) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store="milvus-lite:s.db", recipe=TINY)
    with Store.open("milvus-lite:s.db"):
        process = spawn("info", "--store", "milvus-lite:s.db")
        _, err = process.communicate(timeout=500)
    assert process.returncode == 1 and b"is for one at a time" in err
    assert err.count(b"\n") == 1
    process = spawn("info", "--store", "milvus-lite:s.db")
    out, err = process.communicate(timeout=500)
    assert process.returncode == 0 and b"FLAT in Milvus" in out, err


@pytest.mark.slow
def test_a_lite_opens_no_port(here: Path) -> None:
    """Whoever can log in to the machine could ask there."""
    fill_folder(here / "photos", 1)
    build(["photos"], store="milvus-lite:s.db", recipe=TINY)
    code = (
        "import pathlib, os, tiny; tiny.install()\n"
        "from tll_index import Store\n"
        "with Store.open('milvus-lite:s.db') as store:\n"
        "    len(store)\n"
        "    mine = {os.readlink(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')\n"
        "            if os.path.exists(f'/proc/self/fd/{n}')}\n"
        "    for table in ('tcp', 'tcp6'):\n"
        "        for line in open(f'/proc/self/net/{table}').read().splitlines()[1:]:\n"
        "            part = line.split()\n"
        "            if part[3] == '0A' and f'socket:[{part[9]}]' in mine:\n"
        "                print('listens', part[1])\n"
        "print('done')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(tiny.__file__).parent)}
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=500
    )
    assert found.stdout == "done\n", found.stdout + found.stderr


@pytest.mark.slow
@settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    steps=st.lists(st.sampled_from(["add", "move", "copy", "drop", "change", "build"]), max_size=8)
)
def test_any_history_ends_as_a_fresh_build(
    steps: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever happens to files between builds, a store in a Milvus says what one that was built
    anew says."""
    folder = tmp_path_factory.mktemp("history")
    photos = folder / "photos"
    fill_folder(photos, 3)
    lite = f"milvus-lite:{folder}/s.db"
    build([photos], store=lite, recipe=TINY)
    for number, step in enumerate(steps):
        files = sorted(photos.rglob("*.png"))
        chosen = files[number % len(files)]
        target = photos / f"sub{number % 2}/{step}{number}.png"
        target.parent.mkdir(exist_ok=True)
        if step == "add":
            noise(100 + number).save(target)
        elif step == "move":
            chosen.rename(target)
        elif step == "copy":
            target.write_bytes(chosen.read_bytes())
        elif step == "drop" and len(files) > 1:
            chosen.unlink()
        elif step == "change":
            noise(200 + number).save(chosen)
        elif step == "build":
            build([photos], store=lite)
    build([photos], store=lite)
    build([photos], store=folder / "fresh", recipe=TINY)
    with Store.open(lite) as one, Store.open(folder / "fresh") as other:
        facts = ("images", "paths", "unusable_files")
        told = [{name: store.info()[name] for name in facts} for store in (one, other)]
        assert told[0] == told[1]
        seen = [
            {hit.sha256: hit.paths for hit in store.query(noise(0), 100)} for store in (one, other)
        ]
        assert seen[0] == seen[1]
