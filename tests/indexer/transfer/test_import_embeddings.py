"""Embeddings from elsewhere: whatever keys, columns and addresses they come with, no row is lost in
silence and nothing secret is kept."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from conftest import Result, the_store
from pictures import fill_folder
from tll_index import Imported, Store, import_embeddings, merge, verify
from tll_index.core.errors import DataError
from tll_index.indexer.scan.walk import FileState


def part(
    folder: Path | str, number: int, vectors: np.ndarray, rows: list[dict[str, Any]], **names: str
) -> Path:
    """One pair of files, as clip-retrieval writes it; `names` are of its two folders."""
    folder = Path(folder)
    embeddings, metadata = names.get("embeddings", "img_emb"), names.get("metadata", "metadata")
    for name in (embeddings, metadata):
        (folder / name).mkdir(parents=True, exist_ok=True)
    np.save(folder / embeddings / f"img_emb_{number}.npy", vectors)
    pq.write_table(pa.Table.from_pylist(rows), folder / metadata / f"metadata_{number}.parquet")
    return folder


def vectors(count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 8)).astype(np.float16)


def keys(*names: object) -> list[dict[str, Any]]:
    return [{"image_path": name} for name in names]


def paths_in(store: str) -> set[str]:
    with Store.open(store) as opened:
        return {os.path.relpath(path) for path in opened.sample(1000)}


# -- keys that repeat -----------------------------------------------------------


@pytest.mark.usefixtures("anywhere")
def test_keys_that_begin_anew_in_each_part_lose_no_row(here: Path) -> None:
    every = vectors(7)
    part("in", 0, every[:2], keys("0000", "0001"))
    part("in", 1, every[2:4], keys("0000", "0001"))
    part("in", 2, every[4:], keys("0000", "0001", "0002"))
    wanted = Imported(images=7, paths=7, absent=7, renamed=4)
    assert import_embeddings("in", store=the_store(), model="m") == wanted
    assert paths_in(the_store()) == {
        *("0000", "0001", "0002", "0000~part1-row0", "0001~part1-row1"),
        *("0000~part2-row0", "0001~part2-row1"),
    }
    with Store.open(the_store()) as store:  # each vector finds the row that it came with
        for row, name in enumerate(("0000", "0001", "0000~part1-row0")):
            unit = every[row].astype(np.float32)
            best = store.search(unit / np.linalg.norm(unit))[0]
            assert os.path.relpath(best.path) == name and best.score == pytest.approx(1, abs=1e-5)
    again = import_embeddings("in", store=the_store(), model="m")
    assert again == Imported(known=7, absent=7, renamed=4)


def test_equal_keys_with_equal_vectors_are_one(here: Path) -> None:
    one, two = vectors(2)
    part("in", 0, np.stack([one, one, two]), keys("a", "a", "a"))
    part("in", 1, np.stack([two, one]).astype(np.float32), keys("a", "a"))
    came = import_embeddings("in", store="s.tll")
    assert came == Imported(images=2, paths=2, known=3, absent=5, renamed=2)
    assert paths_in("s.tll") == {"a", "a~part0-row2"}


def test_a_store_that_was_imported_grows_by_other_vectors_of_its_keys(here: Path) -> None:
    """Nothing tells a better vector of the same picture from one of another picture."""
    part("in", 0, vectors(2), keys("a", "b"))
    import_embeddings("in", store="s.tll", model="m")
    part("in", 0, vectors(2, seed=1), keys("a", "b"))
    came = import_embeddings("in", store="s.tll", model="m")
    assert came == Imported(images=2, paths=2, absent=2, renamed=2)
    part("in", 0, vectors(2, seed=2), keys("a", "b"))
    import_embeddings("in", store="s.tll", model="m")
    assert {"a", "a~part0-row0", "a~part0-row0-2"} < paths_in("s.tll")
    assert verify("s.tll", deep=True).whole


def test_one_file_with_two_vectors(here: Path) -> None:
    """Two crops of it, say. A copy is embedded twice and hardly differs: that is one picture."""
    (path,) = fill_folder(here / "photos", 1)
    shutil.copy(path, here / "photos/copy.png")
    one, two = vectors(2)
    nearly = one + np.float16(0.001)
    part("in", 0, np.stack([one, two, nearly]), keys(path.name, path.name, "copy.png"))
    os.chdir("photos")
    came = import_embeddings("../in", store="../s.tll", model="m")
    assert came == Imported(images=2, paths=3, absent=1, renamed=1)
    assert import_embeddings("../in", store="../s.tll", model="m").known == 3
    # While the disk is away, what was read of it stays known.
    path.unlink()
    came = import_embeddings("../in", store="../s.tll", model="m")
    assert came == Imported(known=3, absent=2, renamed=1)
    with Store.open("../s.tll") as store:
        assert len(store) == 2 and {one.width for one in map(store.picture, shas(store))} != {0}


def shas(store: Store) -> list[str]:
    with store.catalog.reading() as reader:
        return [reader.record(int(number)).sha256 for number in reader.image_numbers()]


def test_the_command_counts_them(here: Path, tll_index: Callable[..., Result]) -> None:
    for number in range(3):
        part("in", number, vectors(1, seed=number), keys("0"))
    done = tll_index("import", "in", "--store", "s.tll")
    assert done.code == 0 and "3 paths added (3 new pictures)" in done.out
    assert "2 of the rows share a path or content with another row" in done.out


# -- columns and folders ----------------------------------------------------------


@pytest.mark.parametrize(
    ("row", "path"),
    [
        ({"Image_Path": "a.jpg"}, "a.jpg"),
        ({"IMAGE PATH": "a.jpg", "caption": "c"}, "a.jpg"),
        ({"filename": "a.jpg"}, "a.jpg"),
        ({"KEY": "0001", "caption": "c"}, "0001"),
        ({"key": 17}, "17"),
        ({"Key": "0001", "image_path": "a.jpg"}, "a.jpg"),
        ({"image_path": None, "path": "b.jpg"}, "b.jpg"),
    ],
)
def test_columns_in_any_letters(here: Path, row: dict[str, Any], path: str) -> None:
    part("in", 0, vectors(1), [row])
    import_embeddings("in", store="s.tll")
    assert paths_in("s.tll") == {path}


@pytest.mark.parametrize("name", ["url", "URL", "Image-URL", "imageUrl", "Uri"])
def test_addresses_in_any_letters(here: Path, name: str) -> None:
    part("in", 0, vectors(1), [{name: "https://example.org/a.jpg", "key": "0", "TEXT": "c"}])
    import_embeddings("in", store="s.tll")
    with Store.open("s.tll") as store:
        assert list(store.sample(2)) == ["https://example.org/a.jpg"]


def test_a_column_of_whole_pictures_is_no_path(here: Path) -> None:
    part("in", 0, vectors(1), [{"image": b"\x89PNG", "caption": "words"}])
    with pytest.raises(DataError, match=r"no column that says where.* it has image, caption"):
        import_embeddings("in", store="s.tll")


def test_folders_that_are_missing_or_called_otherwise(here: Path) -> None:
    def refused(folder: str) -> str:
        with pytest.raises(DataError) as caught:
            import_embeddings(folder, store="s.tll")
        assert not (here / "s.tll").exists()
        return str(caught.value)

    rows = keys("a")
    part("meta", 0, vectors(1), rows, metadata="meta")
    assert "it has no metadata/metadata_0.parquet; is it meta? Call that metadata" in refused(
        "meta"
    )
    part("emb", 0, vectors(1), rows, embeddings="image_embeddings")
    assert "no img_emb/img_emb_0.npy; is it image_embeddings?" in refused("emb")
    part("none", 0, vectors(1), rows)
    shutil.rmtree("none/metadata")
    assert refused("none").endswith("it has no metadata/metadata_0.parquet")
    Path("none/metadata").mkdir()
    Path("none/metadata/metadata_0.json").write_text("{}")
    assert refused("none").endswith("it has no metadata/metadata_0.parquet; metadata holds .json")
    assert "the folder above both is named" in refused("meta/img_emb")
    assert "does not exist" in refused("nowhere")
    part("half", 0, vectors(1), rows)
    part("half", 1, vectors(1), rows)
    Path("half/metadata/metadata_1.parquet").unlink()
    said = refused("half")
    assert "half/img_emb/img_emb_1.npy has no other half" in said and "metadata_1.parquet" in said


# -- addresses that are secret ------------------------------------------------------

SECRET = "c0ffee"
SIGNED = [
    f"https://b.example/a.jpg?X-Amz-Date=1&X-Amz-Signature={SECRET}",
    f"https://b.example/a.jpg?AWSAccessKeyId=A&Expires=1&Signature=a/{SECRET}%3D",
    f"https://b.example/a.jpg?w=1&x-goog-signature={SECRET}",
    f"https://b.example/a.jpg?sv=1&se=2&sig={SECRET}",
    f"https://b.example/a.jpg?w=1&Token={SECRET}",
    f"https://b.example/a.jpg?a=1&amp;access_token={SECRET}",
    f"https://b.example/i?url=https%3A%2F%2Fb%2Fa.jpg%3FX-Amz-Signature%3D{SECRET}",
    f"s3://bucket/a.jpg?X-Amz-Signature={SECRET}",
]
LETTING_IN = [
    *SIGNED,
    f"https://user:{SECRET}@b.example/a.jpg",
    f"https:/user:{SECRET}@b.example/a.jpg",
    f"s3://key:{SECRET}/x@bucket/a.jpg",
]


@pytest.mark.parametrize("address", LETTING_IN)
@pytest.mark.parametrize("column", ["url", "image_path", "KEY"])
def test_one_secret_address_refuses_all(
    here: Path, tll_index: Callable[..., Result], address: str, column: str
) -> None:
    part("in", 0, vectors(2), [{"url": "https://b.example/1.jpg"}, {"url": None}])
    part("in", 1, vectors(2), [{column: "https://b.example/2.jpg"}, {column: address}])
    done = tll_index("import", "in", "--store", "s.tll")
    assert done.code == 2 and done.err.count("\n") == 1 and not done.out
    assert "in/metadata/metadata_1.parquet, row 1" in done.err
    assert SECRET not in done.err and not (here / "s.tll").exists()


def test_harmless_addresses_and_files_are_taken(here: Path) -> None:
    fill_folder(here, 1)[0].rename("a.png?token=1")  # a name that a file really has
    addresses = ["https://b.example/a.jpg?w=1&design=2", "https://b.example/@me/a.jpg"]
    rows = [{"url": one, "image_path": None} for one in addresses]
    rows.append({"url": None, "image_path": "a.png?token=1"})
    part("in", 0, vectors(3), rows)
    assert import_embeddings("in", store="s.tll").paths == 3


@pytest.fixture
def older(here: Path) -> str:
    """A store with signed addresses, as an older version imported them."""
    part("in", 0, vectors(len(SIGNED) + 1), keys(*map(str, range(len(SIGNED))), "/plain.jpg"))
    import_embeddings("in", store="old.tll", model="m")
    with Store.open("old.tll") as store:

        def sign(writer: Any) -> None:
            for number, address in enumerate(SIGNED):
                entry = writer.file_in(writer.folder(os.fsencode(here)), str(number).encode())
                folder, name = os.path.split(address.encode())
                writer.set_entry(writer.folder(folder), name, FileState(0, 0), entry.image)
                writer.remove_path(os.fsencode(here / str(number)))

        store.catalog.write(sign)
    assert SECRET.encode() in bytes_of("old.tll")
    return "old.tll"


def bytes_of(store: str) -> bytes:
    return b"".join(path.read_bytes() for path in Path(store).rglob("*") if path.is_file())


@pytest.mark.parametrize("how", ["import", "merge into", "merge from", "forget"])
def test_the_next_write_cleans_what_an_older_version_stored(
    here: Path, older: str, how: str, tll_index: Callable[..., Result]
) -> None:
    part("more", 0, vectors(1, seed=9), keys("/more.jpg"))
    cleaned = older
    if how == "import":
        done = tll_index("import", "more", "--store", older)
    elif how == "forget":
        done = tll_index("forget", "/plain.jpg", "--store", older)
    else:
        cleaned, other = (older, "o.tll") if how == "merge into" else ("o.tll", older)
        import_embeddings("more", store="o.tll", model="m")
        done = tll_index("merge", other, "--store", cleaned)
    assert done.code == 0, done.err
    assert f"{len(SIGNED)} of the store's addresses were signed" in done.err
    assert SECRET not in done.err + done.out and SECRET.encode() not in bytes_of(cleaned)
    with Store.open(cleaned) as store:  # no picture is lost with them
        found = {path for sha in shas(store) for path in store.picture(sha).paths}
    there = {"https://b.example/a.jpg", "https://b.example/a.jpg~2", "s3://bucket/a.jpg"}
    assert there < found and len([one for one in found if "://" in one]) == len(SIGNED)
    assert verify(cleaned, deep=True).whole
    assert merge([cleaned], store="again.tll").added == len(found)
