"""Pictures to make copies of and links to."""

from __future__ import annotations

from pathlib import Path

import pytest

from pictures import noise


@pytest.fixture
def photos(here: Path) -> Path:
    """`photos/best/a.png` and `b.png`, two pictures; the folder `photos/album` is empty."""
    for name, seed in (("a", 1), ("b", 2)):
        path = here / "photos/best" / f"{name}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise(seed).save(path)
    (here / "photos/album").mkdir()
    return here / "photos"
