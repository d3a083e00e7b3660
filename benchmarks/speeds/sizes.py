"""How much is measured: the goals' own sizes, and small ones for a quick look."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """So much of everything that rows measure."""

    name: str
    model_rounds: int
    """Batches that each runtime gets, in turn."""
    build_pictures: int
    build_rounds: int
    tiny_pictures: tuple[int, int]
    """How many drawn pictures the small and the large build see."""
    query_store: int
    """Vectors in the store that single pictures are asked of."""
    rounds: int
    """Repetitions of what takes less than a second."""
    photographs: int
    """Of each size."""
    material_pictures: int
    """Pictures (and as many crops) that vectors are mixed of; 0 is all."""
    held_out: int
    """Left ones of them that only ask."""
    choice: tuple[int, ...]
    """Numbers of vectors at which exact search and lists are held side by side."""
    growth: tuple[int, ...]
    """Numbers of vectors, ascending."""
    million: int
    """What row vectors_1m, and the peers, measure."""
    ten_millions: int
    """What row vectors_10m measures."""
    queries: int
    """Queries that a recall is the mean of."""
    peer_pictures: int


FULL = Sizes(
    name="full",
    model_rounds=9,
    build_pictures=1000,
    build_rounds=3,
    tiny_pictures=(5_000, 100_000),
    query_store=7_200,
    rounds=21,
    photographs=6,
    material_pictures=0,
    held_out=1000,
    choice=(5_000, 10_000, 25_000, 50_000, 100_000),
    growth=(10**4, 10**5, 10**6, 10**7),
    million=10**6,
    ten_millions=10**7,
    queries=1000,
    peer_pictures=500,
)

QUICK = Sizes(
    name="quick",
    model_rounds=3,
    build_pictures=150,
    build_rounds=1,
    tiny_pictures=(1_000, 4_000),
    query_store=1_000,
    rounds=7,
    photographs=2,
    material_pictures=600,
    held_out=100,
    choice=(5_000, 25_000, 50_000),
    growth=(10**3, 10**4, 10**5),
    million=10**5,
    ten_millions=10**5,
    queries=200,
    peer_pictures=30,
)
