"""Which index a Milvus makes, and another in its stead."""

from __future__ import annotations

from pathlib import Path

import pytest

from milvus_server import Served
from pictures import fill_folder, noise
from queries import hits_of
from tll_index import Recipe, Store, build
from tll_index.core.config import load_settings
from tll_index.core.errors import UsageError

TINY = Recipe("tiny")


@pytest.mark.parametrize("index", ["flat", "hnsw", "ivf"])
def test_indexes(index: str, here: Path, server: Served) -> None:
    fill_folder(here / "photos", 5)
    chosen = load_settings(index=index)
    build(["photos"], store=server.address(), recipe=TINY, settings=chosen)
    with Store.open(server.address()) as store:
        kinds = {"flat": "FLAT", "hnsw": "HNSW", "ivf": "IVF_SQ8"}
        assert store.info()["index"]["kind"] == f"{kinds[index]} in Milvus"
        assert len(store.query(noise(0), 5)) == 5


def test_another_index_takes_the_place_of_one(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 5)
    build(["photos"], store=server.address(), recipe=TINY)
    before = hits_of([here / "photos/picture0000.png"], server.address())
    build(["photos"], store=server.address(), settings=load_settings(index="flat"))
    with Store.open(server.address()) as store:
        assert store.info()["index"]["kind"] == "FLAT in Milvus"
    assert hits_of([here / "photos/picture0000.png"], server.address()) == before


def test_no_such_index(here: Path, server: Served) -> None:
    fill_folder(here / "photos", 1)
    with pytest.raises(UsageError, match="Milvus has no such index; choose one of auto, flat"):
        build(
            ["photos"],
            store=server.address(),
            recipe=TINY,
            settings=load_settings(index="IVF4,Flat"),
        )
