"""The spaces that a store keeps a vector of each picture in: by its lens and, in some, with texts.

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
    """A space of one store: its table, its index file, its dimension."""

    table: str
    """Of the catalog."""
    file: str
    """Of the index, in the store's folder."""
    file_id: bytes
    """16 bytes that the file carries: which store it is of, and which space."""
    dimension: int


def lens_space(store_id: bytes, dimension: int) -> Space:
    """The space of gallery embeddings, through the store's lens."""
    return Space(LENS_TABLE, VECTORS, store_id, dimension)


def text_space(store_id: bytes, dimension: int) -> Space:
    """The space that pictures share with texts."""
    file_id = hashlib.sha256(store_id + TEXT_TABLE.encode()).digest()[:16]
    return Space(TEXT_TABLE, TEXT_VECTORS, file_id, dimension)
