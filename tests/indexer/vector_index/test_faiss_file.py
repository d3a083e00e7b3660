"""The FAISS file is derived: whatever happens to it, answers stay those of the catalog."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tll_index.core.errors import StoreDamagedError, StoreError, UsageError
from tll_index.core.progress import Progress
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit
from tll_index.indexer.catalog.lmdb_catalog import LmdbCatalog as Catalog
from tll_index.indexer.catalog.lmdb_writer import LmdbWriter as Writer
from tll_index.indexer.catalog.records import NUMBER, ImageRecord
from tll_index.indexer.vector_index import faiss_file as vectors
from tll_index.indexer.vector_index.index_builder import IndexBuilder, IndexRequest
from tll_index.indexer.vector_index.live_index import LiveIndex

ID = b"0123456789abcdef"
DIMENSION = 8
QUIET = Progress()
MEMORY = 1 << 30


def vector(content: int) -> np.ndarray:
    return unit(np.random.default_rng(content).normal(size=(1, DIMENSION)).astype(np.float32))[0]


def put(writer: Writer, content: int) -> None:
    sha256 = content.to_bytes(32, "big")
    image = writer.add_image(sha256, ImageRecord(sha256.hex(), 1, 1, "PNG", 1), vector(content))
    writer.set_entry(writer.folder(b"/p"), b"%d" % content, (1, 1), image)  # type: ignore[arg-type]


def drop(writer: Writer, content: int) -> None:
    writer.remove_path(b"/p/%d" % content)
    writer.remove_orphans(5)


class Kept:
    """A catalog with a FAISS file beside it."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "vectors.faiss"
        self.catalog = Catalog(folder / "catalog.mdb", b"/")
        lens = Lens("tiny", DIMENSION)
        self.builder = IndexBuilder(self.catalog, self.path, ID, DIMENSION, lambda: lens)
        self.live = self.opened()

    def opened(self) -> LiveIndex:
        return LiveIndex(self.path, ID, DIMENSION)

    def put(self, *contents: int) -> None:
        self.catalog.write(lambda writer: [put(writer, content) for content in contents])

    def drop(self, content: int) -> None:
        self.catalog.write(lambda writer: drop(writer, content))

    def arrange(self, index: str = "auto", memory: int = MEMORY) -> None:
        self.builder.build(IndexRequest(index, memory), QUIET)

    def notes(self) -> vectors.Notes:
        known = vectors.glance(self.path, ID, whole=True)
        assert known is not None
        return known[0]

    def check(self, contents: set[int], live: LiveIndex | None = None) -> None:
        """What it finds is what is there, with exact scores in the right order."""
        live = live or self.live
        query = vector(-1 & 0xFFFF)[None]
        with self.catalog.reading() as reader:
            live.follow(reader)
            (found,) = live.nearest(query, max(1, len(contents)), reader)
            numbers = {reader.image_of(one.to_bytes(32, "big")): one for one in contents}
        assert {int(number) for number in found.ids[0]} == set(numbers)
        wanted = [float(vector(numbers[int(number)]) @ query[0]) for number in found.ids[0]]
        assert np.allclose(found.scores[0], wanted, atol=2e-6)
        assert (np.diff(found.scores[0]) <= 0).all()


@pytest.fixture
def kept(tmp_path: Path) -> Iterator[Kept]:
    """Twenty images and a file that covers them."""
    one = Kept(tmp_path)
    for content in range(20):
        one.put(content)
    one.arrange()
    yield one
    one.catalog.close()


@settings(max_examples=40, deadline=None)
@given(
    index=st.sampled_from(["flat", "ivf", "hnsw", "IVF2,SQ8", "PCA4,IVF2,Flat"]),
    steps=st.lists(st.tuples(st.sampled_from("+-sl"), st.integers(0, 19)), min_size=1, max_size=30),
)
def test_it_follows_the_catalog(
    index: str, steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    one = Kept(tmp_path_factory.mktemp("store"))
    one.put(100, 101, 102, 103, 104)
    contents = {100, 101, 102, 103, 104}
    for action, content in steps:
        if action == "+":
            one.put(content)
            contents.add(content)
        elif action == "-" and content in contents:
            one.drop(content)
            contents.remove(content)
        elif action == "s":
            one.arrange(index)
        elif action == "l":
            one.live = one.opened()
        one.check(contents)
    one.catalog.close()


def test_what_was_saved_is_used(kept: Kept) -> None:
    file = vectors.load(kept.path, ID, DIMENSION)
    assert file is not None
    assert (file.covered.generation, len(file.exact), file.notes.factory) == (20, 20, "Flat")
    assert not list(kept.path.parent.glob("*.new"))
    kept.check(set(range(20)))
    assert kept.live.changes == 0
    assert kept.builder.due(IndexRequest("auto", MEMORY)) is None


@pytest.mark.parametrize("index", ["flat", "ivf"])
@pytest.mark.parametrize("damage", ["deleted", "empty", "torn", "flipped", "foreign", "garbage"])
def test_damage_is_noticed_and_mended(kept: Kept, damage: str, index: str) -> None:
    kept.arrange(index)
    whole = kept.path.read_bytes()
    owner = b"another store..." if damage == "foreign" else ID
    for at in range(0, len(whole), 97) if damage == "flipped" else [0]:
        flipped = bytearray(whole)
        flipped[at] ^= 1
        replaced = {
            "empty": b"",
            "torn": whole[:-200],
            "flipped": bytes(flipped),
            "garbage": os.urandom(500),
        }
        if damage == "deleted":
            kept.path.unlink()
        elif damage in replaced:
            kept.path.write_bytes(replaced[damage])
        assert vectors.load(kept.path, owner, DIMENSION) is None
        assert vectors.glance(kept.path, owner, whole=True) is None
    kept.check(set(range(20)), LiveIndex(kept.path, owner, DIMENSION))
    kept.arrange(index)
    assert vectors.load(kept.path, ID, DIMENSION) is not None


def test_of_another_dimension_is_not_used(kept: Kept) -> None:
    assert vectors.load(kept.path, ID, DIMENSION + 1) is None


def test_a_catalog_restored_from_a_copy_gets_a_new_index(tmp_path: Path) -> None:
    """Two pasts of one store reach the same generation and numbers with other contents."""
    one = Kept(tmp_path)
    for content in range(20):
        one.put(content)
    one.arrange()
    one.catalog.close()
    path = tmp_path / "catalog.mdb"
    copy = path.read_bytes()
    for past, content in ((None, 100), (copy, 200)):
        if past is not None:
            path.write_bytes(past)
        one = Kept(tmp_path)
        one.put(content)
        assert one.builder.due(IndexRequest("flat", MEMORY)) is not None
        one.check({*range(20), content})
        one.arrange()
        assert one.notes().images == 21
        one.check({*range(20), content}, one.opened())
        one.catalog.close()


def test_a_file_from_long_ago_is_caught_up(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tll_index.indexer.catalog.lmdb_writer._HISTORY", 5)
    for content in range(20, 32):
        kept.put(content)
    kept.drop(3)
    live = kept.opened()
    kept.check(set(range(32)) - {3}, live)
    assert live.file is not None and live.changes == 13


def test_history_and_removals_do_not_pile_up(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tll_index.indexer.catalog.lmdb_writer._HISTORY", 5)
    for turn in range(6):
        for content in range(50, 60):
            kept.put(content)
        for content in range(50, 60):
            kept.drop(content)
        kept.arrange(memory=MEMORY + turn)
    with kept.catalog.reading() as reader:
        assert reader._count("history") <= 20 + 5 + 2  # twenty are from before
        assert reader._count("removals") == 0


def test_of_a_store_that_recorded_no_removals(kept: Kept) -> None:
    """As an earlier version wrote it: the file is not believed, since it holds too much."""
    kept.drop(7)
    with kept.catalog.reading() as reader:
        generation = reader.generation
    kept.catalog.write(lambda writer: writer._delete("removals", NUMBER.pack(generation)))
    live = kept.opened()
    kept.check(set(range(20)) - {7}, live)
    assert live.file is None
    kept.arrange()
    assert kept.notes().images == 19


def test_few_changes_are_left_to_readers(tmp_path: Path) -> None:
    one = Kept(tmp_path)
    one.put(*range(3000))
    one.arrange()
    one.put(3000, 3001)
    before = one.path.stat().st_ino
    one.arrange()
    assert one.path.stat().st_ino == before
    one.check(set(range(3002)))
    one.put(3002, 3003)
    one.arrange()
    assert one.notes().images == 3004
    one.catalog.close()


def test_a_reader_goes_over_to_a_newer_file(kept: Kept) -> None:
    kept.check(set(range(20)))
    kept.put(*range(20, 40))
    kept.check(set(range(40)))
    assert kept.live.changes == 20
    kept.arrange("ivf")
    kept.put(40)
    kept.check(set(range(41)))
    assert kept.live.changes == 1
    assert kept.live.file is not None and kept.live.file.notes.family == "IVF*,SQ8"


def test_lists_are_mapped_not_read(kept: Kept) -> None:
    kept.arrange("ivf")
    file = vectors.load(kept.path, ID, DIMENSION)
    assert file is not None
    lists = faiss.downcast_InvertedLists(file.index.invlists)
    assert isinstance(lists, faiss.OnDiskInvertedLists)
    kept.path.unlink()  # as when a newer file takes its place
    assert vectors.stamp_of(kept.path) is None
    query = vector(5)[None]
    assert file.index.search(query, 1)[1].shape == (1, 1)


@pytest.mark.slow
def test_growth_and_loss_make_it_anew(tmp_path: Path) -> None:
    one = Kept(tmp_path)
    one.put(*range(200))
    one.arrange("ivf")
    first = one.notes()
    one.put(*range(200, 700))
    one.arrange("ivf")
    assert (one.notes().trained_on, one.notes().factory) == (200, first.factory)
    one.put(*range(700, 900))
    one.arrange("ivf")
    assert one.notes().trained_on == 900
    assert one.notes().factory != first.factory
    for content in range(800):
        one.drop(content)
    one.arrange("ivf")
    assert one.notes().trained_on == 100
    one.check(set(range(800, 900)))
    one.arrange("flat")
    assert one.notes().factory == "Flat"
    one.catalog.close()


def test_no_such_index(kept: Kept) -> None:
    before = kept.path.read_bytes()
    with pytest.raises(UsageError, match="'cheese' is none of auto, flat, ivf, hnsw"):
        kept.arrange("cheese")
    with pytest.raises(UsageError, match="number of subquantizers"):
        kept.arrange("IVF2,PQ3")
    with pytest.raises(UsageError, match="can't be trained on 20 vectors"):
        kept.arrange("IVF500,Flat")
    assert kept.path.read_bytes() == before
    kept.check(set(range(20)), kept.opened())


def test_a_catalog_that_lost_a_vector_says_so(kept: Kept) -> None:
    kept.catalog.write(lambda writer: writer._delete("vectors", NUMBER.pack(7)))
    kept.path.unlink()
    with pytest.raises(StoreDamagedError, match="damaged \\(KeyError\\(7\\)\\)"):
        kept.check(set(range(20)), kept.opened())
    with pytest.raises(StoreDamagedError, match="lists 20 images and holds 19 vectors"):
        kept.arrange()


def test_where_it_can_not_be_written_the_old_one_stays(kept: Kept) -> None:
    kept.put(*range(20, 30))
    before = kept.path.read_bytes()
    (kept.path.parent / "vectors.faiss.new").mkdir()
    with pytest.raises(StoreError):
        kept.arrange()
    assert kept.path.read_bytes() == before
    kept.check(set(range(30)), kept.opened())


def test_a_file_as_another_faiss_would_write_it(
    kept: Kept, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = vectors.load(kept.path, ID, DIMENSION)
    monkeypatch.setattr(vectors, "from_faiss", lambda data: None)
    found = vectors.load(kept.path, ID, DIMENSION)
    assert usual is not None and found is not None
    assert found.ids().tolist() == usual.ids().tolist()
    assert (found.exact.rows == usual.exact.rows).all()


@pytest.mark.parametrize("index", ["flat", "ivf"])
def test_every_block_of_a_file_is_checked(
    kept: Kept, monkeypatch: pytest.MonkeyPatch, index: str
) -> None:
    monkeypatch.setattr(vectors, "_BLOCK", 100)
    kept.path.unlink()
    kept.arrange(index)
    whole = kept.path.read_bytes()
    assert vectors.load(kept.path, ID, DIMENSION) is not None
    assert vectors.load_to_change(kept.path, ID, DIMENSION) is not None
    for at in range(0, len(whole), 97):
        kept.path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
        assert vectors.load(kept.path, ID, DIMENSION) is None
        assert vectors.load_to_change(kept.path, ID, DIMENSION) is None
