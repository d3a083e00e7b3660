"""How pictures look, and where texts are among them: what is added, subtracted, asked with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ...core.contracts import UnitVectors
from ...core.errors import UsageError
from ...engine.search.normalize import unit

_NOTHING_LEFT = 1e-4
"""Length of a sum of looks below which it has no direction but that of rounding."""


@dataclass(frozen=True, eq=False)
class QueryEmbedding:
    """How one picture looks; or a text, as that of a picture that it describes."""

    name: str
    """Its path, or '-'; the text."""
    vector: UnitVectors | None
    """(1, d) float32 of length 1, as `Lens.transform` returns it: without any hubness correction.
    None of a text, which no lens sees."""
    sha256: bytes | None = None
    """Of the file's content, where that is known: this picture is no answer to itself."""
    weight: float = 1.0
    """How much it counts beside others; below 0, answers should look less like it."""
    text: UnitVectors | None = None
    """(1, j) float32 of length 1: its place in the space that texts and pictures share; None in a
    store that keeps none."""

    def weighing(self, weight: float) -> QueryEmbedding:
        """The same look, counting so much."""
        return replace(self, weight=weight)


def need_text(queries: Sequence[QueryEmbedding]) -> bool:
    """Whether some of these are texts: then all are compared where texts are."""
    return any(query.vector is None for query in queries)


def blend(queries: Sequence[QueryEmbedding]) -> UnitVectors:
    """(1, d) float32 of length 1: the looks' sum by weight; with a text among them (1, j), that of
    their places among texts.

    Raises:
        UsageError: there is none, a weight is no number, nothing is left of the sum, or one of
            them has no place among texts.
    """
    if not queries:
        raise UsageError("name at least one picture to ask with")
    in_text_space = need_text(queries)
    if not all(np.isfinite(query.weight) for query in queries):
        raise UsageError("the weight of a picture must be a number")
    total = sum(np.float32(query.weight) * _vector(query, in_text_space) for query in queries)
    size = sum(abs(query.weight) for query in queries)
    if np.linalg.norm(total) <= _NOTHING_LEFT * size:
        raise UsageError("these pictures cancel each other out: nothing is left to ask with")
    return unit(np.asarray(total, np.float32))


def _vector(query: QueryEmbedding, in_text_space: bool) -> UnitVectors:
    vector = query.text if in_text_space else query.vector
    if vector is None:
        raise UsageError(f"{query.name} has no place among texts: it is of a store without words")
    return vector


def names_of(queries: Sequence[QueryEmbedding]) -> str:
    """What a question with these is called: `a.jpg + b.jpg - 0.5 c.jpg`."""
    text: list[str] = []
    for query in queries:
        sign = "-" if query.weight < 0 else "+"
        if text or sign == "-":
            text.append(sign)
        size = abs(query.weight)
        text.append(query.name if size == 1 else f"{size:g} {query.name}")
    return " ".join(text)
