"""The FAISS file is derived: whatever happens to it, answers stay those of the catalog."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tll_index.engine.search import nearest
from tll_index.indexer import vectors
from tll_index.indexer.catalog import Catalog
from tll_index.indexer.records import ImageRecord
from tll_index.indexer.writer import Writer

ID = b"0123456789abcdef"
DIMENSION = 8


def vector(content: int) -> np.ndarray:
    return np.random.default_rng(content).normal(size=DIMENSION).astype(np.float32)


def put(writer: Writer, content: int) -> None:
    sha256 = content.to_bytes(32, "big")
    image = writer.add_image(sha256, ImageRecord(sha256.hex(), 1, 1, "PNG", 1), vector(content))
    writer.set_place(writer.folder(b"/p"), b"%d" % content, (1, 1), image)  # type: ignore[arg-type]


def check(file: vectors.VectorFile, contents: set[int], catalog: Catalog) -> None:
    assert file.index.ntotal == len(contents)
    with catalog.reading() as reader:
        assert file.generation == reader.generation
        for content in contents:
            number = reader.image_of(content.to_bytes(32, "big"))
            assert np.allclose(file.index.reconstruct(number), vector(content))


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(st.tuples(st.sampled_from("+-sl"), st.integers(0, 9)), min_size=1, max_size=30)
)
def test_it_follows_the_catalog(
    steps: list[tuple[str, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("store")
    catalog = Catalog(folder / "catalog.mdb", b"/")
    path = folder / "vectors.faiss"
    file = vectors.load(path, ID, DIMENSION)
    contents: set[int] = set()
    for action, content in steps:
        if action == "+":
            catalog.write(lambda writer, content=content: put(writer, content))
            contents.add(content)
        elif action == "-" and content in contents:
            catalog.write(lambda writer, content=content: writer.remove_path(b"/p/%d" % content))
            catalog.write(lambda writer: writer.remove_orphans(5))
            contents.remove(content)
        elif action == "s":
            vectors.save(file, path, ID)
        elif action == "l":
            file = vectors.load(path, ID, DIMENSION)
        with catalog.reading() as reader:
            vectors.catch_up(file, reader)
        check(file, contents, catalog)
    catalog.close()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    catalog = Catalog(tmp_path / "catalog.mdb", b"/")
    for content in range(20):
        catalog.write(lambda writer, content=content: put(writer, content))
    file = vectors.load(tmp_path / "vectors.faiss", ID, DIMENSION)
    with catalog.reading() as reader:
        vectors.catch_up(file, reader)
        assert not vectors.is_current(tmp_path / "vectors.faiss", ID, reader)
    vectors.save(file, tmp_path / "vectors.faiss", ID)
    with catalog.reading() as reader:
        assert vectors.is_current(tmp_path / "vectors.faiss", ID, reader)
    catalog.close()
    return tmp_path / "vectors.faiss"


def test_what_was_saved_is_used(saved: Path) -> None:
    file = vectors.load(saved, ID, DIMENSION)
    assert (file.generation, file.index.ntotal) == (20, 20)
    assert not list(saved.parent.glob("*.new"))


@pytest.mark.parametrize("damage", ["deleted", "empty", "torn", "flipped", "foreign", "garbage"])
def test_damage_is_noticed_and_mended(saved: Path, damage: str) -> None:
    whole = saved.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    replaced = {
        "empty": b"",
        "torn": whole[:-200],
        "flipped": bytes(flipped),
        "garbage": os.urandom(500),
    }
    if damage == "deleted":
        saved.unlink()
    elif damage in replaced:
        saved.write_bytes(replaced[damage])
    file = vectors.load(saved, b"another store..." if damage == "foreign" else ID, DIMENSION)
    assert (file.generation, file.index.ntotal) == (0, 0)
    catalog = Catalog(saved.parent / "catalog.mdb", b"/")
    with catalog.reading() as reader:
        vectors.catch_up(file, reader)
    check(file, set(range(20)), catalog)
    asked = vector(3)[None]
    asked /= np.linalg.norm(asked)
    assert nearest(file.index, asked, 20).ids.shape == (1, 20)
    catalog.close()


def test_of_another_dimension_is_not_used(saved: Path) -> None:
    assert vectors.load(saved, ID, DIMENSION + 1).generation == 0


def test_a_catalog_restored_from_a_copy_gets_a_new_index(saved: Path) -> None:
    """Two pasts of one store reach the same generation and numbers with other contents."""
    path = saved.parent / "catalog.mdb"
    copy = path.read_bytes()
    for past, content in ((None, 100), (copy, 200)):
        if past is not None:
            path.write_bytes(past)
        catalog = Catalog(path, b"/")
        catalog.write(lambda writer, content=content: put(writer, content))
        file = vectors.load(saved, ID, DIMENSION)
        with catalog.reading() as reader:
            assert not vectors.is_current(saved, ID, reader)
            vectors.catch_up(file, reader)
        check(file, {*range(20), content}, catalog)
        vectors.save(file, saved, ID)
        catalog.close()


def test_a_file_from_long_ago_is_made_anew(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tll_index.indexer.writer._HISTORY", 5)
    catalog = Catalog(saved.parent / "catalog.mdb", b"/")
    for content in range(20, 32):
        catalog.write(lambda writer, content=content: put(writer, content))
    file = vectors.load(saved, ID, DIMENSION)
    assert file.index.ntotal == 20
    with catalog.reading() as reader:
        vectors.catch_up(file, reader)
    check(file, set(range(32)), catalog)
    catalog.close()
