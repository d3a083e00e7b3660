"""What is measured, and how good it should be: fixed before any result."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..choosing import chosen
from .choice import choice
from .commands import cold_query, help_text
from .findings import Finding
from .laboratory import Laboratory
from .many import memory, nothing_to_do
from .networks import building, model, warm_query
from .peer_images import peers_images
from .peer_vectors import peers_vectors
from .shrink import shrink
from .vectors import growth, vectors_1m, vectors_10m


@dataclass(frozen=True)
class Row:
    """One goal."""

    key: str
    what: str
    goal: str
    unit: str
    measure: Callable[[Laboratory], Finding]


ROWS = (
    Row(
        "model",
        "the network through ONNX Runtime against eager torch, channels-last",
        "at least 2.5, features equal to 1e-3",
        "times as fast",
        model,
    ),
    Row(
        "build",
        "build from files to a store, against the network alone",
        "at least 0.85",
        "of the network's rate",
        building,
    ),
    Row(
        "memory",
        "peak memory of a build of 100,000 pictures against one of 5,000",
        "at most 0.10",
        "more",
        memory,
    ),
    Row(
        "nothing_to_do",
        "build with nothing to do, 100,000 files",
        "at most 2",
        "seconds",
        nothing_to_do,
    ),
    Row("help", "tll-index --help", "at most 0.3", "seconds", help_text),
    Row(
        "cold_query",
        "tll-index query from the shell, 7,200 pictures",
        "at most 0.5, torch not imported",
        "seconds",
        cold_query,
    ),
    Row(
        "warm_query",
        "Store.query of a picture against the network alone on it",
        "at most 1.3",
        "times as long",
        warm_query,
    ),
    Row(
        "shrink",
        "vectors of camera JPEGs decoded small against decoded whole",
        "at least 0.999 on average",
        "cosine",
        shrink,
    ),
    Row(
        "choice",
        "exact search where auto takes it, up to 50,000 vectors; beyond, lists are quicker",
        "at most 0.002, lists quicker at each size where auto takes them",
        "seconds",
        choice,
    ),
    Row(
        "vectors_1m",
        "single queries among 1,000,000 vectors, the chosen index against Flat",
        "at least 30, recall@10 at least 0.95",
        "times as fast",
        vectors_1m,
    ),
    Row(
        "vectors_10m",
        "a single query among 10,000,000 vectors in 4 GB of memory",
        "below 0.050, recall@10 at least 0.90, memory within 4 GB",
        "seconds",
        vectors_10m,
    ),
    Row(
        "growth",
        "how a query's time grows from 10,000 to 10,000,000 vectors",
        "at most 0.5",
        "log-log slope",
        growth,
    ),
    Row(
        "peers_vectors",
        "single queries among the same 1,000,000 vectors against other libraries, recall@10 0.95",
        "win or tie against each: at least 1 / 1.1",
        "times as fast as the quickest of them",
        peers_vectors,
    ),
    Row(
        "peers_images",
        "the same 500 pictures from files to searchable, and a query, against other tools",
        "win each: at least 1",
        "times as fast, the least of all",
        peers_images,
    ),
)


def chosen_rows(words: Sequence[str]) -> list[Row]:
    """See `choosing.chosen`."""
    return chosen(ROWS, words)
