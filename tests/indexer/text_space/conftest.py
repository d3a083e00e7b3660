"""A store with a text space, by a small CLIP: the tests of that space lie together, across the
indexer's rooms, since all of them need one."""

from __future__ import annotations

from pathlib import Path

import pytest

from clips import VIT, install, random_network, write_weights
from pictures import fill_folder
from text_space import COUNT
from tll_index import Recipe, build


@pytest.fixture(autouse=True)
def networks_by_torch(by_torch: None) -> None:
    """The small CLIP is exported where a test says so."""


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
    """Indexed pictures, which can be searched by texts."""
    paths = fill_folder(here / "photos", COUNT)
    build(["photos"], recipe=Recipe(VIT, text=True))
    return paths
