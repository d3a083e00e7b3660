"""How well left pictures find their matches: foils, exact top-k, recall, intervals.

In the test of Totally-Looks-Like a left picture is offered its match among 20 right ones, the
other 19 being random *foils*, and counts if the match is among the two best. One draw of foils is a
matter of luck, so what is reported here is the exact expectation over all draws.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np
from numpy.typing import ArrayLike, NDArray

from ...core.contracts import UnitVectors
from ...core.errors import UsageError
from ..search.search import nearest, new_index

FOILS = 19
RECALLS = {"recall_at_1": 1, "recall_at_5": 5, "recall_at_10": 10}
MOST_NUMBERS = 1 << 21
"""So many numbers are held at a time, about 100 MB with what is made of them."""
LISTS = 32
"""So many lists of candidates share an index: one for each would cost more to make than to
search."""


@dataclass(frozen=True, eq=False)
class Standing:
    """The ranks of the matches in the whole gallery."""

    better: NDArray[np.int64]
    """(n,): how many other gallery pictures score higher than the match."""
    ties: NDArray[np.int64]
    """(n,): how many others score the same."""
    others: int
    """How many others there are."""


def standing(queries: UnitVectors, gallery: UnitVectors) -> Standing:
    """Rank `gallery` (m, d) for each of `queries` (n, d), through the index that queries use; the
    match of query i is row i of the gallery, and rows from n on match nobody.

    Raises:
        UsageError: shapes that don't fit, or values that are not finite.
    """
    if (
        queries.ndim != 2
        or gallery.ndim != 2
        or queries.shape[1] != gallery.shape[1]
        or not 0 < len(queries) <= len(gallery)
    ):
        raise UsageError(
            f"queries {queries.shape} and gallery {gallery.shape} are not vectors of pairs"
        )
    index = _index(queries, gallery)
    better, ties = np.empty(len(queries), np.int64), np.empty(len(queries), np.int64)
    step = max(1, MOST_NUMBERS // len(gallery))
    for start in range(0, len(queries), step):
        rows = np.arange(start, min(start + step, len(queries)))
        found = nearest(index, queries[rows], len(gallery))
        better[rows], ties[rows] = _ranks(found.ids, found.scores, rows)
    return Standing(better, ties, len(gallery) - 1)


def _index(queries: UnitVectors, gallery: UnitVectors) -> faiss.Index:
    if not (np.isfinite(queries).all() and np.isfinite(gallery).all()):
        raise UsageError("the vectors to evaluate have values that are not finite")
    index = new_index(gallery.shape[1])
    index.add_with_ids(np.ascontiguousarray(gallery, np.float32), np.arange(len(gallery)))
    return index


def _ranks(
    ids: NDArray[np.int64], scores: NDArray[np.float64], match: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """In each row of `ids` and `scores` (n, m): how many are better than `match` (n,), and how
    many others are as good."""
    own = scores[ids == match[:, None]][:, None]
    return (scores > own).sum(axis=1), (scores == own).sum(axis=1) - 1


def expected_top_k(
    better: ArrayLike, ties: ArrayLike, others: int, foils: int = FOILS, k: int = 2
) -> NDArray[np.float64]:
    """(n,): the chance of each match to be among the `k` best, itself and its foils counted.

    `foils` are drawn without replacement from the `others`, of which `better` (n,) score higher
    and `ties` (n,) the same, each draw being as likely; equals are in random order. Where there
    are fewer others than `foils`, all of them are foils.

    Raises:
        UsageError: counts that can't be.
    """
    if k < 1:
        raise UsageError(f"top-k needs a k of at least 1, not {k}")
    return _expected(better, ties, others, foils, lambda before: before < k)


def expected_reciprocal_rank(
    better: ArrayLike, ties: ArrayLike, others: int, foils: int = FOILS
) -> NDArray[np.float64]:
    """(n,): the mean of 1 / rank of each match over the draws that `expected_top_k` describes.

    Raises:
        UsageError: counts that can't be.
    """
    return _expected(better, ties, others, foils, lambda before: 1 / (before + 1))


def _expected(
    better: ArrayLike,
    ties: ArrayLike,
    others: int,
    foils: int,
    worth: Callable[[NDArray[np.int64]], NDArray[Any]],
) -> NDArray[np.float64]:
    """The mean over the draws of `worth(r)`, r being how many foils come before the match."""
    low, tied = np.asarray(better, np.int64), np.asarray(ties, np.int64)
    if foils < 0 or ((low < 0) | (tied < 0) | (low + tied > others)).any():
        raise UsageError(
            f"no such ranks among {others} others, or no such number of foils: {foils}"
        )
    values = worth(np.arange(foils + 1)).astype(np.float64)
    if foils < others:
        values = _mean_over_draws(values, others, foils)
    # Equals in random order: 0 to `tied` of them are before the match, each as likely.
    sums = np.concatenate([[0.0], np.cumsum(values)])
    return (sums[low + tied + 1] - sums[low]) / (tied + 1)


def _mean_over_draws(values: NDArray[np.float64], others: int, foils: int) -> NDArray[np.float64]:
    """(others + 1,): the mean of `values[r]` where b of the others come before the match, for each
    b. r, how many of them are drawn, has the hypergeometric distribution
    C(b, r) C(others - b, foils - r) / C(others, foils); logarithms, since those are large."""
    log_factorial = np.array([math.lgamma(number + 1) for number in range(others + 1)])

    def log_choose(among: NDArray[np.int64], number: int) -> NDArray[np.float64]:
        enough = np.maximum(among, number)
        logs = log_factorial[enough] - log_factorial[number] - log_factorial[enough - number]
        return np.where(among < number, -np.inf, logs)

    before = np.arange(others + 1)
    all_draws = log_choose(np.array([others]), foils)
    mean = np.zeros(others + 1)
    for drawn in np.flatnonzero(values).tolist():
        draws = log_choose(before, drawn) + log_choose(others - before, foils - drawn)
        mean += values[drawn] * np.exp(draws - all_draws)
    return mean


def bootstrap_interval(
    values: ArrayLike, seed: int = 0, draws: int = 10_000, level: float = 0.95
) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of `values` (n,), whatever their order.

    Raises:
        UsageError: no values, no draws, or a level outside of 0 to 1.
    """
    ordered = np.sort(np.asarray(values, np.float64))
    if len(ordered) == 0 or draws < 1 or not 0 < level < 1:
        raise UsageError(
            f"no interval of level {level} from {draws} draws of {len(ordered)} values"
        )
    random = np.random.default_rng(seed)
    means = np.empty(draws)
    step = max(1, MOST_NUMBERS // len(ordered))
    for start in range(0, draws, step):
        part = means[start : start + step]
        part[:] = ordered[random.integers(len(ordered), size=(len(part), len(ordered)))].mean(1)
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


@dataclass(frozen=True, eq=False)
class Scores:
    """How well pairs are found: means over pairs of what each may expect, all in [0, 1]."""

    pairs: int
    """How many."""
    top1: float
    top2: float
    top5: float
    """Share of the matches that are among the 1, 2, 5 best of their candidates."""
    top2_ci95: tuple[float, float]
    """Bootstrap interval of `top2`."""
    mrr: float
    """Mean reciprocal rank of the match among its candidates."""
    recall_at_1: float | None
    recall_at_5: float | None
    recall_at_10: float | None
    """Share of the matches among the 1, 5, 10 best of the gallery; None for lists of candidates."""
    per_pair: dict[str, NDArray[np.float64]]
    """(n,) each, by the names above: what each pair adds to the mean."""

    @classmethod
    def of(cls, per_pair: dict[str, NDArray[np.float64]]) -> Scores:
        """The means of what each pair contributes."""
        mean = {name: float(values.mean()) for name, values in per_pair.items()}
        return cls(
            pairs=len(per_pair["top2"]),
            top1=mean["top1"],
            top2=mean["top2"],
            top5=mean["top5"],
            top2_ci95=bootstrap_interval(per_pair["top2"]),
            mrr=mean["mrr"],
            recall_at_1=mean.get("recall_at_1"),
            recall_at_5=mean.get("recall_at_5"),
            recall_at_10=mean.get("recall_at_10"),
            per_pair=per_pair,
        )

    @classmethod
    def merged(cls, parts: Sequence[Scores], rows: Sequence[NDArray[np.int64]]) -> Scores:
        """The scores of parts (folds) as one; `rows[i]` says which pairs `parts[i]` is about, and
        `per_pair` is in their order.

        Foils and recall stay what they were in each part: drawn from that part's own right
        pictures, unless it was evaluated with `more` of them.

        Raises:
            UsageError: no parts, or rows that don't fit them.
        """
        if not parts or [part.pairs for part in parts] != [len(own) for own in rows]:
            raise UsageError("parts to merge need the rows of their pairs, one for each pair")
        order = np.argsort(np.concatenate(rows), kind="stable")
        names = [name for name in parts[0].per_pair if all(name in p.per_pair for p in parts)]
        return cls.of(
            {name: np.concatenate([p.per_pair[name] for p in parts])[order] for name in names}
        )

    def as_dict(self) -> dict[str, Any]:
        """For JSON: all but `per_pair`, rounded to 6 decimals."""
        rounded: dict[str, Any] = {"pairs": self.pairs}
        for name in ("top1", "top2", "top5", "top2_ci95", "mrr", *RECALLS):
            value = getattr(self, name)
            if name == "top2_ci95":
                rounded[name] = [round(end, 6) for end in value]
            else:
                rounded[name] = None if value is None else round(value, 6)
        return rounded


def evaluate_pairs(
    queries: UnitVectors,
    gallery: UnitVectors,
    foils: int = FOILS,
    more: UnitVectors | None = None,
) -> Scores:
    """The scores of n pairs: row i of `queries` (n, d) belongs to row i of `gallery` (n, d).

    Foils come from the other rows of the gallery; recall searches all of it, and `more` (m, d),
    right pictures of no pair here, where given.

    Raises:
        UsageError: arrays that don't fit, or values that are not finite.
    """
    if len(queries) != len(gallery):
        raise UsageError(f"{len(queries)} queries and a gallery of {len(gallery)} are not pairs")
    ranks = standing(queries, gallery)
    per_pair = _offered(ranks, foils)
    if more is not None:
        if more.shape[1:] != gallery.shape[1:]:
            raise UsageError(f"gallery {gallery.shape} and more {more.shape} are not alike")
        ranks = standing(queries, np.concatenate([gallery, more]))
    for name, k in RECALLS.items():
        per_pair[name] = expected_top_k(ranks.better, ranks.ties, ranks.others, ranks.others, k)
    return Scores.of(per_pair)


def evaluate_candidates(
    queries: UnitVectors, candidates: UnitVectors, true_index: NDArray[np.int64]
) -> Scores:
    """The scores of fixed lists: row i of `queries` (n, d) is offered `candidates[i]` of (n, c, d),
    of which number `true_index[i]` of (n,) is the match. Equals are in random order here as well.

    Raises:
        UsageError: arrays that don't fit, or values that are not finite.
    """
    n, c = candidates.shape[:2] if candidates.ndim == 3 else (0, 0)
    if (
        not n * c
        or queries.shape != (n, candidates.shape[2])
        or true_index.shape != (n,)
        or not ((true_index >= 0) & (true_index < c)).all()
    ):
        raise UsageError(
            f"queries {queries.shape}, candidates {candidates.shape} and true_index "
            f"{true_index.shape} are not lists of candidates with their matches"
        )
    better, ties = np.empty(n, np.int64), np.empty(n, np.int64)
    for start in range(0, n, LISTS):
        rows = np.arange(start, min(start + LISTS, n))
        index = _index(queries[rows], candidates[rows].reshape(len(rows) * c, -1))
        found = nearest(index, queries[rows], len(rows) * c)
        own = found.ids // c == (rows - start)[:, None]  # c in each row: those of its own list
        ids, scores = found.ids[own].reshape(-1, c) % c, found.scores[own].reshape(-1, c)
        better[rows], ties[rows] = _ranks(ids, scores, true_index[rows])
    return Scores.of(_offered(Standing(better, ties, c - 1), foils=c - 1))


def _offered(ranks: Standing, foils: int) -> dict[str, NDArray[np.float64]]:
    counts = (ranks.better, ranks.ties, ranks.others, foils)
    chances = {f"top{k}": expected_top_k(*counts, k) for k in (1, 2, 5)}
    return {**chances, "mrr": expected_reciprocal_rank(*counts)}


def folds(n: int, count: int, seed: int = 0) -> list[NDArray[np.int64]]:
    """`count` parts of range(n), drawn at random: sorted, disjoint, of the same size within one.

    Raises:
        UsageError: fewer than 2 parts, or more than n.
    """
    if not 2 <= count <= n:
        raise UsageError(f"{n} pairs can be split into 2 to {n} folds, not {count}")
    order = np.random.default_rng(seed).permutation(n)
    return [np.sort(part) for part in np.array_split(order, count)]
