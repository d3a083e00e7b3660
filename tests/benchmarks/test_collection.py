"""The measurements behind `dupes` and `pairs`: on drawn pictures, they count what is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from lookalikes import SPEC
from lookalikes import pairs as made_up
from pictures import fill_folder
from tll_index.engine.lens.lens import Lens

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT)


@pytest.mark.slow
def test_copies_are_counted(here: Path) -> None:
    from benchmarks.lens import copies

    originals = fill_folder(here / "photos", 4)
    (here / "copies").mkdir()
    hands = [[*range(len(copies.CHANGES))] for _ in originals]
    made = copies.make_copies(originals, hands, here / "copies")
    assert made.keys() == copies.CHANGES.keys()
    assert all(list(kind.values()) == [str(path) for path in originals] for kind in made.values())
    groups = [
        {str(path), *(copy for kind in made.values() for copy in kind if kind[copy] == str(path))}
        for path in originals
    ]
    assert set(copies.found(made, groups).values()) == {4}
    assert copies.found_by_pairs(made, groups) == copies.found(made, groups)
    assert copies.joined_wrongly(made, groups) == 0
    assert copies.joined_wrongly(made, [groups[0] | groups[1], *groups[2:]]) == 1
    assert set(copies.found(made, groups[1:]).values()) == {3}
    result = {
        "pictures": 4,
        "collection": 4,
        "found": {"dupes": copies.found(made, groups)},
        "copies_of_each": len(copies.CHANGES),
        "joined_wrongly": {"dupes": 0},
        "drawn": {"chats": 0},
    }
    lines = list(copies.table(result))
    assert len(lines) == 2 + 2 + len(copies.CHANGES) + 1 + 2


def test_pairs_of_people_are_counted() -> None:
    from benchmarks.lens import striking

    class PairData:
        features = made_up(40, noise=0.01, shared=60)

    lens = Lens.plain(SPEC)
    collection = striking.Collection(PairData(), lens, np.arange(10, 30))  # type: ignore[arg-type]
    assert collection.pairs == 20
    best = collection.best(5, 4, 0.0)
    human = collection.are_human(best)
    for (one, other), is_human in zip(best.pairs.tolist(), human.tolist(), strict=True):
        assert is_human == (one + 20 == other)
    rows = list(striking.measured([collection, collection]))
    assert len(rows) == len(striking.WEIGHTS) * len(striking.POOLS) * len(striking.TOPS)
    assert len(list(striking.table(rows))) == 2 + len(rows) // len(striking.TOPS)
    assert all(0 <= row["human"] <= 1 for row in rows)
