"""Asking with several pictures, with parts of them, among some of the store's."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from conftest import LOCATIONS
from pictures import fill_folder, noise
from tiny import lens_with_csls
from tll_index import Lens, Recipe, Store, build
from tll_index.core.errors import NotIndexedError, OutsidePictureError, UsageError
from tll_index.engine.images.crops import Crop
from tll_index.engine.search.normalize import unit
from tll_index.indexer.store.query import QueryEmbedding, blend, names_of
from tll_index.indexer.vector_index import folder_index as searching
from tll_index.indexer.vector_index.path_filter import PathFilter

FOLDERS = ("a", "b", "b/deep", "b/deep/er", "c d")


@pytest.fixture(params=["plain", "hubs", "milvus"])
def photos(
    request: pytest.FixtureRequest, here: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """Twenty pictures in five folders; their store is `.tll-index` in the current folder, or in a
    Milvus."""
    if request.param == "milvus":
        monkeypatch.setenv("TLL_STORE", LOCATIONS["milvus"])
    paths = [
        path
        for at, folder in enumerate(FOLDERS)
        for path in fill_folder(here / "photos" / folder, 4, first=4 * at)
    ]
    lens: Lens | str = "none" if request.param == "plain" else lens_with_csls()
    build(["photos"], recipe=Recipe("tiny", lens=lens))
    return paths


def test_a_sum_of_looks_is_asked(photos: list[Path]) -> None:
    with Store.open() as store:
        one, two, three = (store.encode_query(path) for path in photos[:3])
        vector = unit(2 * one.vector + two.vector - 0.5 * three.vector)
        wanted = store.search(store.embedder.lens.query_of(vector), 20)
        hits = store.query_blend(
            [one.weighing(2), two, three.weighing(-0.5)], 20, include_self=True, name="mine"
        )
        assert hits.query == "mine" and hits.hits == wanted
        queried = {str(path) for path in photos[:3]}
        without = store.query_blend([one.weighing(2), two, three.weighing(-0.5)], 20)
        assert [hit.path for hit in without] == [
            hit.path for hit in wanted if hit.path not in queried
        ]
        assert [hit.rank for hit in without] == list(range(1, 18))


def test_query_takes_several_and_minus(photos: list[Path]) -> None:
    with Store.open() as store:
        embeddings = [store.encode_query(path) for path in photos[:3]]
        wanted = store.query_blend([embeddings[0], embeddings[1], embeddings[2].weighing(-1)], 5)
        hits = store.query([photos[0], photos[1].read_bytes()], 5, minus=[photos[2]])
        assert hits.hits == wanted.hits
        assert hits.query == f"{photos[0]} + - - {photos[2]}"  # bytes have no name


def test_less_like_it_scores_less(photos: list[Path]) -> None:
    with Store.open() as store:
        other = str(photos[9])
        score = {hit.path: hit.score for hit in store.query(photos[0], 20)}
        less = {hit.path: hit.score for hit in store.query(photos[0], 20, minus=[photos[8]])}
        assert other in score and str(photos[8]) in score
        assert str(photos[8]) not in less


def test_looks_that_cancel_each_other_out(photos: list[Path]) -> None:
    with Store.open() as store:
        embedding = store.encode_query(photos[0])
        for embeddings in ([embedding, embedding.weighing(-1)], [embedding.weighing(0)]):
            with pytest.raises(UsageError, match="cancel each other out"):
                store.query_blend(embeddings)
        with pytest.raises(UsageError, match="at least one picture"):
            store.query_blend([])
        with pytest.raises(UsageError, match="must be a number"):
            store.query_blend([embedding.weighing(float("nan"))])
        with pytest.raises(UsageError, match="k is 0"):
            store.query_blend([embedding], 0)


def test_an_indexed_picture_asks_without_its_file(photos: list[Path]) -> None:
    with Store.open() as store:
        wanted = store.query(photos[3], 8)
        sha256 = hashlib.sha256(photos[3].read_bytes()).hexdigest()
        photos[3].unlink()
        embedding = store.encode_indexed(sha256)
        found = store.query_blend([embedding], 8)
        assert [hit.path for hit in found] == [hit.path for hit in wanted]
        assert np.allclose([hit.score for hit in found], [hit.score for hit in wanted], atol=5e-6)
        known = store.picture(sha256)
        assert known.paths == (str(photos[3]),) and known.sha256 == sha256
        assert (known.width, known.height, known.format) == (40, 30, "PNG")


@pytest.mark.parametrize("sha256", ["", "00", "zz" * 32, "00" * 32, "00" * 400])
def test_what_is_not_indexed(here: Path, sha256: str) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], recipe=Recipe("tiny"))
    with Store.open() as store:
        for call in (store.picture, store.encode_indexed):
            with pytest.raises(NotIndexedError, match="the store has no picture"):
                call(sha256)


def test_a_picture_that_no_path_shows_is_not_indexed(here: Path) -> None:
    paths = fill_folder(here / "photos", 2)
    build(["photos"], recipe=Recipe("tiny"))
    sha256 = hashlib.sha256(paths[0].read_bytes()).hexdigest()
    paths[0].unlink()
    build()
    with Store.open() as store, pytest.raises(NotIndexedError):
        store.picture(sha256)


def test_a_crop_asks_as_a_file_of_that_part_would(photos: list[Path], here: Path) -> None:
    with Image.open(photos[5]) as image:
        image.crop((0, 0, 20, 15)).save(here / "part.png")
    with Store.open() as store:
        wanted = store.query(here / "part.png", 20)
        found = store.query(photos[5], 20, crop=Crop.parse("0,0,50%,50%".replace("0,", "0%,")))
        assert found.hits == wanted.hits  # the whole picture is an answer like any other
        with pytest.raises(OutsidePictureError, match=r"picture0005\.png: has 40 x 30 pixels"):
            store.query(photos[5], crop=Crop(40, 0, 1, 1))


def test_scores_below_the_least(photos: list[Path]) -> None:
    with Store.open() as store:
        every = store.query(photos[0], 20)
        least = every[7].score
        assert store.query(photos[0], 20, min_score=least).hits == every[:8]
        assert len(store.query(photos[0], 20, min_score=1.5)) == 0


PATTERNS = {
    "a": {"a"},
    "b": {"b", "b/deep", "b/deep/er"},
    "deep": {"b/deep", "b/deep/er"},
    "b/deep": {"b/deep", "b/deep/er"},
    "b/d*": {"b/deep", "b/deep/er"},
    "*/er": {"b/deep/er"},
    "c ?": {"c d"},
    "c d/": {"c d"},
    "photos": set(),  # the root itself has no name below it
    "/": set(FOLDERS),
}


@pytest.mark.parametrize("pattern", PATTERNS)
def test_folders_that_a_pattern_lets_through(photos: list[Path], pattern: str) -> None:
    with Store.open() as store:
        hits = store.query(noise(77), 20, filter=[pattern])
        found = {os.path.relpath(hit.path, "photos") for hit in hits}
        wanted = {
            os.path.relpath(path, "photos")
            for path in photos
            if os.path.relpath(path.parent, "photos") in PATTERNS[pattern]
        }
        assert found == wanted
        every = [hit for hit in store.query(noise(77), 20) if hit.path in {h.path for h in hits}]
        assert [hit.path for hit in hits] == [hit.path for hit in every]
        # The index adds up in another order than who compares a few vectors by themselves.
        scores = [hit.score for hit in every]
        assert [hit.score for hit in hits] == pytest.approx(scores, abs=5e-6)


def test_names_and_absolute_paths(photos: list[Path]) -> None:
    with Store.open() as store:

        def names(*only: str) -> set[str]:
            return {Path(hit.path).name for hit in store.query(noise(77), 20, filter=only)}

        assert names("*01?.png") == {f"picture00{n}.png" for n in range(10, 20)}
        assert names("*0001.png", "*0019.png") == {"picture0001.png", "picture0019.png"}
        assert names(f"{photos[0].parent}/*2.png") == {"picture0002.png"}
        assert names(str(photos[0].parent.parent.parent)) == {path.name for path in photos}
        assert names("a/picture0001.png") == {"picture0001.png"}
        assert names("*.PNG") == names("nothing") == set()
        with pytest.raises(UsageError, match="pattern for paths is empty"):
            names("")


def test_a_copy_is_shown_by_the_path_that_is_let_through(photos: list[Path]) -> None:
    shutil.copy(photos[0], photos[-1].parent / "copy.png")  # in "c d"
    build()
    with Store.open() as store:
        both = (str(photos[0]), str(photos[-1].parent / "copy.png"))
        for only, first in (((), 0), (("a",), 0), (("c d",), 1)):
            hits = store.query(photos[0], 20, filter=only, include_self=True)
            assert [hit.path for hit in hits if hit.paths == both] == [both[first]]


def test_a_filter_sees_moves(photos: list[Path]) -> None:
    with Store.open() as store:
        assert len(store.query(noise(77), 20, filter=["a"])) == 4
        photos[0].rename(photos[0].parent.parent / "b" / "moved.png")
        build()  # no vector changed, so it is the same generation
        assert len(store.query(noise(77), 20, filter=["a"])) == 3
        assert len(store.query(noise(77), 20, filter=["b"])) == 13


@pytest.mark.parametrize("few", [0, 1, 10, 1000])
def test_however_many_a_filter_leaves(
    photos: list[Path], few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "_FEW", few)
    monkeypatch.setattr(searching, "_ENLARGED", 1)
    with Store.open() as store:
        every = store.query(noise(77), 20).hits
        for pattern in ("b", "a", "*3.png"):
            for k in (1, 3, 20):
                allows = PathFilter([pattern], store.roots())
                wanted = [hit.path for hit in every if allows.allows(os.fsencode(hit.path))][:k]
                assert [hit.path for hit in store.query(noise(77), k, filter=[pattern])] == wanted


@given(
    paths=st.lists(
        st.lists(st.sampled_from(["a", "b", "c.png", "[x]", "*"]), min_size=1, max_size=4).map(
            "/".join
        ),
        min_size=1,
    ),
    seed=st.integers(0, 99),
)
def test_a_path_is_let_through_by_itself_and_by_each_folder_above(
    paths: list[str], seed: int
) -> None:
    import glob

    chosen = random.Random(seed).choice(paths)
    parts = chosen.split("/")
    for length in range(1, len(parts) + 1):
        pattern = "/root/" + glob.escape("/".join(parts[:length]))
        allows = PathFilter([pattern], [b"/root"])
        for path in paths:
            inside = path.split("/")[:length] == parts[:length]
            assert allows.allows(b"/root/" + path.encode()) == inside


@settings(max_examples=50)
@given(
    weights=st.lists(st.floats(-3, 3), min_size=1, max_size=5)
    | st.lists(st.floats(-1e300, 1e300), min_size=1, max_size=5),
    seed=st.integers(0, 2**32 - 1),
)
@example(weights=[6.657648522301767e-22], seed=0)
@example(weights=[5e-324, -5e-324, 5e-324], seed=0)
@example(weights=[1e300, 1e300, 3.0], seed=0)
def test_a_blend_has_length_one_and_knows_no_scale(weights: list[float], seed: int) -> None:
    rows = unit(np.random.default_rng(seed).normal(size=(len(weights), 7)).astype(np.float32))
    embeddings = [
        QueryEmbedding("x", row[None], None, weight)
        for row, weight in zip(rows, weights, strict=True)
    ]
    try:
        mixed = blend(embeddings)
    except UsageError:
        scale = max(map(abs, weights)) or 1.0
        assert np.linalg.norm(rows.T @ (np.array(weights) / scale)) < 2e-3
        return
    assert mixed.shape == (1, 7) and mixed.dtype == np.float32
    assert abs(np.linalg.norm(mixed) - 1) < 1e-5
    doubled = blend([embedding.weighing(2 * embedding.weight) for embedding in embeddings])
    assert abs(np.linalg.norm(doubled) - 1) < 1e-5
    assert np.allclose(mixed, doubled, atol=1e-5)


def test_what_a_question_is_called() -> None:
    row = np.ones((1, 1), np.float32)
    embeddings = [
        QueryEmbedding("a", row),
        QueryEmbedding("b", row, None, 0.5),
        QueryEmbedding("c", row, None, -1),
    ]
    assert names_of(embeddings) == "a + 0.5 b - c"
    assert names_of([embeddings[2]]) == "- c"
