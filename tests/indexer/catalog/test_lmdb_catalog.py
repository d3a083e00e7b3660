"""The catalog: what is written is found again, in any process, however large it grows."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tll_index.core.errors import StoreDamagedError
from tll_index.indexer.catalog.lmdb_catalog import LmdbCatalog as Catalog
from tll_index.indexer.catalog.lmdb_writer import LmdbWriter as Writer
from tll_index.indexer.catalog.records import ImageRecord, Reject
from tll_index.indexer.scan.walk import FileState


@pytest.fixture
def catalog(tmp_path: Path) -> Iterator[Catalog]:
    opened = Catalog(tmp_path / "catalog.mdb", os.fsencode(tmp_path))
    yield opened
    opened.close()


def add(writer: Writer, path: bytes, content: int, dimension: int = 4) -> int:
    sha256 = content.to_bytes(32, "big")
    record = ImageRecord(sha256.hex(), 10, 20, "PNG", 99)
    image = writer.add_image(sha256, record, np.full(dimension, content, np.float32))
    folder = writer.folder(os.path.dirname(path))
    writer.set_entry(folder, os.path.basename(path), FileState(1, content), image)
    return image


def test_written_is_read(catalog: Catalog) -> None:
    image = catalog.write(lambda writer: add(writer, b"/photos/a.png", 7))
    with catalog.reading() as reader:
        assert reader.image_of((7).to_bytes(32, "big")) == image
        record = reader.image(image)
        assert record is not None and (record.width, record.format) == (10, "PNG")
        assert reader.paths_of(image) == [b"/photos/a.png"]
        assert (reader.vectors(np.array([image])) == 7).all()
        number = reader.folder_number(b"/photos")
        assert number is not None
        assert reader.entries_in(number)[b"a.png"].state == FileState(1, 7)
        assert (reader.images, reader.entries, reader.orphans, reader.generation) == (1, 1, 0, 1)


def test_what_raises_leaves_no_trace(catalog: Catalog) -> None:
    def fail(writer: Writer) -> None:
        add(writer, b"/photos/a.png", 7)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        catalog.write(fail)
    with catalog.reading() as reader:
        assert (reader.images, reader.entries, reader.generation) == (0, 0, 0)


def test_copies_orphans_and_numbers(catalog: Catalog) -> None:
    first = catalog.write(lambda writer: add(writer, b"/p/a.png", 1))
    assert catalog.write(lambda writer: add(writer, b"/p/copy.png", 1)) == first
    with catalog.reading() as reader:
        assert reader.paths_of(first) == [b"/p/a.png", b"/p/copy.png"]
    catalog.write(lambda writer: writer.remove_path(b"/p/a.png"))
    with catalog.reading() as reader:
        assert (reader.orphans, reader.paths_of(first)) == (0, [b"/p/copy.png"])
    catalog.write(lambda writer: add(writer, b"/p/copy.png", 2))  # other content in its place
    with catalog.reading() as reader:
        assert reader.orphans == 1
    assert catalog.write(lambda writer: writer.remove_orphans(10)) == 1
    with catalog.reading() as reader:
        assert (reader.images, reader.image_of((1).to_bytes(32, "big"))) == (1, None)
    assert catalog.write(lambda writer: add(writer, b"/p/a.png", 1)) > first + 1


def test_rejects(catalog: Catalog) -> None:
    catalog.write(lambda writer: add(writer, b"/p/a.png", 1))
    reject = Reject(FileState(5, -6), "damaged", "is damaged", "pillow 1")
    catalog.write(lambda writer: writer.reject(writer.folder(b"/p"), b"a.png", reject))
    with catalog.reading() as reader:
        assert reader.rejects_in(1) == {b"a.png": reject}
        assert (reader.entries, reader.orphans, reader.rejected) == (0, 1, 1)
    catalog.write(lambda writer: add(writer, b"/p/a.png", 1))
    with catalog.reading() as reader:
        assert (reader.entries, reader.orphans, reader.rejected) == (1, 0, 0)


def test_empty_folders_are_forgotten(catalog: Catalog) -> None:
    catalog.write(lambda writer: add(writer, b"/p/a.png", 1))
    catalog.write(lambda writer: writer.remove_empty_folder(1))
    with catalog.reading() as reader:
        assert reader.folder_number(b"/p") == 1
    catalog.write(lambda writer: writer.remove_entry(1, b"a.png"))
    catalog.write(lambda writer: writer.remove_empty_folder(1))
    with catalog.reading() as reader:
        assert reader.folder_number(b"/p") is None and not list(reader.folders())


name = (
    st.binary(min_size=1, max_size=255)
    .filter(lambda raw: not {0, 47} & set(raw))
    .filter(lambda raw: raw not in (b".", b".."))
)


@settings(max_examples=40, deadline=None)
@given(parts=st.lists(name, min_size=2, max_size=16), inside=st.booleans())
def test_any_path_survives(
    parts: list[bytes], inside: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    base = os.fsencode(tmp_path_factory.mktemp("catalog"))
    path = (base if inside else b"") + b"/" + b"/".join(parts)
    catalog = Catalog(Path(os.fsdecode(base)) / "catalog.mdb", base)
    image = catalog.write(lambda writer: add(writer, path, 1))
    with catalog.reading() as reader:
        assert reader.paths_of(image) == [path]
        assert [folder for _, folder in reader.folders()] == [os.path.dirname(path)]
    catalog.close()


def test_paths_follow_the_store(tmp_path: Path) -> None:
    (tmp_path / "old").mkdir()
    catalog = Catalog(tmp_path / "old/catalog.mdb", os.fsencode(tmp_path / "old"))

    def fill(writer: Writer) -> None:
        add(writer, os.fsencode(tmp_path / "old/in/a.png"), 1)
        add(writer, os.fsencode(tmp_path / "old/b.png"), 2)
        add(writer, b"/elsewhere/c.png", 3)
        writer.set_roots([os.fsencode(tmp_path / "old"), b"/elsewhere"])

    catalog.write(fill)
    catalog.close()
    new = tmp_path / "new"
    (tmp_path / "old").rename(new)
    catalog = Catalog(new / "catalog.mdb", os.fsencode(new))
    with catalog.reading() as reader:
        paths = [reader.paths_of(image) for image in (1, 2, 3)]
        assert paths == [
            [os.fsencode(new / "in/a.png")],
            [os.fsencode(new / "b.png")],
            [b"/elsewhere/c.png"],
        ]
        assert reader.roots() == [os.fsencode(new), b"/elsewhere"]
    catalog.close()


@pytest.mark.slow
def test_the_map_grows_while_others_read(tmp_path: Path) -> None:
    """Twice the first map is written, while threads here and a process elsewhere read on."""
    path = tmp_path / "catalog.mdb"
    catalog = Catalog(path, os.fsencode(tmp_path))
    catalog.write(lambda writer: add(writer, b"/p/0.png", 0))
    elsewhere = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import os, sys\n"
            "from pathlib import Path\n"
            "from tll_index.indexer.catalog.lmdb_catalog import LmdbCatalog as Catalog\n"
            "catalog = Catalog(Path(sys.argv[1]), b'/')\n"
            "for line in sys.stdin:\n"
            "    with catalog.reading() as reader:\n"
            "        last = reader.vectors(reader.image_numbers()[-1:])[0, 0]\n"
            "        print(reader.images, last, flush=True)\n",
            path,
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert elsewhere.stdin is not None and elsewhere.stdout is not None

    def read_again() -> str:
        elsewhere.stdin.write("?\n")
        elsewhere.stdin.flush()
        return elsewhere.stdout.readline().strip()

    assert read_again() == "1 0.0"
    stop = threading.Event()
    failures: list[BaseException] = []

    def read() -> None:
        try:
            while not stop.is_set():
                with catalog.reading() as reader:
                    assert reader.images == len(reader.image_numbers())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=read) for _ in range(3)]
    for thread in threads:
        thread.start()
    for batch in range(4):  # 4 x 8 x 4 MiB

        def fill(writer: Writer, batch: int = batch) -> None:
            for number in range(8):
                add(
                    writer, b"/p/%d.png" % (1 + 8 * batch + number), 1 + 8 * batch + number, 1 << 20
                )

        catalog.write(fill)
        assert read_again() == f"{9 + 8 * batch} {8.0 + 8 * batch}"
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert path.stat().st_size > 128 << 20
    elsewhere.stdin.close()
    assert elsewhere.wait(500) == 0
    catalog.close()


def test_two_users_in_one_process_share(tmp_path: Path) -> None:
    first = Catalog(tmp_path / "catalog.mdb", b"/")
    second = Catalog(tmp_path / "catalog.mdb", b"/")
    first.write(lambda writer: add(writer, b"/a.png", 1))
    first.close()
    with second.reading() as reader:
        assert reader.images == 1
    second.close()


def test_no_catalog_is_not_opened(tmp_path: Path) -> None:
    (tmp_path / "catalog.mdb").write_bytes(b"not LMDB at all" * 1000)
    with pytest.raises(StoreDamagedError, match=r"catalog\.mdb is damaged"):
        Catalog(tmp_path / "catalog.mdb", b"/")


def test_a_cut_off_catalog_is_noticed(tmp_path: Path) -> None:
    """Reading past the end of a mapped file would kill the process."""
    path = tmp_path / "catalog.mdb"
    catalog = Catalog(path, b"/")
    for content in range(50):
        catalog.write(lambda writer, content=content: add(writer, b"/p/%d" % content, content))
    catalog.close()
    os.truncate(path, path.stat().st_size // 2 // 4096 * 4096)
    with pytest.raises(StoreDamagedError, match="is cut off"):
        Catalog(path, b"/")


def test_closing_twice_closes_once(tmp_path: Path) -> None:
    first = Catalog(tmp_path / "catalog.mdb", b"/")
    second = Catalog(tmp_path / "catalog.mdb", b"/")
    first.close()
    first.close()
    with second.reading() as reader:
        assert reader.images == 0
    second.close()


@pytest.mark.slow
def test_it_grew_elsewhere_while_open_here(tmp_path: Path) -> None:
    """Another process takes the catalog past this one's map: writing and opening go on."""
    path = tmp_path / "catalog.mdb"
    here = Catalog(path, b"/")
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "from test_lmdb_catalog import Catalog, add\n"
        "catalog = Catalog(Path(sys.argv[1]), b'/')\n"
        "for n in range(30): catalog.write(lambda w: add(w, b'/p/%d.png' % n, n, 1 << 20))\n"
    )
    command = [sys.executable, "-c", code, path, Path(__file__).parent]
    subprocess.run(command, check=True)
    assert path.stat().st_size > 64 << 20
    there = Catalog(path, b"/")
    here.write(lambda writer: add(writer, b"/p/mine.png", 99))
    with there.reading() as reader:
        assert reader.images == 31
    here.close()
    there.close()


def test_a_forked_child_opens_its_own(tmp_path: Path) -> None:
    catalog = Catalog(tmp_path / "catalog.mdb", b"/")
    catalog.write(lambda writer: add(writer, b"/p/a.png", 1))
    child = os.fork()
    if child == 0:  # pragma: no cover
        try:
            own = Catalog(tmp_path / "catalog.mdb", b"/")
            with own.reading() as reader:
                os._exit(0 if own._environment is not catalog._environment and reader.images else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    catalog.close()
