"""Which index suits how many vectors, and what is known of one; FAISS itself is loaded late.

Few vectors are all compared, which is exact. More of them are kept in lists around centroids
(an inverted file, IVF), each value in one byte or less; a search looks into the nearest lists, and
what it finds is compared again with the exact vectors.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ...core.config import INDEXES
from ...core.errors import UsageError

if TYPE_CHECKING:
    import faiss

EXACT_VALUES = 6_400_000
"""Up to so many values (50,000 vectors of 128) all are compared: about 1 ms, exact, nothing to
train. Lists are quicker from between 50,000 and 100,000 vectors on; see docs/speed.md."""

EXACT_VECTORS = 5_000
"""However long they are, fewer vectors train no lists that are worth it."""

MOST_LISTS = 4096
"""Twice as many make a search a quarter faster and the making of the index take twice as long."""

REDUCED = 256
"""Longer vectors than twice this are projected on so many principal axes inside the index."""

PER_LIST = 40
"""Training vectors for each list, which k-means wants."""

REFINE = (5, 10, 20, 40)
"""What an index is tried with as `Effort.refine`."""


@dataclass(frozen=True)
class IndexPlan:
    """A plan of an index to be made."""

    factory: str
    """FAISS's name for it (`faiss.index_factory`), inner product."""
    training: int = 0
    """How many vectors it is trained on."""
    lists: int = 0

    @property
    def exact(self) -> bool:
        """Whether what it finds need not be compared again."""
        return self.factory == "Flat"

    @property
    def family(self) -> str:
        """The same for indexes that differ in their number of lists only."""
        return re.sub(r"(?<=IVF)\d+", "*", self.factory) if self.lists else self.factory


@dataclass(frozen=True)
class Effort:
    """A setting of how hard an index that isn't exact searches, and what that gives."""

    parameter: str = ""
    """'reach': lists whose centroid's product with the query is less than the best one's by at
    most `value` are looked into, so queries far from all look into more. 'nprobe': as many lists
    for each. 'efSearch': of graphs. Or none."""
    value: float = 0
    refine: int = REFINE[0]
    """For each wanted hit, how many candidates are compared again with their exact vectors."""
    recall: float | None = None
    """Recall@10 of the sample's own pictures, themselves left out; None: not measured."""
    recall_unlike: float | None = None
    """Recall@10 of queries that are as far from all as pictures of another collection."""
    queries: int = 0
    """How many of each it was measured with."""


def plan(
    count: int, dimension: int, memory: int, requested: str = "auto", now: str = ""
) -> IndexPlan:
    """What index suits `count` vectors of `dimension` values.

    Args:
        memory: bytes that may be used; lists take up to half of it, the rest is for the vectors
            that are compared again, which the operating system keeps there.
        asked: 'auto', 'flat', 'ivf', 'hnsw', or a FAISS factory string.
        now: family of the index that there is: near a border it may stay.

    Raises:
        UsageError: no such index, or it can't hold vectors of this dimension.
    """
    if requested == "auto":
        most = EXACT_VALUES // dimension
        if now.startswith("IVF") or ",IVF" in now:
            most //= 2
        requested = "flat" if count <= max(most, EXACT_VECTORS) else "ivf"
    if requested == "flat":
        return IndexPlan("Flat")
    if requested == "ivf":
        return _lists(count, dimension, memory)
    if requested == "hnsw":
        return IndexPlan("HNSW32")
    make_untrained(requested, dimension)
    lists = re.search(r"IVF(\d+)", requested)
    number = int(lists[1]) if lists else 0
    return IndexPlan(requested, max(PER_LIST * number, 65_536), 0)


def _lists(count: int, dimension: int, memory: int) -> IndexPlan:
    affordable = max(1024, memory // (4 * 4 * dimension))  # a sample that takes a quarter
    lists = min(round(4 * math.sqrt(count)), MOST_LISTS, min(count, affordable) // PER_LIST)
    lists = max(1, lists)
    width = REDUCED if dimension > 2 * REDUCED else dimension
    code, size = "SQ8", width
    # Half as much for each value, then a byte for four of them.
    for smaller, bytes_ in (("SQ4", (width + 1) // 2), (f"PQ{width // 4}", width // 4)):
        fits = count * (size + 8) + 4 * lists * width <= memory / 2
        if fits or width % 4:
            break
        code, size = smaller, bytes_
    before = f"PCA{REDUCED}," if width != dimension else ""
    training = max(PER_LIST * lists, 16_384 if code.startswith("PQ") else 0)
    return IndexPlan(f"{before}IVF{lists},{code}", min(count, training), lists)


def require_index(requested: str, dimension: int) -> None:
    """Refuse what `plan` would refuse, before there are vectors; empty is no wish.

    Raises:
        UsageError: FAISS has no index of that name for vectors of this dimension.
    """
    if requested and requested not in INDEXES:
        make_untrained(requested, dimension)


def make_untrained(factory: str, dimension: int) -> faiss.Index:
    """The index that FAISS calls `factory`, empty, inner product.

    Raises:
        UsageError: FAISS has none of that name for vectors of this dimension.
    """
    import faiss

    try:
        index = faiss.index_factory(dimension, factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        names = ", ".join(INDEXES)
        raise UsageError(
            f"index {factory!r} is none of {names}, nor does FAISS make it for vectors of "
            f"{dimension} values: {said(error)}"
        ) from None
    ivf = faiss.try_extract_index_ivf(index)
    if ivf is not None:
        ivf.cp.min_points_per_centroid = 1  # small stores are told to use lists in tests
        ivf.cp.max_points_per_centroid = 4 * PER_LIST
    return index


def said(error: RuntimeError) -> str:
    """FAISS's message without its function names and places."""
    text = re.sub(r"(?s)^Error in .*\.(cpp|h):\d+: (Error: '.*?' failed: )?", "", str(error))
    return (text.strip().splitlines() or [""])[0][:160]
