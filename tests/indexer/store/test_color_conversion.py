"""A store goes on with the rules by which its pictures became RGB; new ones have the newest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from pictures import encoded, fill_folder, noise
from tll_index import Recipe, Store, build
from tll_index.core.config import Settings, load_settings
from tll_index.core.errors import StoreMismatchError
from tll_index.engine.lens.embedder import conversion_of, load_embedder
from tll_index.engine.lens.identity import ModelIdentity
from tll_index.indexer.backends.layout import location_to_build
from tll_index.indexer.store import resolve


def logo(folder: Path, number: int) -> Path:
    """A white shape on nothing."""
    image = Image.new("RGBA", (60, 60), (255, 255, 255, 0))
    ImageDraw.Draw(image).rectangle((5, 5, 15 + 7 * number, 40), fill=(255, 255, 255, 255))
    folder.mkdir(exist_ok=True)
    image.save(folder / f"logo{number}.png")
    return folder / f"logo{number}.png"


def old_store(path: str, settings: Settings) -> None:
    """One as versions before the rules made it."""
    location = location_to_build(path, settings)
    with resolve.only_writer(location):
        embedder = load_embedder("tiny", settings, conversion=1)
        Store.create(location, embedder, settings).close()


def scores(store: str, picture: Path) -> list[float]:
    with Store.open(store) as opened:
        return [hit.score for hit in opened.query(picture, k=9, include_self=True)]


def test_an_old_store_keeps_white(here: Path) -> None:
    logos = [logo(here / "photos", number) for number in range(4)]
    old_store("old", load_settings())
    for store in ("old", "new"):
        assert build(["photos"], store=store, recipe=Recipe(backbone="tiny")).added == 4
    with Store.open("old") as store:
        assert "conversion" not in store.about.made_by.recipe
        assert store.embedder.backbone.spec.geometry.conversion == 1
    with Store.open("new") as store:
        assert store.about.made_by.recipe["conversion"] == 2
    assert np.allclose(scores("old", logos[0]), 1, atol=1e-4)  # white squares, all of them
    found = scores("new", logos[0])
    assert found[0] > 0.9999 > found[1]
    logo(here / "photos", 5)
    assert build(store="old").added == 1  # and the same store goes on so
    assert np.allclose(scores("old", logos[0]), 1, atol=1e-4)


def made_by(**recipe: object) -> ModelIdentity:
    return ModelIdentity("tiny", None, None, 16, recipe=recipe)


def test_rules_of_a_newer_version_are_refused() -> None:
    assert conversion_of(made_by()) == 1
    assert conversion_of(made_by(conversion=2)) == 2
    for other in (3, 0, "2", None):
        with pytest.raises(StoreMismatchError, match="upgrade"):
            conversion_of(made_by(conversion=other))


def test_what_is_cut_off_is_taken_where_told(here: Path) -> None:
    fill_folder(here / "photos", 2)
    whole = encoded(noise(9, 300, 200).rotate(7), "JPEG", quality=95)
    cut = here / "photos/cut.jpg"
    cut.write_bytes(whole[: len(whole) * 2 // 3])
    (here / "photos/noend.jpg").write_bytes(whole[:-2])
    recipe = Recipe(backbone="tiny")
    report = build(["photos"], store="store", recipe=recipe)
    assert report.added == 3
    ((path, reason),) = [(one.path, one.reason) for one in report.skipped]
    assert path == bytes(cut) and reason == "damaged"
    taken = load_settings(truncated=True)
    report = build(["photos"], store="store", recipe=recipe, settings=taken)
    assert report.added == 1 and not report.skipped  # it was tried again
    with Store.open("store", settings=taken) as store:
        assert cut.name in {
            Path(path).name
            for hit in store.query(cut, k=9, include_self=True)
            for path in hit.paths
        }
