"""Many queries at once: the same hits and scores as one by one."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from conftest import LOCATIONS
from pictures import fill_folder, noise
from tiny import lens_with_csls
from tll_index import Lens, Recipe, Store, build
from tll_index.core.config import load_settings
from tll_index.core.errors import MissingPictureError, UsageError
from tll_index.engine.search.normalize import unit
from tll_index.indexer.vector_index import folder_index


@pytest.fixture(params=["flat", "csls", "IVF2,Flat", "milvus"])
def photos(
    request: pytest.FixtureRequest, here: Path, monkeypatch: pytest.MonkeyPatch
) -> list[Path]:
    """30 pictures in two folders, five of them again in other files: those tie with each other."""
    if request.param == "milvus":
        monkeypatch.setenv("TLL_STORE", LOCATIONS["milvus"])
    paths = fill_folder(here / "photos/a", 15) + fill_folder(here / "photos/b", 10, first=15)
    for path in paths[:5]:
        again = here / "photos/b" / f"again-{path.name}"
        with Image.open(path) as image:
            image.save(again, compress_level=0)
        assert again.read_bytes() != path.read_bytes()
        paths.append(again)
    lens: Lens | str = lens_with_csls() if request.param in ("csls", "milvus") else "none"
    build(["photos"], recipe=Recipe("tiny", lens=lens))
    if request.param.startswith("IVF"):
        with Store.open(settings=replace(load_settings(), index=request.param)) as store:
            store.save_index()
    return paths


OPTIONS: list[dict[str, object]] = [
    {},
    {"k": 1},
    {"k": 40, "include_self": True},
    {"filter": ["b"]},
    {"filter": ["!b"], "k": 3, "include_self": True},
    {"filter": ["nothing"]},
    {"min_score": 0.9},
]


@pytest.mark.slow_after_first
def test_pictures_find_the_same_together(photos: list[Path]) -> None:
    queries = [*photos, noise(77), photos[0].read_bytes()]
    settings = load_settings(batch_size=12)  # three passes
    with Store.open(settings=settings) as store:
        for options in OPTIONS:
            alone = [store.query(one, **options) for one in queries]
            assert store.query_many(iter(queries), **options) == alone, options
        assert store.query_many([]) == []


@pytest.mark.slow_after_first
def test_a_filter_of_a_large_store(photos: list[Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder_index, "_FEW", 1)
    with Store.open() as store:
        for k in (1, 4, 30):
            alone = [store.query(one, k, filter=["b"]) for one in photos]
            assert store.query_many(photos, k, filter=["b"]) == alone


@pytest.mark.slow_after_first
def test_vectors_find_the_same_together(photos: list[Path]) -> None:
    with Store.open() as store:
        random = np.random.default_rng(2)
        rows = unit(random.normal(size=(50, store.about.dimension)).astype(np.float32))
        without = [
            [hashlib.sha256(path.read_bytes()).digest()] if path.stem[-1] in "135" else []
            for path in [*photos, *photos[:20]]
        ]
        for options in ({}, {"k": 30}, {"filter": ["a"]}):
            alone = [store.search(row, **options) for row in rows]
            assert store.search_many(rows, **options) == alone
        alone = [store.search(row, without=some) for row, some in zip(rows, without, strict=True)]
        assert store.search_many(rows, without=without) == alone
        assert store.search_many(rows[:0]) == []
        with pytest.raises(UsageError, match="not 50 times 1"):
            store.search_many(rows[:, 0])
        with pytest.raises(UsageError, match="50 queries"):
            store.search_many(rows, without=[[]])
        with pytest.raises(UsageError, match="search_many takes several"):
            store.search(rows)


def test_any_sequence_of_pictures(photos: list[Path]) -> None:
    with Store.open() as store:
        wanted = store.query([photos[0], photos[1]]).hits
        assert store.query((photos[0], str(photos[1]))).hits == wanted
        with Image.open(photos[0]) as image, Image.open(photos[1]) as other:
            pixels = np.stack([np.asarray(one.convert("RGB")) for one in (image, other)])
            found = store.query((image, other), include_self=True)
            one = store.query(image, include_self=True)
        assert store.query(pixels, include_self=True).hits == found.hits
        assert store.query(pixels[0], include_self=True).hits == one.hits
        minus = store.query(photos[0], minus=photos[1]).hits
        assert store.query(photos[0], minus=(photos[1],)).hits == minus
        for one in (str(photos[0]), photos[0], b"", image):
            with pytest.raises(UsageError, match="query takes one"):
                store.query_many(one)
        with pytest.raises(MissingPictureError, match="absent"):
            store.query_many([photos[0], "absent.png"])


def test_gallery_embeddings(photos: list[Path]) -> None:
    with Store.open() as store:
        with store.catalog.reading() as reader:
            numbers = [reader.image_of(hashlib.sha256(p.read_bytes()).digest()) for p in photos]
            stored = reader.vectors(numbers)
        assert np.allclose(store.encode_gallery(photos), stored, atol=1e-6)
        assert store.encode_gallery([]).shape == (0, store.about.dimension)
        (hit,) = store.query(photos[3], 1, include_self=True)
        query = store.lens.query_of(store.encode_query(photos[3]).vector)
        score = store.lens.scale * (store.encode_gallery(photos[3]) @ query.T).item()
        assert hit.score == pytest.approx(score, abs=5e-6)
