"""A store to be verified, repaired, backed up and forgotten from."""

from __future__ import annotations

from pathlib import Path

import pytest

from pictures import fill_folder
from tll_index import Recipe, build


@pytest.fixture
def photos(here: Path) -> list[Path]:
    """Twenty indexed pictures, eight of them in a folder below, and one that can't be used."""
    paths = [*fill_folder(here / "photos", 12), *fill_folder(here / "photos/sub", 8, 100)]
    (here / "photos/broken.png").write_bytes(b"no picture")
    build(["photos"], recipe=Recipe("tiny"))
    return paths
