"""Queries by texts, and by texts and pictures together, in Python and on the command line."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from clips import JOINT, RESNET, VIT, random_network, write_weights
from conftest import Result
from pictures import fill_folder
from raw_catalog import STORE, rewrite_table
from text_space import COUNT, by_brute_force, same, stored, text_vector
from tll_index import Recipe, Store, build
from tll_index.core.errors import StoreMismatchError, UsageError, WeightsError
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit


def test_a_text_finds_what_is_nearest_to_it(photos: list[Path]) -> None:
    with Store.open() as store:
        hits = store.query(text="a red door", k=COUNT)
        assert same(hits, by_brute_force(store, text_vector("a red door")))
        assert hits.query == "'a red door'" and [hit.rank for hit in hits] == [*range(1, COUNT + 1)]
        assert [hit.path for hit in store.query(text="a red door", k=3)] == [
            hit.path for hit in hits[:3]
        ]
        order = [hit.path for hit in hits]
        assert order != [hit.path for hit in store.query(text="snow at night", k=COUNT)]
        assert [hit.path for hit in store.query(text="a red door", filter=["*3.png"])] == [
            path for path in order if path.endswith("3.png")
        ]


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
@pytest.mark.usefixtures("anywhere")
@pytest.mark.slow_after_first
def test_texts_mixed_with_pictures(
    photos: list[Path], runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLL_RUNTIME", runtime)
    with Store.open() as store:
        paths, rows = stored(store)
        vectors = dict(zip(paths, rows, strict=True))
        red, snow = text_vector("a red door"), text_vector("snow")
        query = red + snow + vectors[str(photos[3])] - vectors[str(photos[5])]
        wanted = by_brute_force(store, query)
        hits = store.query(photos[3], COUNT, text=["a red door", "snow"], minus=[photos[5]])
        queried = {str(photos[3]), str(photos[5])}
        found, left = list(hits), [one for one in wanted if one[0] not in queried]
        assert [hit.path for hit in found] == [path for path, _ in left]
        assert np.allclose([hit.score for hit in found], [score for _, score in left], atol=2e-4)
        assert hits.query == f"'a red door' + 'snow' + {photos[3]} - {photos[5]}"
        weighted = [store.encode_text("snow").weighing(-2), store.encode_indexed(found[0].sha256)]
        exact = by_brute_force(store, vectors[found[0].path] - 2 * snow)
        assert same(store.query_blend(weighted, COUNT, include_self=True), exact)


def test_pictures_alone_are_asked_through_the_lens(photos: list[Path], here: Path) -> None:
    generator = np.random.default_rng(2)
    width = 64 + 64 + JOINT
    lens = Lens(VIT, width, adaptation=generator.normal(size=(8, width)).astype(np.float32))
    build(["photos"], store="with", recipe=Recipe(VIT, lens=lens, text=True))
    build(["photos"], store="without", recipe=Recipe(VIT, lens=lens))
    with Store.open("with") as store, Store.open("without") as plain:
        for path in photos[:4]:
            assert store.query(path, 5).hits == plain.query(path, 5).hits
        assert same(store.query(text="snow", k=COUNT), by_brute_force(store, text_vector("snow")))
        with pytest.raises(UsageError, match=r"a query has 24 values, not 8 times 1"):
            store.search(np.ones(8, np.float32), text=True)
        with pytest.raises(UsageError, match="was built without --text"):
            plain.query_blend([store.encode_text("snow")])
        mixed = [store.encode_text("snow"), plain.encode_query(photos[0])]
        with pytest.raises(UsageError, match="has no text embedding"):
            store.query_blend(mixed)


def test_hand_made_weights_rank_as_they_should(here: Path, home: Path) -> None:
    """The vectors of three pictures among texts are given by hand; so must their order be."""
    paths = fill_folder(here / "photos", 3)
    build(["photos"], recipe=Recipe(VIT, text=True))
    query = text_vector("a red door")
    away = unit(np.random.default_rng(1).normal(size=(1, JOINT)).astype(np.float32))
    away = unit(away - (away @ query.T) * query)
    with Store.open() as store, store.catalog.reading() as reader:
        numbers = {os.fsdecode(reader.paths_of(n)[0]): n for n in (1, 2, 3)}
    from tll_index.indexer.catalog.checksums import with_check

    def set_vectors(rows: dict[bytes, bytes]) -> None:
        for path, share in zip(paths, (0.2, 0.9, -0.5), strict=True):
            key = numbers[str(path)].to_bytes(8, "big")
            row = share * query + np.sqrt(1 - share**2) * away
            rows[key] = with_check(key, row.astype("<f4").tobytes())

    rewrite_table("words", set_vectors)
    (STORE / "words.faiss").unlink()
    with Store.open() as store:
        hits = store.query(text="a red door")
        assert [Path(hit.path) for hit in hits] == [paths[1], paths[0], paths[2]]
        assert [hit.score for hit in hits] == pytest.approx([0.9, 0.2, -0.5], abs=1e-5)


def test_stores_without_texts_say_what_to_build(here: Path) -> None:
    fill_folder(here / "photos", 2)
    build(["photos"], store="tiny", recipe=Recipe("tiny"))
    build(["photos"], store="clip", recipe=Recipe(VIT))
    for name, match in (
        ("tiny", r"tiny can't read texts; .*clip_rn50x4.*--text --backbone clip_rn50x4"),
        ("clip", rf"was built without --text; .*--text --backbone {VIT} --store NEW"),
    ):
        with Store.open(name) as store:
            with pytest.raises(UsageError, match=match):
                store.query(text="a red door")
            assert store.info()["words"] is None
        with pytest.raises(UsageError, match=match):
            build(["photos"], store=name, recipe=Recipe(text=True))
    with pytest.raises(UsageError, match="tiny can't read texts"):
        build(["photos"], store="new", recipe=Recipe("tiny", text=True))
    assert not (here / "new/store.json").exists()
    with pytest.raises(WeightsError, match=f"the weights of {RESNET} are not here"):
        build(["photos"], store="new", recipe=Recipe(RESNET, text=True))


def test_auto_takes_a_backbone_with_a_text_encoder(here: Path, home: Path) -> None:
    fill_folder(here / "photos", 2)
    build(["photos"], recipe=Recipe(text=True))
    with Store.open() as store:
        assert store.info()["backbone"] == VIT
        assert store.info()["words"] == {
            "dimension": JOINT,
            "index": {
                "kind": "Flat",
                "vectors": 2,
                "recall_at_10": 1.0,
                "recall_at_10_unlike": 1.0,
                "recall_measured_with": None,
                "recall_measured_at": None,
            },
        }
    (home / "weights" / f"{VIT}.safetensors").unlink()
    with pytest.raises(UsageError, match="no weights of a backbone that reads texts"):
        build(["photos"], store="new", recipe=Recipe(text=True))


def test_other_weights_are_refused(photos: list[Path], home: Path) -> None:
    write_weights(random_network(VIT, seed=4), home / "weights" / f"{VIT}.safetensors")
    with Store.open() as store, pytest.raises(StoreMismatchError, match="another weights"):
        store.query(text="a red door")


def test_the_whole_way(here: Path, tll_index: Callable[..., Result]) -> None:
    paths = fill_folder(here / "photos", 5)
    built = tll_index("build", "photos", "--text", "--backbone", VIT, "-q")
    assert (built.code, built.out, built.err) == (0, "", "")
    queried = tll_index("query", "--text", "a red door", "--json", "-k", 5)
    lines = [json.loads(line) for line in queried.out.splitlines()]
    with Store.open() as store:
        wanted = by_brute_force(store, text_vector("a red door"))
    assert queried.code == 0 and [one["path"] for one in lines] == [path for path, _ in wanted]
    assert {one["query"] for one in lines} == {"'a red door'"}
    mixed = tll_index("query", paths[0], "--text", "snow", "--text", "night", "--paths")
    with Store.open() as store:
        hits = store.query(paths[0], text=["snow", "night"])
    assert mixed.code == 0 and mixed.out.split() == [hit.path for hit in hits]
    again = tll_index("build", "--text", "-q")  # which it is already
    assert again.code == 0
    assert "can be searched for: 24 values more" in tll_index("info").out
    less = tll_index(
        *("query", "--text", "snow=2", "--minus-text", "night", "--minus", paths[1]),
        *("--include-self", "--paths", "--html", "page.html", "--sheet", "sheet.png"),
    )
    with Store.open() as store:
        weighted = [store.encode_text("snow").weighing(2), store.encode_text("night").weighing(-1)]
        hits = store.query_blend(
            [*weighted, store.encode_query(paths[1]).weighing(-1)], include_self=True
        )
    assert less.code == 0 and less.out.split() == [hit.path for hit in hits]
    page = (here / "page.html").read_text()
    assert page.count("<figure") == 3 + 5 and "this picture can" not in page.partition("<main")[2]
    assert 'alt="snow"' in page and ">in words<" in page and "a far lower one" in page
    assert (here / "sheet.png").stat().st_size > 5_000
    crop = tll_index("query", paths[0], "--text", "snow", "--crop", "0,0,9,9", "--paths")
    assert crop.code == 0 and crop.out != mixed.out
    long = tll_index("query", "--text", "door " * 50)
    assert long.code == 2 and "reads 10 tokens" in long.err and len(long.err.splitlines()) == 1


def test_the_command_says_what_to_build(here: Path, tll_index: Callable[..., Result]) -> None:
    fill_folder(here / "photos", 2)
    assert tll_index("build", "photos", "--backbone", "tiny", "-q").code == 0
    assert tll_index("query", "--text", "a", "--crop", "0,0,9,9").code == 2
    for arguments in (("query", "--text", "a door"), ("build", "--text")):
        said = tll_index(*arguments)
        assert said.code == 2 and len(said.err.splitlines()) == 1
        assert "can't read texts" in said.err and "--text --backbone clip_rn50x4" in said.err
