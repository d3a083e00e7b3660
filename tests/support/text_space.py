"""What a store with a text space should find, worked out without its index."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import open_clip
import torch

from clips import VIT, random_network
from tll_index import Store
from tll_index.engine.search.normalize import unit

COUNT = 12
"""How many pictures the store of the fixture `photos` has."""


def text_vector(text: str) -> np.ndarray:
    """By open_clip's own code."""
    with torch.inference_mode():
        tokens = open_clip.get_tokenizer(VIT)([text])
        return random_network(VIT).encode_text(tokens, normalize=True).numpy()


def stored(store: Store) -> tuple[list[str], np.ndarray]:
    """Paths, and (n, j) where they are among texts, as the catalog has it."""
    with store.catalog.reading("words") as reader:
        numbers = reader.image_numbers()
        paths = [os.fsdecode(reader.paths_of(int(number))[0]) for number in numbers]
        return paths, reader.vectors(numbers)


def by_brute_force(store: Store, query: np.ndarray) -> list[tuple[str, float]]:
    paths, rows = stored(store)
    scores = (rows @ unit(query)[0]).tolist()
    return sorted(zip(paths, scores, strict=True), key=lambda one: -one[1])


def same(hits: object, wanted: list[tuple[str, float]]) -> bool:
    found = [(hit.path, hit.score) for hit in hits]  # type: ignore[attr-defined]
    return [path for path, _ in found] == [path for path, _ in wanted] and np.allclose(
        [score for _, score in found], [score for _, score in wanted], atol=2e-6
    )


def require_both_spaces(store: Store) -> None:
    """Each image has both vectors, and is found in both spaces."""
    with store.catalog.reading() as reader:
        images = reader.image_numbers()
        text = reader.of_space("words")
        assert len(reader.vectors(images)) == len(text.vectors(images)) == len(images)
        assert len(text.vectors_from(0, 10_000)[0]) == reader.images
    found = store.query(text="a red door", k=999)
    assert same(found, by_brute_force(store, text_vector("a red door")))
    assert len(found) == len(store)


def images_in(path: Path) -> int:
    if not (path / "store.json").exists():
        return 0
    with Store.open(path) as store, store.catalog.reading() as reader:
        return reader.images
