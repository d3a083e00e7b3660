"""Whether the hottest places are those that matter: on real pairs of look-alikes."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from tll_index.core.config import load_settings
from tll_index.core.contracts import Pixels
from tll_index.engine.backbones.registry import DEFAULT
from tll_index.engine.explain.explain import explain
from tll_index.engine.explain.occlusion import Hiding
from tll_index.engine.explain.sides import Subject
from tll_index.engine.images.decode import Limits
from tll_index.engine.images.sources import decoded_source
from tll_index.engine.lens.embedder import load_embedder


def filled(pixels: Pixels, cells: np.ndarray) -> Pixels:
    """The picture with its mean colour in those cells."""
    part = np.kron(cells, np.ones((43, 43), bool))[: len(pixels), : len(pixels), None]
    return np.where(part, pixels.mean((0, 1)), pixels).astype(np.uint8)


@pytest.mark.slow
def test_hiding_the_hottest_places_costs_more_than_others(tll: Path) -> None:
    """Ten of 49 cells of the right picture are blurred, or filled: the hottest, or any. In 16 pairs
    the cosine loses more without the hottest, by more than three standard errors of the mean."""
    random, settings = np.random.default_rng(1), load_settings(runtime="auto")
    embedder = load_embedder(DEFAULT, settings)
    geometry = embedder.backbone.spec.geometry
    with (tll / "train.csv").open() as file:
        rows = list(csv.DictReader(file))[100:116]
    more = []
    for row in rows:
        a, b = (
            Subject(row[side], decoded_source(path, geometry, Limits()).picture)
            for side in ("left", "right")
            for path in [tll / "train" / side / f"{row[side]}.jpg"]
        )
        heatmap = explain(embedder, a, b, settings=settings).heatmap_b
        cells = heatmap.reshape(7, 4, 7, 4).sum((1, 3)).ravel()
        hottest, others = (
            np.isin(np.arange(49), some).reshape(7, 7)
            for some in (np.argsort(cells)[-10:], random.choice(49, 10, replace=False))
        )
        pixels, hiding = b.picture.pixels, Hiding(b.picture.pixels)
        masked = [hiding.under(hottest), hiding.under(others)]
        masked += [filled(pixels, hottest), filled(pixels, others)]
        vectors = embedder.embed(np.stack([a.picture.pixels, *masked]))
        cosines = (vectors[1:] @ vectors[0]).reshape(2, 2)
        more.append(cosines[:, 1] - cosines[:, 0])
    mean, error = np.mean(more, axis=0), np.std(more, axis=0, ddof=1) / len(more) ** 0.5
    assert (mean > 0.03).all() and (mean > 3 * error).all()
