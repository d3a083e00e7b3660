"""Asking a store: ranks, ties, the query itself, and stores that can't be asked."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictures import encoded, fill_folder, noise
from tiny import SPEC, asked_and_answered
from tll_index import Recipe, Store, build
from tll_index.core.errors import (
    MissingPictureError,
    NoStoreError,
    NotAPictureError,
    StoreDamagedError,
    StoreMismatchError,
    UsageError,
)
from tll_index.engine.images.decode import decode


@pytest.fixture
def photos(here: Path) -> list[Path]:
    """Twelve indexed pictures; their store is `.tll-index` in the current folder."""
    paths = fill_folder(here / "photos", 12)
    build(["photos"], recipe=Recipe("tiny"))
    return paths


def test_ranking_is_the_matrix_product(photos: list[Path]) -> None:
    with Store.open() as store:
        geometry = store.embedder.backbone.spec.geometry
        vectors = store.embedder.encode_gallery(
            np.stack([decode(path.read_bytes(), geometry).pixels for path in photos])
        )
        for row, path in enumerate(photos):
            hits = store.query(path, k=12, include_self=True)
            products = np.round((vectors @ vectors[row]).astype(float), 6)
            order = sorted(range(12), key=lambda i: (-products[i], str(photos[i])))
            assert [hit.path for hit in hits] == [str(photos[i]) for i in order]
            assert np.allclose([hit.score for hit in hits], products[order], atol=2e-6)
            assert [hit.rank for hit in hits] == list(range(1, 13))


def test_stored_vectors_answer_and_queries_ask(here: Path) -> None:
    paths = fill_folder(here / "photos", 12)
    lens = asked_and_answered()
    assert lens.csls is not None
    build(["photos"], recipe=Recipe("tiny", lens=lens))
    changed = 0
    with Store.open() as store:
        assert store.info()["dimension"] == 8 and store.info()["lens"] == lens.digest
        spec = store.embedder.backbone.spec
        pixels = np.stack([decode(path.read_bytes(), spec.geometry).pixels for path in paths])
        features = store.embedder.backbone.features(pixels)
        with store.catalog.reading() as reader:
            numbers = [
                reader.image_of(hashlib.sha256(path.read_bytes()).digest()) for path in paths
            ]
            stored = reader.vectors(np.array(numbers))
        assert np.allclose(stored, lens.encode_gallery(features), atol=1e-5)
        assert not np.allclose(stored, lens.encode_query(features), atol=0.1)
        looks = lens.transform(features)
        cosines = (looks @ looks.T).astype(float)
        for row, path in enumerate(paths):
            hits = store.query(path, k=12, include_self=True)
            scores = {hit.path: hit.score for hit in hits}
            found = np.array([scores[str(path)] for path in paths])
            product = lens.scale * (lens.encode_query(features[row, None]) @ stored.T)[0]
            assert np.allclose(found, product, atol=3e-6)
            assert np.allclose(found, cosines[row] - 0.8 * lens.csls.crowding(looks), atol=1e-5)
            assert all(score == round(score, 6) for score in scores.values())
            assert [hit.score for hit in hits] == sorted(scores.values(), reverse=True)
            assert [hit.rank for hit in hits] == list(range(1, 13))
            order = [paths.index(Path(hit.path)) for hit in hits]
            changed += order != np.argsort(-cosines[row]).tolist()
        assert changed > 6  # the penalty is not for nothing


def test_a_grey_lens_sees_no_colour_in_either(here: Path) -> None:
    size = SPEC.geometry.size
    coloured = [noise(seed, size, size) for seed in range(6)]
    (here / "photos").mkdir()
    for number, image in enumerate(coloured):
        shown = image.convert("L") if number % 2 else image
        shown.save(here / f"photos/{number}.png")
    lens = asked_and_answered(grey=True)
    build(["photos"], recipe=Recipe("tiny", lens=lens))
    with Store.open() as store:
        assert store.embedder.lens.grey
        for image in coloured:
            in_colour, in_grey = (
                [(hit.path, hit.score) for hit in store.query(some, k=6)]
                for some in (image, image.convert("L"))
            )
            assert in_colour == in_grey
        greys = np.stack([np.asarray(image.convert("L").convert("RGB")) for image in coloured])
        features = store.embedder.backbone.features(greys)
        with store.catalog.reading() as reader:
            stored = reader.vectors(np.sort(reader.image_numbers()))
        assert np.allclose(stored, lens.encode_gallery(features), atol=1e-5)
        colours = store.embedder.backbone.features(np.stack([np.asarray(one) for one in coloured]))
        assert not np.allclose(stored, lens.encode_gallery(colours), atol=0.05)
    build(["photos"], store="in colour", recipe=Recipe("tiny", lens=asked_and_answered()))
    with Store.open("in colour") as store:
        scores = [
            store.query(some, k=1)[0].score for some in (coloured[0], coloured[0].convert("L"))
        ]
        assert abs(scores[0] - scores[1]) > 1e-3


def test_the_query_itself_is_left_out(photos: list[Path], here: Path) -> None:
    with Store.open() as store:
        assert photos[3].name not in {Path(hit.path).name for hit in store.query(photos[3], 12)}
        elsewhere = here / "same content.png"
        shutil.copy(photos[3], elsewhere)
        assert len(store.query(elsewhere, k=99)) == 11
        assert len(store.query(elsewhere.read_bytes(), k=99)) == 11
        first = store.query(photos[3], k=1, include_self=True)[0]
        assert first.path == str(photos[3]) and first.score == pytest.approx(1, abs=1e-5)
        assert (first.width, first.height) == (40, 30)


def test_every_kind_of_query(photos: list[Path]) -> None:
    with Store.open() as store:
        image = Image.open(photos[5])
        wanted = [hit.path for hit in store.query(photos[5], k=12, include_self=True)]
        for query in (str(photos[5]), photos[5].read_bytes(), image, np.asarray(image)):
            hits = store.query(query, k=12, include_self=True)
            assert [hit.path for hit in hits] == wanted
            assert hits.query == (query if isinstance(query, str) else "-")
        assert store.query(image, k=2, name="mine").query == "mine"
        assert len(store.query(bytearray(photos[5].read_bytes()))) == 10
        for pixels in (np.zeros((5, 5), np.uint8), np.zeros((0, 5, 3), np.uint8)):
            with pytest.raises(UsageError, match="uint8"):
                store.query(pixels)


def test_ties_are_in_order_of_path(here: Path) -> None:
    """The same pixels in files of different bytes tie; those beyond k are looked at as well, the
    query among them, before them or not indexed. They are indexed last name first, so that
    numbers don't help."""
    fill_folder(here / "photos", 1, first=20)
    names = ["0.png", "2.png", "4.png", "6.png", "8.png"]
    for name in reversed(names):
        data = encoded(noise(1), "PNG", compress_level=int(name[0]))
        (here / "photos" / name).write_bytes(data)
        build(["photos"], recipe=Recipe("tiny"))
    with Store.open() as store:
        assert len(store) == 6
        for k in (1, 2, 3, 5):
            for query in (noise(1), here / "photos/picture0020.png"):
                found = [Path(hit.path).name for hit in store.query(query, k=k)]
                assert found == names[:k]
            for itself in names:
                others = [name for name in names if name != itself]
                found = [Path(hit.path).name for hit in store.query(f"photos/{itself}", k=k)]
                assert found[:4] == others[:k]


def test_fewer_than_asked(photos: list[Path]) -> None:
    with Store.open() as store:
        assert len(store.query(photos[0], k=1000)) == 11
        for k in (0, -3):
            with pytest.raises(UsageError, match="at least 1"):
                store.query(photos[0], k=k)


def test_bad_queries(photos: list[Path], here: Path) -> None:
    (here / "text.jpg").write_text("hello")
    with Store.open() as store:
        with pytest.raises(MissingPictureError, match=r"absent\.jpg: no such file"):
            store.query("absent.jpg")
        with pytest.raises(NotAPictureError, match=r"text\.jpg: is not a picture"):
            store.query("text.jpg")
        with pytest.raises(NotAPictureError):
            store.query(b"hello")


def test_found_upwards_and_by_name(
    photos: list[Path], here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (here / "photos/deep").mkdir()
    monkeypatch.chdir(here / "photos/deep")
    with Store.open() as store:
        assert store.path == here / ".tll-index"
    monkeypatch.chdir("/")
    with pytest.raises(NoStoreError, match=r"no \.tll-index here"):
        Store.open()
    monkeypatch.setenv("TLL_STORE", str(here / ".tll-index"))
    with Store.open() as store:
        assert len(store) == 12
    with pytest.raises(NoStoreError, match="no store in /nowhere"):
        Store.open("/nowhere")  # an argument counts more than the environment


def test_the_index_file_is_only_derived(photos: list[Path], here: Path) -> None:
    path = here / ".tll-index/vectors.faiss"
    with Store.open() as store:
        wanted = store.query(photos[0])
    whole = path.read_bytes()
    for damaged in (None, b"", whole[:-50], whole[:50] + b"x" + whole[51:]):
        if damaged is None:
            path.unlink()
        else:
            path.write_bytes(damaged)
        with Store.open() as store:
            assert store.query(photos[0]) == wanted
        build(recipe=Recipe("tiny"))  # the next build writes it anew
        assert path.read_bytes() == whole


def test_what_cannot_be_opened(photos: list[Path], here: Path) -> None:
    about = here / ".tll-index/store.json"
    document = json.loads(about.read_text())
    about.write_text(json.dumps({**document, "format": 9, "made_with": "tll-index 9.9"}))
    with pytest.raises(StoreMismatchError, match=r"format 9, made with tll-index 9\.9.*upgrade"):
        Store.open()
    with pytest.raises(StoreMismatchError, match="upgrade"):
        build(["photos"])
    for text in ("", "{", "[]", '{"format": 1}', json.dumps({**document, "made_by": {}})):
        about.write_text(text)
        with pytest.raises(StoreDamagedError, match=r"store\.json is damaged"):
            Store.open()
    about.write_text(json.dumps(document))
    (here / ".tll-index/catalog.mdb").rename(here / "kept")
    with pytest.raises(StoreDamagedError, match=r"lost its catalog\.mdb"):
        Store.open()
    (here / ".tll-index/catalog.mdb").write_bytes(os.urandom(10_000))
    with pytest.raises(StoreDamagedError, match="damaged"):
        Store.open()
    (here / "kept").replace(here / ".tll-index/catalog.mdb")
    with Store.open() as store:
        assert len(store) == 12
    for cut in (40_960, 0):
        os.truncate(here / ".tll-index/catalog.mdb", cut)
        with pytest.raises(StoreDamagedError, match=r"lost its catalog\.mdb|is cut off"):
            Store.open()


def test_info(photos: list[Path], here: Path) -> None:
    with Store.open() as store:
        info = store.info()
    assert info["images"] == info["paths"] == 12
    assert (info["backbone"], info["lens"], info["dimension"]) == ("tiny", None, 16)
    assert info["folders"] == [str(here / "photos")]
    assert info["disk_bytes"]["catalog.mdb"] > 0 and info["disk_bytes"]["vectors.faiss"] > 0
    json.dumps(info)


def test_a_sample_is_the_same_each_time(photos: list[Path]) -> None:
    with Store.open() as store:
        sample = store.sample(5)
        assert sample == store.sample(5) == sorted(set(sample)) and len(sample) == 5
        assert sample != store.sample(5, seed=1)
        assert len(store.sample(100)) == 12


def test_many_threads_ask_one_store(photos: list[Path]) -> None:
    with Store.open() as store:
        wanted = [store.query(path) for path in photos]
        failures: list[BaseException] = []

        def ask() -> None:
            try:
                assert [store.query(path) for path in photos] == wanted
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=ask) for _ in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert not failures


def test_an_open_store_sees_what_is_built_later(photos: list[Path], here: Path) -> None:
    with Store.open() as store:
        assert len(store.query(photos[0], k=99)) == 11
        fill_folder(here / "photos", 3, first=50)
        photos[1].unlink()
        build(["photos"])
        paths = {hit.path for hit in store.query(photos[0], k=99)}
        assert len(paths) == 13 and str(photos[1]) not in paths


def test_a_picture_in_memory_needs_no_file(photos: list[Path]) -> None:
    with Store.open() as store:
        out = io.BytesIO()
        noise(3).save(out, "BMP")
        assert store.query(out.getvalue(), k=1)[0].path == str(photos[3])


def test_a_catalog_without_its_maker_is_not_built_upon(photos: list[Path], here: Path) -> None:
    (here / ".tll-index/store.json").unlink()
    with pytest.raises(StoreDamagedError, match=r"has lost its store\.json"):
        build(["photos"], recipe=Recipe("tiny2"))
    assert not (here / ".tll-index/store.json").exists()
