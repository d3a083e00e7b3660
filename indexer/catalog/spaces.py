"""The spaces that a store keeps each picture's place in: how it looks and, in some, among texts.

A space has a table in the catalog, with a vector of each image, and a FAISS file made from it. All
that is done with vectors is done in each space alike.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

LENS_TABLE, TEXT_TABLE = "vectors", "words"
VECTORS, TEXT_VECTORS = "vectors.faiss", "words.faiss"
"""The files of their indexes in the folder of a store."""


@dataclass(frozen=True)
class Space:
    """One of them, in one store."""

    table: str
    """Of the catalog."""
    file: str
    """Of the index, in the store's folder."""
    file_id: bytes
    """16 bytes that the file carries: which store it is of, and which space."""
    dimension: int


def lens_space(store_id: bytes, dimension: int) -> Space:
    """How pictures look, through the store's lens."""
    return Space(LENS_TABLE, VECTORS, store_id, dimension)


def text_space(store_id: bytes, dimension: int) -> Space:
    """Where pictures are among texts."""
    file_id = hashlib.sha256(store_id + TEXT_TABLE.encode()).digest()[:16]
    return Space(TEXT_TABLE, TEXT_VECTORS, file_id, dimension)
