"""What tests of `explain` share: two pictures of random numbers, compared by a backbone."""

from __future__ import annotations

import numpy as np

from tll_index.core.config import load_settings
from tll_index.engine.explain.explain import Explanation, explain
from tll_index.engine.explain.sides import Subject
from tll_index.engine.images.decode import Picture
from tll_index.engine.lens.embedder import load_embedder


def of_noise(backbone: str, **options: object) -> Explanation:
    """Of two such pictures; `options` as for `load_embedder`."""
    embedder = load_embedder(backbone, load_settings(), lens="none", **options)  # type: ignore[arg-type]
    size = embedder.backbone.spec.geometry.size
    random = np.random.default_rng(6)
    a, b = (
        Subject(name, Picture(random.integers(0, 256, (size, size, 3), np.uint8), size, size, ""))
        for name in "ab"
    )
    found = explain(embedder, a, b, settings=load_settings())
    vectors = embedder.embed(np.stack([a.picture.pixels, b.picture.pixels]))
    assert abs(found.cosine - vectors[0] @ vectors[1]) < 1e-5
    return found
