"""Stores that keep where pictures are among texts: asked, followed, looked after."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import lmdb
import numpy as np
import open_clip
import pytest
import torch

import clips
from clips import JOINT, RESNET, VIT, install, random_network, write_weights
from conftest import Result
from pictures import fill_folder
from tll_index import Recipe, Store, backup, build, forget, merge, repair, verify
from tll_index.core.config import Settings
from tll_index.core.errors import StoreDamagedError, StoreMismatchError, UsageError, WeightsError
from tll_index.core.progress import Progress
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit
from tll_index.indexer.backends.metadata import read_about, write_about
from tll_index.indexer.catalog.lmdb_writer import LmdbWriter as Writer
from tll_index.indexer.catalog.records import ImageRecord
from tll_index.indexer.ingest.background_indexer import BackgroundIndexer
from tll_index.indexer.vector_index.faiss_file import glance

pytestmark = pytest.mark.usefixtures("by_torch")

STORE = Path(".tll-index")
CLI = clips.__file__
COUNT = 12


class KilledError(BaseException):
    """As no code of ours raises."""


@pytest.fixture(scope="module")
def architectures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("configs")
    install(folder)
    return folder


@pytest.fixture(autouse=True)
def weights(architectures: Path, home: Path) -> None:
    """Of the small ViT."""
    write_weights(random_network(VIT), home / "weights" / f"{VIT}.safetensors")


@pytest.fixture
def photos(here: Path) -> list[Path]:
    """Indexed pictures; their store is asked with texts."""
    paths = fill_folder(here / "photos", COUNT)
    build(["photos"], recipe=Recipe(VIT, text=True))
    return paths


def text_vector(text: str) -> np.ndarray:
    """By open_clip's own code."""
    with torch.inference_mode():
        tokens = open_clip.get_tokenizer(VIT)([text])
        return random_network(VIT).encode_text(tokens, normalize=True).numpy()


def stored(store: Store) -> tuple[list[str], np.ndarray]:
    """Paths, and (n, j) where they are among texts, as the catalog has it."""
    with store.catalog.reading("words") as reader:
        numbers = reader.image_numbers()
        paths = [os.fsdecode(reader.paths_of(int(number))[0]) for number in numbers]
        return paths, reader.vectors(numbers)


def by_brute_force(store: Store, ask: np.ndarray) -> list[tuple[str, float]]:
    paths, rows = stored(store)
    scores = (rows @ unit(ask)[0]).tolist()
    return sorted(zip(paths, scores, strict=True), key=lambda one: -one[1])


def same(hits: object, wanted: list[tuple[str, float]]) -> bool:
    found = [(hit.path, hit.score) for hit in hits]  # type: ignore[attr-defined]
    return [path for path, _ in found] == [path for path, _ in wanted] and np.allclose(
        [score for _, score in found], [score for _, score in wanted], atol=2e-6
    )


def rewrite(change: Callable[[dict[bytes, bytes]], None], table: str = "words") -> None:
    """Change raw records of a table of the catalog."""
    path = STORE / read_about(STORE).catalog
    with lmdb.open(str(path), subdir=False, max_dbs=32, map_size=64 << 20) as environment:
        handle = environment.open_db(table.encode())
        with environment.begin(write=True) as txn:
            rows = dict(txn.cursor(db=handle))
            txn.drop(handle, delete=False)
            change(rows)
            for key, value in rows.items():
                txn.put(key, value, db=handle)


# -- asking -------------------------------------------------------------------


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
def test_texts_mixed_with_pictures(
    photos: list[Path], runtime: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TLL_RUNTIME", runtime)
    with Store.open() as store:
        paths, rows = stored(store)
        place = dict(zip(paths, rows, strict=True))
        red, snow = text_vector("a red door"), text_vector("snow")
        ask = red + snow + place[str(photos[3])] - place[str(photos[5])]
        wanted = by_brute_force(store, ask)
        hits = store.query(photos[3], COUNT, text=["a red door", "snow"], minus=[photos[5]])
        asked = {str(photos[3]), str(photos[5])}
        found, left = list(hits), [one for one in wanted if one[0] not in asked]
        assert [hit.path for hit in found] == [path for path, _ in left]
        assert np.allclose([hit.score for hit in found], [score for _, score in left], atol=2e-4)
        assert hits.query == f"'a red door' + 'snow' + {photos[3]} - {photos[5]}"
        looks = [store.encode_text("snow").weighing(-2), store.encode_indexed(found[0].sha256)]
        exact = by_brute_force(store, place[found[0].path] - 2 * snow)
        assert same(store.query_blend(looks, COUNT, include_self=True), exact)


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
    """The joint places of three pictures are given by hand; so must their order be."""
    paths = fill_folder(here / "photos", 3)
    build(["photos"], recipe=Recipe(VIT, text=True))
    ask = text_vector("a red door")
    away = unit(np.random.default_rng(1).normal(size=(1, JOINT)).astype(np.float32))
    away = unit(away - (away @ ask.T) * ask)
    with Store.open() as store, store.catalog.reading() as reader:
        numbers = {os.fsdecode(reader.paths_of(n)[0]): n for n in (1, 2, 3)}
    from tll_index.indexer.catalog.checksums import with_check

    def place(rows: dict[bytes, bytes]) -> None:
        for path, share in zip(paths, (0.2, 0.9, -0.5), strict=True):
            key = numbers[str(path)].to_bytes(8, "big")
            row = share * ask + np.sqrt(1 - share**2) * away
            rows[key] = with_check(key, row.astype("<f4").tobytes())

    rewrite(place)
    (STORE / "words.faiss").unlink()
    with Store.open() as store:
        hits = store.query(text="a red door")
        assert [Path(hit.path) for hit in hits] == [paths[1], paths[0], paths[2]]
        assert [hit.score for hit in hits] == pytest.approx([0.9, 0.2, -0.5], abs=1e-5)


def test_stores_without_words_say_what_to_build(here: Path) -> None:
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


def test_auto_takes_a_backbone_that_knows_words(here: Path, home: Path) -> None:
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


# -- the command ----------------------------------------------------------------


def test_the_whole_way(here: Path, tll_index: Callable[..., Result]) -> None:
    paths = fill_folder(here / "photos", 5)
    built = tll_index("build", "photos", "--text", "--backbone", VIT, "-q")
    assert (built.code, built.out, built.err) == (0, "", "")
    asked = tll_index("query", "--text", "a red door", "--json", "-k", 5)
    lines = [json.loads(line) for line in asked.out.splitlines()]
    with Store.open() as store:
        wanted = by_brute_force(store, text_vector("a red door"))
    assert asked.code == 0 and [one["path"] for one in lines] == [path for path, _ in wanted]
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
        looks = [store.encode_text("snow").weighing(2), store.encode_text("night").weighing(-1)]
        hits = store.query_blend(
            [*looks, store.encode_query(paths[1]).weighing(-1)], include_self=True
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


# -- kept in step -----------------------------------------------------------------


def in_step(store: Store) -> None:
    """Each image has both vectors, and is found in both spaces."""
    with store.catalog.reading() as reader:
        images = reader.image_numbers()
        text = reader.of_space("words")
        assert len(reader.vectors(images)) == len(text.vectors(images)) == len(images)
        assert len(text.vectors_from(0, 10_000)[0]) == reader.images
    found = store.query(text="a red door", k=999)
    assert same(found, by_brute_force(store, text_vector("a red door")))
    assert len(found) == len(store)


def test_builds_keep_both_in_step(photos: list[Path], here: Path) -> None:
    fill_folder(here / "photos", 4, first=50)
    photos[0].unlink()
    photos[1].rename(here / "photos/moved.png")
    report = build()
    assert (report.added, report.removed, report.embedded) == (4, 1, 4)
    with Store.open() as store:
        in_step(store)
        known = [glance(STORE / one.file, one.file_id, whole=True) for one in store.about.spaces]
        assert [one and one[0].images for one in known] == [COUNT + 3] * 2
        generations = {one[1].generation for one in known if one}
        assert len(generations) == 1
    assert verify(deep=True).whole
    assert verify().checked["words index"] == COUNT + 3


def test_a_store_that_is_open_follows(photos: list[Path], here: Path) -> None:
    with Store.open() as store:
        assert len(store.query(text="snow", k=99)) == COUNT
        fill_folder(here / "photos", 3, first=70)
        photos[2].unlink()
        build()
        in_step(store)
        forget([photos[3]])
        in_step(store)


class DiesAtTheSecond(Progress):
    """As if killed when the second index is being made."""

    indexes = 0

    def start(self, what: str, total: int | None, unit: str = "pictures", done: int = 0) -> None:
        self.indexes += what == "arranging"
        if self.indexes == 2:
            raise KilledError


def test_what_one_index_covers_is_kept_for_the_other(photos: list[Path], here: Path) -> None:
    """Removals are remembered as long as one of the files needs them."""
    with Store.open() as store:
        covered = glance(STORE / "words.faiss", store.about.spaces[1].file_id)
        assert covered is not None
        store.catalog.write(lambda writer: writer.remove_path(os.fsencode(photos[0])))
        store.catalog.write(lambda writer: writer.remove_orphans(10))
        with pytest.raises(KilledError):
            store.save_index(DiesAtTheSecond())
        with store.catalog.reading() as reader:
            assert len(reader.removed_since(covered[1].generation)) == 1
        assert verify().whole
        store.save_index()
        with store.catalog.reading() as reader:
            assert len(reader.removed_since(0)) == 0
        in_step(store)


def test_a_keeper_keeps_both(here: Path, home: Path) -> None:
    """A child process makes the large index of either space."""
    fill_folder(here / "photos", 2)
    build(["photos"], recipe=Recipe(VIT, text=True))
    generator = np.random.default_rng(6)
    count = 200

    def add(writer: Writer) -> None:
        for number in range(count):
            content = number.to_bytes(32, "big")
            rows = [
                unit(generator.normal(size=(1, width)).astype(np.float32))[0]
                for width in (152, JOINT)
            ]
            image = writer.add_image(content, ImageRecord(content.hex(), 1, 1, "PNG", 1), *rows)
            writer.set_entry(writer.folder(b"/p"), b"%d" % number, (1, 1), image)  # type: ignore[arg-type]

    with Store.open(settings=Settings(store=here / STORE, index="IVF2,Flat")) as store:
        store.catalog.write(add)
        assert [plan.factory for plan in store.indexes.due()] == ["IVF2,Flat"] * 2
        with BackgroundIndexer(store) as indexer:
            indexer.finish(Progress())
        assert store.indexes.due() == []
        for space in store.about.spaces:
            known = glance(STORE / space.file, space.file_id, whole=True)
            assert known is not None
            assert (known[0].images, known[0].factory) == (count + 2, "IVF2,Flat")
    assert verify().whole


def test_indexes_are_not_taken_for_each_other(here: Path) -> None:
    fill_folder(here / "photos", 4)
    lens = Lens(VIT, 152, adaptation=np.eye(JOINT, 152, dtype=np.float32))  # as long as words
    build(["photos"], recipe=Recipe(VIT, lens=lens, text=True))
    with Store.open() as store:
        in_step(store)
    shutil.copy(STORE / "vectors.faiss", STORE / "words.faiss")
    assert [(one.part, one.mends) for one in verify().findings] == [("index", "build")]
    with Store.open() as store:
        in_step(store)
    build()
    assert verify().whole


@pytest.mark.slow
def test_a_killed_build_has_both_or_none(here: Path, architectures: Path) -> None:
    fill_folder(here / "photos", 40)
    command = [sys.executable, CLI, architectures, "build", "photos", "--text", "-q"]
    command += ["--backbone", VIT, "--batch-size", "1", "--workers", "1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(command, env=environment)
    while process.poll() is None and images_in(STORE) < 3:
        time.sleep(0.005)
    process.kill()
    process.wait()
    with Store.open() as store:
        held = len(store)
        in_step(store)
    report = build()
    assert 3 <= held == 40 - report.embedded
    with Store.open() as store:
        in_step(store)
        assert len(store) == 40
    assert verify().whole


def images_in(path: Path) -> int:
    if not (path / "store.json").exists():
        return 0
    with Store.open(path) as store, store.catalog.reading() as reader:
        return reader.images


# -- looked after -----------------------------------------------------------------


def test_forgetting_leaves_no_byte(photos: list[Path]) -> None:
    with Store.open() as store:
        paths, rows = stored(store)
        gone = rows[paths.index(str(photos[4]))].astype("<f4").tobytes()
        kept = rows[paths.index(str(photos[5]))].astype("<f4").tobytes()
    assert traces(kept) == traces(gone) != []
    photos[4].unlink()
    forget([photos[4]])
    assert traces(gone) == [] and len(traces(kept)) == 2
    with Store.open() as store:
        in_step(store)


def traces(wanted: bytes) -> list[str]:
    """Files of the store that hold these bytes."""
    return sorted(
        path.name.partition("-")[0] for path in STORE.iterdir() if wanted in path.read_bytes()
    )


def flip(rows: dict[bytes, bytes]) -> None:
    key = sorted(rows)[2]
    value = rows[key]
    rows[key] = value[:9] + bytes([value[9] ^ 4]) + value[10:]


def lose(rows: dict[bytes, bytes]) -> None:
    del rows[sorted(rows)[2]]


def too_many(rows: dict[bytes, bytes]) -> None:
    rows[(999).to_bytes(8, "big")] = rows[sorted(rows)[0]]


@pytest.mark.parametrize("harm", [flip, lose, too_many])
@pytest.mark.slow_after_first
def test_a_damaged_place_is_noticed_and_mended(
    photos: list[Path], harm: Callable[[dict[bytes, bytes]], None]
) -> None:
    with Store.open() as store:
        wanted = store.query(text="a red door", k=COUNT).hits
    rewrite(harm)
    (STORE / "words.faiss").unlink()  # which would answer still
    found = verify().findings
    assert found and all((one.part, one.mends) == ("catalog", "repair") for one in found)
    if harm is not too_many:
        with Store.open() as store, pytest.raises(StoreDamagedError, match="repair"):
            store.query(text="a red door")
        with Store.open() as store:  # how pictures look is whole
            assert len(store.query(photos[0])) == 10
    assert "catalog written anew" in repair().done[0]
    assert verify().whole
    build()
    with Store.open() as store:
        assert store.query(text="a red door", k=COUNT).hits == wanted
        in_step(store)


def test_a_lost_store_json_and_index_are_made_anew(photos: list[Path]) -> None:
    before = (STORE / "store.json").read_bytes()
    (STORE / "store.json").unlink()
    (STORE / "words.faiss").write_bytes(b"torn")
    assert repair().done == ("store.json written from the catalog (store.json is lost)",
                             "words.faiss made anew")  # fmt: skip
    assert (STORE / "store.json").read_bytes() == before
    assert verify(deep=True).whole
    about = read_about(STORE)
    write_about(STORE / "store.json", type(about).of({**about.document(), "words": 3}, ""))
    assert [one.part for one in verify().findings] == ["store.json"]
    repair()
    assert (STORE / "store.json").read_bytes() == before


def test_a_backup_keeps_words(photos: list[Path], here: Path) -> None:
    with Store.open() as store:
        wanted = store.query(text="a red door", k=COUNT).hits
    backup("copy")
    shutil.rmtree(STORE)
    assert verify("copy").whole and Path("copy/words.faiss").is_file()
    with Store.open("copy") as store:
        assert store.query(text="a red door", k=COUNT).hits == wanted
        in_step(store)


def test_stores_with_words_are_merged(photos: list[Path], here: Path) -> None:
    other = fill_folder(here / "other", 5, first=80)
    build(["other"], store="other.store", recipe=Recipe(VIT, text=True))
    build(["other"], store="plain", recipe=Recipe(VIT))
    assert merge(["other.store"]).images == 5
    assert merge([STORE], store="new").images == COUNT + 5
    for path in (STORE, "new"):
        with Store.open(path) as store:
            in_step(store)
            assert str(other[0]) in [hit.path for hit in store.query(text="snow", k=99)]
        assert verify(path).whole
    with pytest.raises(StoreMismatchError, match=r"plain was built without --text .*with it"):
        merge(["plain"])
    assert merge(["other.store"], store="plain").known == 5  # which keeps none
    assert read_about(Path("plain")).text is None and verify("plain").whole


# -- formats ----------------------------------------------------------------------


def test_only_stores_with_words_have_the_newer_format(photos: list[Path], here: Path) -> None:
    build(["photos"], store="plain", recipe=Recipe(VIT))
    assert read_about(here / "plain").format == 2  # as before: earlier versions read it
    assert "words" not in json.loads((here / "plain/store.json").read_text())
    document = json.loads((STORE / "store.json").read_text())
    assert (document["format"], document["words"]) == (3, JOINT)
    forget([photos[0]])
    backup("copy")
    rewrite(flip)
    repair()
    for path in (STORE, Path("copy")):
        about = read_about(path)
        assert (about.format, about.text) == (3, JOINT)
    for wrong in ({"format": 2}, {"words": 0}, {"words": "x"}, {"words": [1]}):
        (STORE / "store.json").write_text(json.dumps({**document, **wrong}))
        with pytest.raises(StoreDamagedError, match="repair"):
            Store.open()
