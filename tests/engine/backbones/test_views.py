"""Several looks at a picture: what each of them shows, and where its features are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pictures import noise
from tiny import SPEC
from tll_index import load_backbone
from tll_index.engine.backbones.network import load_network
from tll_index.engine.backbones.registry import Layer, Pool, View, register
from tll_index.engine.backbones.views import seen
from tll_index.engine.images.decode import Geometry, from_image

LARGE = replace(SPEC, name="tiny-views", geometry=Geometry(size=44, fit="squash"))


def by_pillow(pixels: torch.Tensor, view: View) -> np.ndarray:
    """(n, 3, side, side) -> (n, 3, view.size, view.size): cut out, then resized as Pillow does."""
    side = pixels.shape[-1]
    kept = round(side * view.keep)
    start = (side - kept) // 2
    box = (start, start, start + kept, start + kept)
    return np.stack(
        [
            np.stack(
                [
                    np.asarray(
                        Image.fromarray(channel)
                        .crop(box)
                        .resize((view.size, view.size), Image.Resampling.BICUBIC)
                    )
                    for channel in one
                ]
            )
            for one in pixels.numpy()
        ]
    )


@pytest.mark.parametrize("side", [40, 41])
@pytest.mark.parametrize("view", [View(32), View(20), View(30, 0.75), View(16, 0.5), View(48)])
def test_a_view_is_pillows(side: int, view: View) -> None:
    pixels = torch.from_numpy(np.random.default_rng(3).random((2, 3, side, side), np.float32))
    ours = seen(pixels, view)
    assert ours.shape == (2, 3, view.size, view.size)
    assert np.allclose(ours.numpy(), by_pillow(pixels, view), atol=1e-4)


def test_the_whole_square_and_its_middle_are_cut_not_resized() -> None:
    pixels = torch.arange(36.0).reshape(1, 1, 6, 6)
    assert (seen(pixels, View(6)) == pixels).all()
    assert seen(pixels, View(2, 1 / 3)).flatten().tolist() == [14, 15, 20, 21]


def test_features_of_each_view_side_by_side(home: Path) -> None:
    views = (View(32), View(32, keep=0.75), View(40, keep=0.9))
    plain, looking = replace(LARGE, name="plain"), replace(LARGE, views=views)
    for spec in (plain, looking):
        register(spec)
        weights = home / "weights" / "tiny.safetensors"
        (home / "weights" / f"{spec.name}.safetensors").write_bytes(weights.read_bytes())
    backbone = load_backbone(LARGE.name)
    assert looking.dimension == 3 * plain.dimension == 48
    assert list(looking.blocks()) == [16, 16, 16]
    square = from_image(noise(3), LARGE.geometry).pixels
    features = backbone.features(np.stack([square, square[:, ::-1]]))
    assert features.shape == (2, 48)
    network = load_network(plain, home / "weights/plain.safetensors")
    pixels = torch.from_numpy((square[None] / 127.5 - 1).astype(np.float32)).permute(0, 3, 1, 2)
    by_hand = [network(torch.from_numpy(by_pillow(pixels, view)))[0].numpy() for view in views]
    assert np.allclose(features[0], np.concatenate(by_hand), atol=1e-4)
    assert np.abs(by_hand[0] - by_hand[1]).max() > 0.01


def test_views_are_part_of_the_layout() -> None:
    layers = (Layer("a", 3, (Pool(grid=2), Pool("std"))), Layer("b", 5))
    specs = [
        replace(SPEC, layers=layers, views=views)
        for views in ((), (View(32),), (View(32), View(32)), (View(32, 0.9),), (View(24),))
    ]
    assert len({spec.layout for spec in specs}) == len(specs)
    assert [spec.dimension for spec in specs] == [20, 20, 40, 20, 20]
    assert list(specs[2].blocks()) == [12, 3, 5, 12, 3, 5]
