"""End to end with the bundled backbone, on real pictures."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tll_index import Recipe, Store, build

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.slow
def test_gallery_families_find_each_other(here: Path) -> None:
    """`make run`'s gallery: photographs of a flower find the flower's others, not the temple's."""
    subprocess.run([sys.executable, ROOT / "examples/gallery", "gallery"], check=True)
    report = build(["gallery"])
    assert report.added > 100 and not report.skipped
    formats = Counter(path.suffix for path in Path("gallery").rglob("*.*"))
    assert {".jpg", ".png", ".webp", ".gif"} <= set(formats)
    with Store.open() as store:
        for photograph in sorted(Path("gallery/photographs").glob("dahlia-petals-*.jpg")):
            hits = store.query(photograph, k=3)
            assert all(Path(hit.path).name.startswith("dahlia") for hit in hits), photograph
        for name, lookalike in {  # of another kind, by shape, texture and colour
            "animals/zebra-hide.jpg": "places/zebra-crossing.jpg",
            "food/lollipop.png": "animals/snail.jpg",
            "animals/penguin.jpg": "food/aubergine.jpg",
        }.items():
            hits = store.query(Path("gallery") / name, k=5)
            assert len(hits) == 5
            assert str(Path("gallery").resolve() / lookalike) in [hit.path for hit in hits]


@pytest.mark.slow
def test_tll_pairs_are_nearer_than_chance(tll: Path, here: Path) -> None:
    """200 real pairs: without any lens, the match of a left picture is among the two best of 20
    far more often than the 0.10 of chance (these give 0.53)."""
    with (tll / "train.csv").open() as file:
        pairs = [(row["left"], row["right"]) for row in csv.DictReader(file)][:200]
    for side, names in (("left", [a for a, _ in pairs]), ("right", [b for _, b in pairs])):
        (here / side).mkdir()
        for name in names:
            os.symlink(tll / "train" / side / f"{name}.jpg", here / side / f"{name}.jpg")
    from tll_index.indexer.scan.walk import Rules

    report = build(["right"], recipe=Recipe(lens="none"), rules=Rules(follow_links=True))
    assert report.added == 200 and not report.skipped
    found = 0.0
    with Store.open() as store:
        for left, right in pairs:
            hits = store.query(here / f"left/{left}.jpg", k=200)
            better = next(hit.rank for hit in hits if Path(hit.path).stem == right) - 1
            chance = better / 199  # of one foil to be better; at most one of 19 may be
            found += (1 - chance) ** 19 + 19 * chance * (1 - chance) ** 18
    assert found / 200 > 0.43
