"""Query embeddings of pictures and texts: weighed, added, subtracted, searched with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ...core.contracts import UnitVectors
from ...core.errors import UsageError
from ...engine.search.normalize import unit

if TYPE_CHECKING:
    from ...engine.images.sources import PictureSource

_NOTHING_LEFT = 1e-4
"""Length of a sum of embeddings below which it has no direction but that of rounding."""


@dataclass(frozen=True, eq=False)
class QueryEmbedding:
    """The embedding of one picture, or of a text that describes one, and what it counts in a
    query."""

    name: str
    """Its path, or '-'; the text."""
    vector: UnitVectors | None
    """(1, d) float32 of length 1, as `Lens.transform` returns it: without any hubness correction.
    None of a text, which no lens sees."""
    sha256: bytes | None = None
    """Of the file's content, where that is known: this picture is no hit of its own query."""
    weight: float = 1.0
    """How much it counts beside others; below 0, hits should look less like it."""
    text: UnitVectors | None = None
    """(1, j) float32 of length 1: the text embedding, in the space that texts and pictures share;
    None in a store without one."""

    def weighing(self, weight: float) -> QueryEmbedding:
        """The same embedding, counting so much."""
        return replace(self, weight=weight)


def need_text(queries: Sequence[QueryEmbedding]) -> bool:
    """Whether some of these are texts: then all are compared in the text space."""
    return any(query.vector is None for query in queries)


def blend(queries: Sequence[QueryEmbedding]) -> UnitVectors:
    """(1, d) float32 of length 1: the sum of the embeddings, each by its weight; with a text among
    them (1, j), that of their text embeddings.

    Raises:
        UsageError: there is none, a weight is no number, nothing is left of the sum, or one of
            them has no text embedding.
    """
    if not queries:
        raise UsageError("name at least one picture to search with")
    in_text_space = need_text(queries)
    if not all(np.isfinite(query.weight) for query in queries):
        raise UsageError("the weight of a picture must be a number")
    # Only the proportion of the weights counts; float32 has no squares of weights below 1e-19.
    largest = max(abs(query.weight) for query in queries) or 1.0
    weights = [query.weight / largest for query in queries]
    vectors = [_vector(query, in_text_space) for query in queries]
    total = sum(np.float32(weight) * row for weight, row in zip(weights, vectors, strict=True))
    size = sum(map(abs, weights))
    if np.linalg.norm(total) <= _NOTHING_LEFT * size:
        raise UsageError("these pictures cancel each other out: nothing is left to search with")
    return unit(np.asarray(total, np.float32))


def _vector(query: QueryEmbedding, in_text_space: bool) -> UnitVectors:
    vector = query.text if in_text_space else query.vector
    if vector is None:
        raise UsageError(f"{query.name} has no text embedding: its store has no text space")
    return vector


def names_of(queries: Sequence[QueryEmbedding]) -> str:
    """What a query of these is called: `a.jpg + b.jpg - 0.5 c.jpg`."""
    text: list[str] = []
    for query in queries:
        sign = "-" if query.weight < 0 else "+"
        if text or sign == "-":
            text.append(sign)
        size = abs(query.weight)
        text.append(query.name if size == 1 else f"{size:g} {query.name}")
    return " ".join(text)


def pictures_of(
    pictures: PictureSource | Sequence[PictureSource] | None,
) -> Sequence[PictureSource]:
    """One picture or several, as several: text, bytes, pixels (height, width, 3) and Pillow images
    are one picture each; None is none."""
    if pictures is None:
        return ()
    if isinstance(pictures, np.ndarray):
        return list(pictures) if pictures.ndim == 4 else [pictures]
    if isinstance(pictures, Sequence) and not isinstance(pictures, _ONE_PICTURE):
        return pictures
    return [pictures]  # no sequence, or one of bytes or characters


_ONE_PICTURE = (str, bytes, bytearray, memoryview)
"""Sequences that are one picture."""
