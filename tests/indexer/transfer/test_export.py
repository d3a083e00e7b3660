"""Vectors out of a store and into others: what files say, that they are whole, what comes back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import Result
from pictures import encoded, fill_folder, noise
from tll_index import (
    Imported,
    Recipe,
    Store,
    build,
    export,
    import_embeddings,
    merge,
    repair,
    verify,
)
from tll_index.core.errors import (
    DataError,
    NotIndexedError,
    StoreMismatchError,
    TllError,
    UsageError,
)
from tll_index.engine.lens.csls import HubnessCorrection
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit
from tll_index.indexer.transfer import clip_retrieval as clip_layout
from tll_index.indexer.transfer import extracts

TINY = Recipe("tiny")


@pytest.fixture
def store(here: Path) -> Path:
    """Seven pictures; one has a second path, one a name that is no UTF-8."""
    fill_folder(here / "photos", 6)
    (here / "photos/zz copy.png").write_bytes((here / "photos/picture0003.png").read_bytes())
    with open(os.fsencode(here) + b"/photos/na\xffme.jpg", "wb") as file:
        file.write(encoded(noise(6, 64, 48), "JPEG"))
    build(["photos"], store="a.tll", recipe=TINY)
    return here / "a.tll"


@pytest.fixture
def hubbed(here: Path) -> Path:
    """A store whose lens holds hubs back."""
    fill_folder(here / "photos", 6)
    bank = unit(np.random.default_rng(0).random((5, 16), np.float32))
    lens = Lens("tiny", 16).with_csls(HubnessCorrection(bank, 2, 0.5))
    build(["photos"], store="hubs.tll", recipe=Recipe("tiny", lens=lens))
    return here / "hubs.tll"


def stored(store: Path) -> dict[str, tuple[list[str], np.ndarray]]:
    """SHA-256 -> paths and vector, as the catalog has them."""
    found = {}
    with Store.open(store) as opened, opened.catalog.reading() as reader:
        for number in reader.image_numbers().tolist():
            paths = [os.fsdecode(path) for path in reader.paths_of(number)]
            found[reader.image(number).sha256] = paths, reader.vectors([number])[0]
    return found


def npz_rows(path: Path) -> dict[str, tuple[list[str], np.ndarray]]:
    """The same of an .npz file, read as docs/exchange.md says."""
    with np.load(path) as file:  # no pickles
        arrays = dict(file)
    ends = arrays["path_ends"].tolist()
    text = arrays["paths"].tobytes()
    paths: dict[int, list[str]] = {}
    for start, end, row in zip([0, *ends], ends, arrays["path_rows"].tolist(), strict=False):
        paths.setdefault(row, []).append(os.fsdecode(text[start:end]))
    ids = arrays["id"].astype(str).tolist()
    return {name: (paths[row], arrays["vectors"][row]) for row, name in enumerate(ids)}


def parquet_rows(path: Path) -> dict[str, tuple[list[str], np.ndarray]]:
    """The same of a Parquet file."""
    found = {}
    for row in pq.read_table(path).to_pylist():
        raw = row["raw_paths"]
        paths = row["paths"] if raw is None else [os.fsdecode(one) for one in raw]
        assert row["path"] == row["paths"][0]
        found[row["id"]] = paths, np.array(row["vector"], np.float32)
    return found


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        one[key][0] == other[key][0] and np.array_equal(one[key][1], other[key][1]) for key in one
    )


@pytest.mark.parametrize("rows", [2, 100])
def test_files_say_what_the_store_says(
    store: Path, here: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    """Whatever the number of vectors that are held at a time."""
    monkeypatch.setattr(extracts, "_ROWS", rows)
    done = export("out.npz", store=store)
    assert (done.path, done.rows, done.dimension) == (here / "out.npz", 7, 16)
    export("out.parquet", store=store)
    assert same(npz_rows(here / "out.npz"), stored(store))
    assert same(parquet_rows(here / "out.parquet"), stored(store))
    table = pq.read_table("out.parquet")
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 16)
    assert pq.ParquetFile("out.parquet").num_row_groups == (4 if rows == 2 else 1)
    jpeg = [row for row in table.to_pylist() if row["format"] == "JPEG"]
    assert [(row["width"], row["height"]) for row in jpeg] == [(64, 48)]
    assert jpeg[0]["path"].endswith(r"/na\xffme.jpg")
    said = json.loads(table.schema.metadata[b"tll_index"])
    with np.load("out.npz") as file:
        assert json.loads(file["about"].tobytes()) == said
        assert file["file_bytes"].sum() == sum(
            entry.stat().st_size for entry in os.scandir("photos") if "copy" not in entry.name
        )
    assert said["made_by"]["backbone"] == "tiny" and said["vectors"] == "looks"


def test_links_are_told(store: Path, here: Path) -> None:
    """A picture with a file, another path to it, and a copy."""
    path = here / "photos/picture0003.png"
    (here / "photos/picture0003 again.png").hardlink_to(path)
    build(store=store)
    export("out.parquet", store=store)
    rows = {tuple(row["paths"]): row["is_link"] for row in pq.read_table("out.parquet").to_pylist()}
    names = ["picture0003 again.png", "picture0003.png", "zz copy.png"]
    assert rows[tuple(str(here / "photos" / name) for name in names)] == [False, True, False]
    assert sum(map(sum, rows.values())) == 1
    export("out.npz", store=store)
    with np.load("out.npz") as file:
        text, ends = file["paths"].tobytes(), file["path_ends"].tolist()
        (link,) = np.flatnonzero(file["path_is_link"]).tolist()
    assert text[ends[link - 1] : ends[link]] == os.fsencode(path)
    export("out", store=store, layout="clip-retrieval")
    by_path = pq.read_table("out/metadata/metadata_0.parquet").to_pylist()
    assert [row["image_path"] for row in by_path if row["is_link"] == [True]] == [str(path)]


def test_looks_are_without_the_hub_penalty(hubbed: Path) -> None:
    export("looks.npz", store=hubbed)
    export("stored.npz", store=hubbed, vectors="stored")
    assert same(npz_rows(Path("stored.npz")), stored(hubbed))
    build(["photos"], store="plain.tll", recipe=Recipe("tiny", lens="none"))
    query_rows, plain = npz_rows(Path("looks.npz")), stored(Path("plain.tll"))
    assert query_rows.keys() == plain.keys()
    for key, (_, vector) in query_rows.items():
        assert np.allclose(vector, plain[key][1], atol=1e-6)
        assert abs(np.linalg.norm(vector) - 1) < 1e-6


def test_clip_retrievals_layout(store: Path, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row for each path, in shards that are cut across parts."""
    monkeypatch.setattr(extracts, "_ROWS", 2)
    monkeypatch.setattr(clip_layout, "PER_SHARD", 3)
    done = export("out", store=store, layout="clip-retrieval")
    assert done.rows == 8
    found: dict[str, tuple[list[str], np.ndarray]] = {}
    for number in range(3):
        vectors = np.load(f"out/img_emb/img_emb_{number}.npy")
        rows = pq.read_table(f"out/metadata/metadata_{number}.parquet").to_pylist()
        assert len(vectors) == len(rows) == (2 if number == 2 else 3)
        for row, vector in zip(rows, vectors, strict=True):
            raw = row["raw_paths"]
            path = row["image_path"] if raw is None else os.fsdecode(raw[0])
            found.setdefault(row["id"], ([], vector))[0].append(path)
            assert np.array_equal(found[row["id"]][1], vector)
    assert same(found, stored(store))
    assert sorted(os.listdir("out")) == ["img_emb", "metadata"]
    with pytest.raises(UsageError, match="is there already"):
        export("out", store=store, layout="clip-retrieval")


@pytest.mark.parametrize(("rows", "shards"), [(0, 1), (10, 10), (11, 11)])
def test_shards_have_names_of_one_length(here: Path, rows: int, shards: int) -> None:
    """So that they sort as they are numbered: other tools pair them by order."""
    from tll_index.indexer.catalog.records import ImageRecord

    record = ImageRecord("0" * 64, 1, 1, "PNG", 1)
    parts = [
        extracts.ExportBatch(np.full((1, 2), row, np.float32), [record], [[b"/a"]], [[False]])
        for row in range(rows)
    ]
    clip_layout.write_shards(here, parts, (rows, 2), {}, per_shard=1)
    names = sorted(os.listdir(here / "img_emb"))
    assert len(names) == shards and len({len(name) for name in names}) == 1
    values = [np.load(here / "img_emb" / name)[:, 0].tolist() for name in names]
    assert values == ([[float(row)] for row in range(rows)] or [[]])


def test_what_cannot_be_exported(store: Path, here: Path) -> None:
    for bad in ("out.csv", "out"):
        with pytest.raises(UsageError, match=r"neither \.parquet nor \.npz"):
            export(bad, store=store)
    with pytest.raises(UsageError, match="is not a folder"):
        export("nowhere/out.npz", store=store)
    with pytest.raises(UsageError, match="no layout"):
        export("out.npz", store=store, layout="csv")  # type: ignore[arg-type]
    (here / "dir.npz").mkdir()
    with pytest.raises(TllError, match=r"dir\.npz can't be written: Is a directory"):
        export("dir.npz", store=store)
    assert sorted(os.listdir(here)) == ["a.tll", "dir.npz", "photos"]


def test_a_full_disk_leaves_nothing(store: Path, here: Path) -> None:
    """Where files may only have so many bytes: what was there before stays."""
    (here / "out.npz").write_bytes(b"before")
    code = """
import resource, signal, sys
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from tll_index import export
for name, layout in (("out.npz", None), ("out.parquet", None), ("out", "clip-retrieval")):
    resource.setrlimit(resource.RLIMIT_FSIZE, (300, resource.RLIM_INFINITY))
    try:
        export(name, store="a.tll", layout=layout)
    except Exception as error:
        print(type(error).__name__, error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and not done.stderr
    assert all(line.startswith("TllError ") and "can't be written" in line for line in lines), lines
    assert (here / "out.npz").read_bytes() == b"before"
    assert sorted(os.listdir(here)) == ["a.tll", "out.npz", "photos"]


@pytest.mark.slow
def test_without_pyarrow(store: Path) -> None:
    """A clear line, before anything is begun; .npz needs none."""
    code = """
import sys
sys.modules["pyarrow"] = None
from tll_index.cli import main
main()
"""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", code, "export", "--store", str(store), *arguments]
        return subprocess.run(command, capture_output=True, text=True)

    assert run("out.npz").returncode == 0
    failed = run("out.parquet")
    assert failed.returncode == 1 and failed.stderr.count("\n") == 1
    assert "pip install 'tll-index[tables]'" in failed.stderr


def test_an_empty_store(here: Path) -> None:
    fill_folder(here / "photos", 1)
    build(["photos"], store="a.tll", recipe=TINY)
    (here / "photos/picture0000.png").unlink()
    build(["photos"], store="a.tll", allow_empty=True)
    assert export("out.npz", store="a.tll").rows == 0
    export("out.parquet", store="a.tll")
    export("out", store="a.tll", layout="clip-retrieval")
    assert np.load("out.npz")["vectors"].shape == (0, 16)
    assert pq.read_table("out.parquet").num_rows == 0
    assert np.load("out/img_emb/img_emb_0.npy").shape == (0, 16)


def test_the_command(store: Path, tll_index: Callable[..., Result]) -> None:
    done = tll_index("export", "out.npz", "--store", store)
    assert (done.code, done.out) == (
        0, f"wrote {store.parent}/out.npz: 7 rows, 16 values each\n"
    )  # fmt: skip
    assert tll_index("export", "out", "--layout", "clip-retrieval", "--store", store).code == 0
    assert tll_index("export", "-", "--store", store).code == 2
    assert tll_index("export", "out.txt", "--store", store).code == 2


# -- and back ------------------------------------------------------------------


def layout(folder: Path, vectors: np.ndarray, rows: list[dict[str, Any]], number: int = 0) -> Path:
    """As clip-retrieval writes it."""
    for name in ("img_emb", "metadata"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    np.save(folder / f"img_emb/img_emb_{number}.npy", vectors)
    pq.write_table(pa.Table.from_pylist(rows), folder / f"metadata/metadata_{number}.parquet")
    return folder


def tops(store: Path | str) -> dict[str, list[tuple[str, float]]]:
    """For each path of a store, its ten most alike and their scores."""
    with Store.open(store) as opened:
        return {
            path: [(hit.path, hit.score) for hit in opened.query(path)]
            for path in opened.sample(100)
        }


@pytest.mark.parametrize("backbone", [None, "tiny"])
@pytest.mark.slow_after_first
def test_out_and_in_again_gives_the_same_answers(
    store: Path, here: Path, monkeypatch: pytest.MonkeyPatch, backbone: str | None
) -> None:
    export("out", store=store, layout="clip-retrieval")
    came = import_embeddings("out", store="b.tll", backbone=backbone)
    assert came == Imported(images=7, paths=8)
    mine, theirs = tops("b.tll"), tops(store)
    assert mine.keys() == theirs.keys() and len(mine) == 7
    for path, found_here in mine.items():
        assert [one for one, _ in found_here] == [one for one, _ in theirs[path]]
        assert [score for _, score in found_here] == pytest.approx(
            [score for _, score in theirs[path]], abs=1e-5
        )
    assert stored(Path("b.tll")).keys() == stored(store).keys()  # contents, read from the files
    assert import_embeddings("out", store="b.tll", backbone=backbone) == Imported(known=8)
    assert verify("b.tll", deep=True).whole
    assert repair("b.tll").done == ()
    with Store.open("b.tll") as opened:
        assert "clip-retrieval's layout" in opened.info()["origin"]


def test_an_imported_store_says_what_it_cannot(store: Path, here: Path) -> None:
    export("out", store=store, layout="clip-retrieval")
    import_embeddings("out", store="b.tll", model="somebody's")
    before = tops("b.tll")
    data = (here / "photos/picture0001.png").read_bytes()
    with Store.open("b.tll") as opened:
        assert opened.info()["backbone"] == "imported"
        assert opened.query(data)[0].path == before[str(here / "photos/picture0001.png")][0][0]
        vector = stored(Path("b.tll"))[opened.query(data)[0].sha256][1]
        assert opened.search(vector)[0].sha256 == opened.query(data)[0].sha256
        for unknown in (encoded(noise(99), "PNG"), "nowhere.png", noise(1)):
            with pytest.raises(NotIndexedError, match="made elsewhere"):
                opened.query(unknown)
        with pytest.raises(StoreMismatchError, match="made elsewhere"):
            _ = opened.embedder
    with pytest.raises(StoreMismatchError, match="no picture can be embedded"):
        build(["photos"], store="b.tll")
    # The file may be gone since: its path is known.
    (here / "photos/picture0001.png").unlink()
    with Store.open("b.tll") as opened:
        assert len(opened.query("photos/picture0001.png")) == 6
    with pytest.raises(StoreMismatchError, match="another model"):
        import_embeddings("out", store="b.tll", model="nobody's")
    with pytest.raises(StoreMismatchError, match="another backbone"):
        import_embeddings("out", store=store)
    import_embeddings("out", store="c.tll", model="somebody's")
    import_embeddings("out", store="unknown.tll")
    assert merge(["c.tll"], store="b.tll").known == 7
    with pytest.raises(StoreMismatchError, match="another model"):
        merge(["unknown.tll"], store="b.tll")


def test_addresses_and_files_that_are_not_here(here: Path) -> None:
    vectors = np.eye(7, dtype=np.float16) * 3
    vectors[5, 5], vectors[6, 6] = np.nan, 0
    rows = [
        {"image_path": "0001", "url": "https://example.org/a/one.jpg?w=1/2", "caption": "one"},
        {"image_path": "/gone/two.jpg", "url": None, "caption": "two"},
        {"image_path": None, "url": "https://example.org/a/", "caption": "three"},
        {"image_path": None, "url": None, "caption": "nothing"},
        {"image_path": None, "url": "https://example.org/", "caption": "only a host"},
        {"image_path": "/gone/nan.jpg", "url": None, "caption": "nan"},
        {"image_path": "/gone/zero.jpg", "url": None, "caption": "zero"},
    ]
    layout(here / "in", vectors, rows)
    came = import_embeddings("in", store="s.tll")
    assert came == Imported(images=3, paths=3, absent=3, refused=2, nameless=2)
    found = stored(Path("s.tll"))
    assert sorted(paths[0] for paths, _ in found.values()) == [
        "/gone/two.jpg", "https://example.org/a", "https://example.org/a/one.jpg?w=1/2"
    ]  # fmt: skip
    assert all(abs(np.linalg.norm(vector) - 1) < 1e-6 for _, vector in found.values())
    with Store.open("s.tll") as opened:
        hits = opened.query("https://example.org/a/one.jpg?w=1/2")
        assert {hit.path for hit in hits} == {"/gone/two.jpg", "https://example.org/a"}
    assert verify("s.tll", deep=True).whole
    export("out", store="s.tll", layout="clip-retrieval")
    assert pq.read_table("out/metadata/metadata_0.parquet").num_rows == 3


def test_a_backbone_is_believed_only_after_a_look(store: Path, here: Path) -> None:
    export("out", store=store, layout="clip-retrieval")
    import_embeddings("out", store="b.tll", backbone="tiny")
    with Store.open("b.tll") as opened, Store.open(store) as before:
        unknown = noise(99)
        assert [hit.path for hit in opened.query(unknown)] == [
            hit.path for hit in before.query(unknown)
        ]
    noise(40).save("photos/new.png")
    assert build(["photos"], store="b.tll").embedded == 1  # a store like any other
    vectors = np.load("out/img_emb/img_emb_0.npy")
    np.save("out/img_emb/img_emb_0.npy", vectors[:, ::-1])
    with pytest.raises(StoreMismatchError, match="tiny did not make these"):
        import_embeddings("out", store="c.tll", backbone="tiny")
    layout(here / "short", vectors[:1, :4], [{"image_path": "/gone.png"}])
    with pytest.raises(StoreMismatchError, match="have 4 values, the last layer of tiny 16"):
        import_embeddings("short", store="c.tll", backbone="tiny")
    layout(here / "gone", vectors[:1], [{"image_path": "/gone.png"}])
    with pytest.raises(DataError, match="no picture is here to check"):
        import_embeddings("gone", store="c.tll", backbone="tiny")
    with pytest.raises(UsageError, match="unknown backbone"):
        import_embeddings("gone", store="c.tll", backbone="nothing")
    assert not (here / "c.tll").exists()


def test_shards_that_do_not_fit_together(here: Path) -> None:
    row = {"image_path": "/a.png"}
    good = np.ones((1, 4), np.float32)
    with pytest.raises(DataError, match="not in clip-retrieval's layout"):
        import_embeddings(here, store="s.tll")
    layout(here / "two", good, [row, row])
    with pytest.raises(DataError, match="2 rows for 1 embeddings"):
        import_embeddings("two", store="s.tll")
    layout(here / "wide", good, [row])
    layout(here / "wide", np.ones((1, 5), np.float32), [row], 1)
    with pytest.raises(DataError, match="5 values a row, others 4"):
        import_embeddings("wide", store="s.tll")
    (here / "wide/metadata/metadata_1.parquet").unlink()
    with pytest.raises(DataError, match="no file with the number 1"):
        import_embeddings("wide", store="s.tll")
    layout(here / "words", np.array([["a"]]), [row])
    with pytest.raises(DataError, match="array of floats"):
        import_embeddings("words", store="s.tll")
    layout(here / "nothing", good, [{"caption": "words"}])
    with pytest.raises(DataError, match="no column that says where"):
        import_embeddings("nothing", store="s.tll")
    for name in ("img_emb/img_emb_0.npy", "metadata/metadata_0.parquet"):
        layout(here / "cut", good, [row])
        data = (here / "cut" / name).read_bytes()
        for end in (0, 20, len(data) - 1):
            (here / "cut" / name).write_bytes(data[:end])
            with pytest.raises(DataError, match="can't be read"):
                import_embeddings("cut", store="s.tll")
    assert not (here / "s.tll/store.json").exists()


def test_the_import_command(store: Path, here: Path, tll_index: Callable[..., Result]) -> None:
    export("out", store=store, layout="clip-retrieval")
    done = tll_index("import", "out", "--store", "b.tll", "--model", "mine")
    assert (done.code, done.out) == (
        0, "8 paths added (7 new pictures), 0 known, 0 without a file here\n"
    )  # fmt: skip
    queried = tll_index("query", here / "photos/picture0000.png", "--store", "b.tll", "--paths")
    assert queried.code == 0 and queried.out.count("\n") == 6
    noise(99).save(here / "other.png")
    queried = tll_index("query", here / "other.png", "--store", "b.tll")
    assert queried.code == 1 and "made elsewhere" in queried.err and queried.err.count("\n") == 1
    said = tll_index("info", "--store", "b.tll").out
    assert "none here: mine" in said and "imported from out in clip-retrieval's layout" in said
    assert tll_index("build", "photos", "--store", "b.tll").code == 1


def test_addresses_on_the_command_line(here: Path, tll_index: Callable[..., Result]) -> None:
    address = "https://example.org/a//b.jpg?x=/"
    rows = [{"image_path": "1", "url": address}, {"image_path": "/gone.jpg", "url": None}]
    layout(here / "in", np.eye(2, dtype=np.float32), rows)
    tll_index("import", "in", "--store", "s.tll")
    queried = tll_index("query", address, "--store", "s.tll", "--paths")
    assert (queried.code, queried.out) == (0, "/gone.jpg\n")
    queried = tll_index("query", "/gone.jpg", "--store", "s.tll", "--paths")
    assert queried.out == "https://example.org/a/b.jpg?x=\n"
    assert tll_index("forget", address, "--store", "s.tll").code == 0
    assert tll_index("query", "/gone.jpg", "--store", "s.tll", "--paths").out == ""
