"""What says something else is no copy: texts, numbers, colours, positions; copies of it are."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pictures import encoded
from tll_index import Recipe, build, dupes

ROOT = Path(__file__).resolve().parents[4]
PICTURES = 3

Kinds = dict[str, Callable[[np.random.Generator, int], list[Image.Image]]]


@pytest.fixture
def kinds(monkeypatch: pytest.MonkeyPatch) -> Kinds:
    monkeypatch.syspath_prepend(ROOT)
    from benchmarks.near_kinds import KINDS

    return KINDS


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seed", [21, 52])
def test_only_copies_are_grouped(kinds: Kinds, here: Path, seed: int) -> None:
    """Of each kind some pictures, and of its first one a smaller JPEG, which alone is a copy."""
    folder = here / "photos"
    folder.mkdir()
    for name, kind in kinds.items():
        drawn = kind(np.random.default_rng(seed), PICTURES)
        for at, image in enumerate(drawn):
            image.save(folder / f"{name} {at}.png")
        small = drawn[0].resize((drawn[0].width * 3 // 4, drawn[0].height * 3 // 4))
        (folder / f"{name} 0 again.jpg").write_bytes(encoded(small, "JPEG", quality=85))
    build([folder], recipe=Recipe("tiny"))
    found = [sorted(os.path.basename(copy.path) for copy in group.copies) for group in dupes()]
    assert found == [[f"{name} 0 again.jpg", f"{name} 0.png"] for name in sorted(kinds)]
