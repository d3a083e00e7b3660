"""Stores in a Milvus: what a folder has not. What both have is tested where folders are (see the
fixture `anywhere`)."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import tiny
from conftest import Result
from milvus_server import Served, milvus, self_signed
from pictures import fill_folder, noise
from tll_index import Recipe, Store, build, forget
from tll_index.core.config import load_settings
from tll_index.core.errors import (
    NoStoreError,
    StoreBusyError,
    StoreError,
    StoreMismatchError,
    TllError,
    UsageError,
)
from tll_index.core.location import Milvus, located
from tll_index.indexer.backends.milvus.claims import claimed
from tll_index.indexer.backends.milvus.connection import connect
from tll_index.indexer.backends.milvus.schema import (
    Names,
    entry_in,
    entry_row,
    from_text,
    note_row,
    notes_shape,
    number_from,
    to_text,
)
from tll_index.indexer.catalog.records import ImageRecord, PathEntry, Reject
from tll_index.indexer.scan.walk import FileState
from tll_index.indexer.store.resolve import folder_in_use, only_writer

TINY = Recipe("tiny")


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with milvus(tmp_path_factory.mktemp("milvus") / "data") as served:
        yield served


def answers(store: str, paths: list[Path]) -> dict[Path, list[tuple[str, float]]]:
    with Store.open(store) as opened:
        return {
            path: [(hit.path, hit.score) for hit in opened.query(path, 5, include_self=True)]
            for path in paths
        }


# -- addresses -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("milvus://h:1/c", Milvus("c", "h", 1)),
        ("milvus://h/c", Milvus("c", "h", 19530)),
        ("milvus://h:1/db/c", Milvus("c", "h", 1, "db")),
        ("milvus://[::1]:2/c", Milvus("c", "::1", 2)),
        ("milvus-lite:///x/y.db", Milvus("tll_index", file=Path("/x/y.db"))),
        ("milvus-lite:///x/y.db#c", Milvus("c", file=Path("/x/y.db"))),
    ],
)
def test_addresses(text: str, wanted: Milvus) -> None:
    assert located(text) == wanted
    assert located(str(wanted)) == wanted
    assert located(wanted) is wanted


def test_relative_files_are_of_the_current_folder(here: Path) -> None:
    assert located("milvus-lite:y.db") == Milvus("tll_index", file=here / "y.db")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("milvus://h:1", "is not the address of a store"),
        ("milvus://h:x/c", "makes no sense"),
        ("milvus:///c", "is not the address of a store"),
        ("milvus://h:1/a/b/c", "is not the address of a store"),
        ("milvus://h:1/1c", "is not a name for a collection"),
        ("milvus://h:1/c-d", "is not a name for a collection"),
        ("milvus-lite:///", "names no file"),
        ("milvus-lite:///x/y", "ends with .db"),
        ("milvus://root:secret@h:1/c", "leave user, password and options out"),
        ("milvus://h:1/c?token=secret", "leave user, password and options out"),
    ],
)
def test_addresses_that_make_no_sense(
    text: str, says: str, tll_index: Callable[..., Result], here: Path
) -> None:
    with pytest.raises(UsageError, match=says):
        located(text)
    result = tll_index("info", "--store", text)
    assert result.code == 2 and says in result.err
    assert "secret" not in result.err + result.out and "Traceback" not in result.err


@given(st.binary(min_size=1, max_size=255).filter(lambda name: b"/" not in name))
def test_names_of_any_bytes_are_texts(name: bytes) -> None:
    text = to_text(name)
    assert text.encode() is not None and from_text(text) == name
    assert from_text(to_text(b"/" + name)) == b"/" + name


@given(st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1), st.integers(1, 2**63 - 1))
def test_states_of_any_file_are_kept(size: int, mtime_ns: int, image: int) -> None:
    state = FileState(size, mtime_ns)
    for known in (PathEntry(state, image), Reject(state, "damaged", "it is broken", "jpeg")):
        row = entry_row(7, b"a.png", known)
        assert -(2**63) <= row["size"] < 2**63
        assert entry_in(row) == known


# -- a server, which many ask ----------------------------------------------------


def test_builds_and_queries_through_a_server(here: Path, server: Served, spawn: Any) -> None:
    paths = fill_folder(here / "photos", 30)
    build(["photos"], store="folder", recipe=TINY)
    process = spawn("build", "photos", "--backbone", "tiny", "--store", server.address())
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0 and b"30 added" in out, err
    found, wanted = answers(server.address(), paths), answers("folder", paths)
    for path in paths:
        assert [hit for hit, _ in found[path]] == [hit for hit, _ in wanted[path]]
        assert np.allclose([s for _, s in found[path]], [s for _, s in wanted[path]], atol=2e-6)
    assert build(["photos"], store=server.address()).unchanged == 30


def test_only_a_store_on_this_machine_fills_a_folder(here: Path) -> None:
    assert folder_in_use(here / "store") == os.fsencode(here / "store")
    assert folder_in_use(located("milvus-lite:y.db")) == os.fsencode(here / "y.db")
    assert folder_in_use(located("milvus://h:1/c")) is None


def test_a_collection_whose_index_was_never_made_gets_it(here: Path, server: Served) -> None:
    """A build was cut short between the two."""
    location = located(server.address())
    assert isinstance(location, Milvus)
    connection = connect(location)
    schema, _ = notes_shape()
    connection.call("create_collection", Names("photos").notes, schema=schema)
    connection.close()
    fill_folder(here / "photos", 2)
    assert build(["photos"], store=server.address(), recipe=TINY).added == 2
    assert len(answers(server.address(), [here / "photos/picture0000.png"])) == 1


def test_who_has_it_open_sees_what_a_build_brings(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 6)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store:
        assert len(store.query(noise(0), 20, filter=["*.png"])) == 6
        fill_folder(here / "photos", 4, first=6)
        (here / "photos/picture0000.png").unlink()
        build(["photos"], store=server.address())
        hits = store.query(noise(0), 20)
        assert len(hits) == 9 == len(store.query(noise(0), 20, filter=["*.png"]))
        assert str(here / "photos/picture0000.png") not in {hit.path for hit in hits}


def test_a_question_takes_few_calls(here: Path, server: Served) -> None:
    """However many hits: each call waits for a network."""
    fill_folder(here / "photos", 40)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store:
        store.query(noise(0), 1)
        calls = {}
        for k in (1, 30):
            server.called.clear()
            assert len(store.query(noise(0), k)) == k
            calls[k] = len(server.called)
    assert calls[30] == calls[1] <= 5


def test_a_batch_takes_few_calls(here: Path, server: Served) -> None:
    fill_folder(here / "few", 2)
    build(["few"], store=server.address("few"), recipe=TINY)
    few = len(server.called)
    fill_folder(here / "many", 60)
    server.called.clear()
    build(["many"], store=server.address("many"), recipe=TINY)
    # Whether a content is known is asked for each, to decode nothing for nothing; all else at once.
    assert len(server.called) - few < 1.5 * 58


def test_one_writer_at_a_time(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 3)
    build(["photos"], store=server.address(), recipe=TINY)
    with only_writer(located(server.address())):
        with pytest.raises(
            StoreBusyError, match=rf"process {os.getpid()} on .* is writing to milvus"
        ):
            build(["photos"], store=server.address())
        assert len(answers(server.address(), [])) == 0
    assert build(["photos"], store=server.address()).unchanged == 3


def test_of_two_that_come_at_once_at_most_one_writes(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    inside: list[int] = []
    most: list[int] = []
    ready = threading.Barrier(6)

    def come() -> None:
        ready.wait()
        try:
            with only_writer(located(server.address())):
                inside.append(1)
                most.append(len(inside))
                time.sleep(0.3)
                inside.pop()
        except StoreBusyError:
            pass

    threads = [threading.Thread(target=come) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert max(most, default=1) == 1


def test_the_claim_of_a_writer_that_is_gone_ends(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    connection = connect(located(server.address()))  # type: ignore[arg-type]
    names = Names("photos")
    try:
        for until, busy in ((time.time() + 50, True), (time.time() - 1, False)):
            value = f'{{"host": "other", "process": 7, "until": {until}}}'
            connection.upsert(names.notes, [note_row("claim:other", "claim", value)])
            if busy:
                with pytest.raises(StoreBusyError, match="process 7 on other"):
                    build(["photos"], store=server.address())
            else:
                assert build(["photos"], store=server.address()).unchanged == 1
    finally:
        connection.close()


def test_a_claim_is_renewed(here: Path, server: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    monkeypatch.setattr("tll_index.indexer.backends.milvus.claims._RENEWED", 0.1)
    connection = connect(located(server.address()))  # type: ignore[arg-type]
    try:
        with claimed(connection, Names("photos")):
            server.called.clear()
            deadline = time.monotonic() + 30
            while server.called.count("Upsert") < 3:
                assert time.monotonic() < deadline
                time.sleep(0.02)
    finally:
        connection.close()


@pytest.mark.parametrize("fails_at", range(1, 9))
def test_a_write_that_fails_anywhere_loses_nothing(
    fails_at: int, here: Path, server: Served
) -> None:
    """Each of the calls that make up a write: the next build ends what it began."""
    paths = fill_folder(here / "photos", 8)
    build(["photos"], store=server.address(), recipe=TINY)
    paths[0].rename(here / "photos/moved.png")
    paths[1].unlink()
    noise(77).save(paths[2])
    paths += fill_folder(here / "photos/more", 4, first=20)
    server.fails_at = fails_at + 1  # after the claim
    with pytest.raises(StoreError, match="the disk is gone"):
        build(["photos"], store=server.address())
    assert not server.fails_at
    build(["photos"], store=server.address())
    build(["photos"], store="anew", recipe=TINY)
    there = list((here / "photos").rglob("*.png"))
    found, wanted = answers(server.address(), there), answers("anew", there)
    assert {p: [h for h, _ in hits] for p, hits in found.items()} == {
        p: [h for h, _ in hits] for p, hits in wanted.items()
    }
    with Store.open(server.address()) as store, store.catalog.reading() as reader:
        assert (reader.images, reader.orphans, reader.entries) == (11, 0, 11)


def test_contents_with_the_same_63_bits(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 2)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store:
        digests = [b"same bits" + bytes([n] * 23) for n in range(3)]
        assert len({number_from(digest) for digest in digests}) == 1

        def add(writer: Any, digest: bytes, name: bytes) -> int:
            record = ImageRecord(digest.hex(), 1, 1, "PNG", 5)
            number = writer.add_image(digest, record, np.eye(16, dtype=np.float32)[0])
            folder = writer.folder(os.fsencode(here / "made"))
            writer.set_entry(folder, name, FileState(5, 5), number)
            return int(number)

        numbers = [
            store.catalog.write(lambda writer, d=digest, n=n: add(writer, d, b"%d.png" % n))
            for n, digest in enumerate(digests)
        ]
        assert numbers == [number_from(digests[0], probe) for probe in range(3)]
        with store.catalog.reading() as reader:
            assert [reader.image_of(digest) for digest in digests] == numbers
            assert reader.image_of(b"same bits" + bytes(23)[:-1] + b"x") is None
        again = store.catalog.write(lambda writer: add(writer, digests[1], b"copy.png"))
        assert again == numbers[1]
        assert len(store.picture(digests[1].hex()).paths) == 2


def test_long_reasons_in_any_letters_fit(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    known = Reject(FileState(1, 1), "damaged", "\udcff" * 3000, "\u00e9" * 3000)
    with Store.open(server.address()) as store:
        store.catalog.write(lambda writer: writer.reject(writer.folder(b"/x"), b"a.png", known))
        with store.catalog.reading() as reader:
            folder = reader.folder_number(b"/x")
            assert folder is not None
            found = reader.file_in(folder, b"a.png")
            assert isinstance(found, Reject) and found.message == "\udcff" * 2048


# -- more than one question can answer ------------------------------------------


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


# -- what goes wrong -------------------------------------------------------------


def test_a_milvus_that_is_not_there(here: Path, tll_index: Callable[..., Result]) -> None:
    started = time.monotonic()
    result = tll_index("info", "--store", "milvus://127.0.0.1:9/photos")
    assert time.monotonic() - started < 60
    assert result.code == 1 and "can't be reached" in result.err
    assert result.err.count("\n") == 1 and "Traceback" not in result.err


def test_a_milvus_without_a_store(
    here: Path, server: Served, tll_index: Callable[..., Result]
) -> None:
    with pytest.raises(NoStoreError, match="no store in milvus://"):
        Store.open(server.address())
    result = tll_index("query", "x.png", "--store", server.address())
    assert result.code == 1 and "make one with 'tll-index build DIR --store milvus://" in result.err


def test_a_collection_of_somebody_else(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    connection = connect(located(server.address()))  # type: ignore[arg-type]
    try:
        connection.call("create_collection", "photos", dimension=8)
    finally:
        connection.close()
    with pytest.raises(StoreError, match="there is a collection photos that is not a store"):
        build(["photos"], store=server.address(), recipe=TINY)


def test_a_newer_format(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store:
        document = {**store.about.document(), "format": 99}
        store.catalog.write(lambda writer: writer.set_about(document))
    with pytest.raises(StoreMismatchError, match="upgrade tll-index"):
        Store.open(server.address())


def test_a_lite_is_for_one_process(here: Path, spawn: Any) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store="milvus-lite:s.db", recipe=TINY)
    with Store.open("milvus-lite:s.db"):
        process = spawn("info", "--store", "milvus-lite:s.db")
        _, err = process.communicate(timeout=60)
    assert process.returncode == 1 and b"is for one at a time" in err
    assert err.count(b"\n") == 1
    process = spawn("info", "--store", "milvus-lite:s.db")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0 and b"FLAT in Milvus" in out, err


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
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, timeout=120
    )
    assert found.stdout == "done\n", found.stdout + found.stderr


def test_without_pymilvus(here: Path) -> None:
    code = (
        "import sys; sys.modules['pymilvus'] = None\n"
        "sys.argv = ['tll-index', 'info', '--store', 'milvus://h:1/c']\n"
        "from tll_index.cli import main; main()"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert found.returncode == 1
    assert found.stderr.count("\n") == 1 and "pip install 'tll-index[milvus]'" in found.stderr


def test_what_only_folders_have_is_said(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store, pytest.raises(UsageError, match="tll-index copy"):
        _ = store.path


@pytest.mark.parametrize("index", ["flat", "hnsw", "ivf"])
def test_indexes(index: str, here: Path, server: Served) -> None:
    fill_folder(here / "photos", 5)
    chosen = load_settings(index=index)
    build(["photos"], store=server.address(), recipe=TINY, settings=chosen)
    with Store.open(server.address()) as store:
        kinds = {"flat": "FLAT", "hnsw": "HNSW", "ivf": "IVF_SQ8"}
        assert store.info()["index"]["kind"] == f"{kinds[index]} in Milvus"
        assert len(store.query(noise(0), 5)) == 5


def test_another_index_takes_the_place_of_one(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 5)
    build(["photos"], store=server.address(), recipe=TINY)
    before = answers(server.address(), [here / "photos/picture0000.png"])
    build(["photos"], store=server.address(), settings=load_settings(index="flat"))
    with Store.open(server.address()) as store:
        assert store.info()["index"]["kind"] == "FLAT in Milvus"
    assert answers(server.address(), [here / "photos/picture0000.png"]) == before


def test_no_such_index(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    with pytest.raises(UsageError, match="Milvus has no such index; choose one of auto, flat"):
        build(
            ["photos"],
            store=server.address(),
            recipe=TINY,
            settings=load_settings(index="IVF4,Flat"),
        )


# -- secrets ---------------------------------------------------------------------


def test_a_token_and_tls(
    here: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    tll_index: Callable[..., Result],
    spawn: Any,
) -> None:
    fill_folder(here / "photos", 3)
    key, certificate = self_signed()
    (here / "ca.pem").write_bytes(certificate)
    token = "root:a very secret word"
    with milvus(tmp_path / "data", token=token, certificate=(key, certificate)) as server:
        address = server.address(host="localhost")
        command = ("build", "photos", "--backbone", "tiny", "--store", address)
        monkeypatch.setenv("TLL_MILVUS_TIMEOUT", "5")
        plain = tll_index(*command)
        assert plain.code == 1 and "TLL_MILVUS_TLS" in plain.err
        monkeypatch.setenv("TLL_MILVUS_TLS", "1")
        unknown = tll_index(*command)  # an authority that this machine does not trust
        assert unknown.code == 1 and "can't be reached" in unknown.err
        monkeypatch.setenv("TLL_MILVUS_CA", str(here / "ca.pem"))
        monkeypatch.setenv("TLL_MILVUS_TOKEN", "root:a wrong secret word")
        wrong = tll_index(*command)
        assert wrong.code == 1 and "set TLL_MILVUS_TOKEN" in wrong.err
        monkeypatch.setenv("TLL_MILVUS_TOKEN", token)
        process = spawn(*command, "--debug")
        seen = Path(f"/proc/{process.pid}/cmdline").read_bytes()
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0 and b"3 added" in out, err
        right = tll_index("info", "--store", address)
        assert right.code == 0
    for text in (plain, unknown, wrong, right):
        assert "secret word" not in text.out + text.err
    assert b"secret word" not in out + err + seen


def test_security_that_makes_no_sense(
    here: Path, server: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value, says in (
        ("TLL_MILVUS_CA", "missing.pem", "TLL_MILVUS_CA names a file that can't be read"),
        ("TLL_MILVUS_CERT", __file__, "are set together or not at all"),
        ("TLL_MILVUS_TIMEOUT", "soon", "'soon' is not a number of seconds"),
    ):
        with monkeypatch.context() as patched:
            patched.setenv(name, value)
            with pytest.raises(UsageError, match=says):
                Store.open(server.address())


# -- forgetting ------------------------------------------------------------------


def test_what_is_forgotten_is_found_no_more(here: Path, server: Served) -> None:
    paths = fill_folder(here / "photos", 6)
    build(["photos"], store=server.address(), recipe=TINY)
    assert forget([paths[2]], store=server.address()).images == 1
    with Store.open(server.address()) as store:
        assert len(store) == 5
        assert str(paths[2]) not in {hit.path for hit in store.query(noise(2), 10)}
        with store.catalog.reading() as reader:
            assert not reader.wiping
    assert {"Compact", "ManualCompaction"} & set(server.called)


def test_a_build_that_is_stopped_goes_on(
    here: Path, server: Served, spawn: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill_folder(here / "photos", 40)
    tiny.watch(monkeypatch, here / "log", 0.1)
    command = ("build", "photos", "--backbone", "tiny", "--batch-size", "4")
    process = spawn(*command, "--store", server.address())
    deadline = time.monotonic() + 60
    while not (here / "log").exists() or (here / "log").read_text().count("\n") < 4:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode in (130, -signal.SIGINT), err
    kept = len(answers(server.address(), [])) or len(Store.open(server.address()))
    assert 8 <= kept < 40
    report = build(["photos"], store=server.address())
    assert (report.unchanged, report.added) == (kept, 40 - kept)


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


def test_errors_are_ours(here: Path, server: Served) -> None:
    """Whatever a Milvus says comes as an error of this project."""
    fill_folder(here / "photos", 1)
    build(["photos"], store=server.address(), recipe=TINY)
    with Store.open(server.address()) as store:
        connection = connect(located(server.address()))  # type: ignore[arg-type]
        connection.call("drop_collection", "photos_places")
        connection.close()
        with pytest.raises(TllError, match="Milvus says"):
            store.query(noise(0))
