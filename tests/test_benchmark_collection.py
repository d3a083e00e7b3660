"""The measurements behind `dupes` and `pairs`: on drawn pictures, they count what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalikes import SPEC
from lookalikes import pairs as made_up
from pictures import fill_folder
from tll_index import Recipe, Store, build
from tll_index.engine.lens import Lens
from tll_index.indexer.report import Progress

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


def test_copies_are_counted_at_each_threshold(here: Path) -> None:
    from benchmarks import copies

    fill_folder(here / "photos", 12)
    build(["photos"], recipe=Recipe("tiny"))
    with Store.open() as store:
        collection = copies.Collection(store)
        found = copies.recall(collection, np.arange(5), Progress())
    assert found.keys() == copies.CHANGES.keys()
    for shares in found.values():
        assert list(shares.values()) == sorted(shares.values(), reverse=True)
    assert found["JPEG, quality 75"]["0.92"] == 1 and found["twice the size"]["0.92"] == 1
    assert found["mirrored"]["0.92"] == 0
    result = {"pictures": 5, "collection": 12, "recall": found}
    result["joined"] = copies.joined(store.path, set(), Progress())
    lines = list(copies.table(result))
    assert len(lines) == 4 + len(copies.CHANGES) + 2 and all(
        line.count("|") == lines[2].count("|") for line in lines[2:]
    )


def test_pairs_of_people_are_counted() -> None:
    from benchmarks import striking

    class Material:
        features = made_up(40, noise=0.01, shared=60)

    lens = Lens.plain(SPEC)
    collection = striking.Collection(Material(), lens, np.arange(10, 30))  # type: ignore[arg-type]
    assert collection.pairs == 20
    best = collection.best(5, 4, 0.0)
    human = collection.are_human(best)
    for (one, other), is_human in zip(best.pairs.tolist(), human.tolist(), strict=True):
        assert is_human == (one + 20 == other)
    rows = list(striking.measured([collection, collection]))
    assert len(rows) == len(striking.WEIGHTS) * len(striking.POOLS) * len(striking.TOPS)
    assert len(list(striking.table(rows))) == 2 + len(rows) // len(striking.TOPS)
    assert all(0 <= row["human"] <= 1 for row in rows)
