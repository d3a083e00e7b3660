"""A store keeps the backbone, weights and lens that it was built with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import tiny
from builds import everything, run
from conftest import the_store
from pictures import fill_folder, noise
from tll_index import Lens, Recipe, Store
from tll_index.core.errors import StoreMismatchError


def test_named_weights_that_moved(here: Path, home: Path) -> None:
    fill_folder(here / "photos", 3)
    first = tiny.write_weights(here / "wa/w.safetensors", seed=8)
    run("photos", recipe=Recipe("tiny", first))
    second = here / "wb/w.safetensors"
    second.parent.mkdir()
    first.rename(second)
    with Store.open(the_store()) as store, pytest.raises(StoreMismatchError):
        store.query("photos/picture0000.png")
    with Store.open(the_store(), weights=second) as store:
        assert len(store.query("photos/picture0000.png")) == 2
    noise(60).save(here / "photos/new.png")
    assert run("photos", recipe=Recipe("tiny", second)) == {
        "added": 1, "embedded": 1, "unchanged": 3
    }  # fmt: skip
    assert len(everything()) == 4  # the store has learned where they are


@pytest.mark.usefixtures("anywhere")
def test_a_store_has_one_maker(here: Path, home: Path) -> None:
    fill_folder(here / "photos", 2)
    run("photos")
    with pytest.raises(StoreMismatchError, match="made with another backbone"):
        run("photos", recipe=Recipe(backbone="tiny2"))
    other = tiny.write_weights(home / "other.safetensors", seed=8)
    with pytest.raises(StoreMismatchError, match="made with another weights"):
        run("photos", recipe=Recipe(weights=other))
    lens = Lens("tiny", 16, adaptation=np.eye(16, dtype=np.float32)[:4])
    with pytest.raises(StoreMismatchError, match="made with another lens"):
        run("photos", recipe=Recipe(lens=lens))
    assert run("photos", recipe=Recipe(lens="none")) == {"unchanged": 2}
    tiny.write_weights(home / "weights/tiny.safetensors", seed=9)
    with pytest.raises(StoreMismatchError, match="another weights"):
        everything()


@pytest.mark.usefixtures("anywhere")
def test_a_lens_and_named_weights_stay_with_the_store(here: Path, home: Path) -> None:
    fill_folder(here / "photos", 5)
    weights = tiny.write_weights(home / "own.safetensors", seed=8)
    lens_file = home / "own.npz"
    Lens("tiny", 16, adaptation=np.eye(16, dtype=np.float32)[:4], relu=True).save(lens_file)
    run("photos", recipe=Recipe("tiny", weights, lens_file))
    lens_file.unlink()
    with Store.open(the_store()) as store:
        assert store.about.dimension == 4 and store.info()["lens"]
        hits = store.query("photos/picture0003.png", k=1, include_self=True)
        assert hits[0].path.endswith("picture0003.png") and hits[0].score > 0.9999
