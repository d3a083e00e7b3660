"""Measuring seconds: medians, and things that are compared taken in turn."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median


def seconds(work: Callable[[], object]) -> float:
    """Wall time of one call."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def typical(work: Callable[[], object], rounds: int) -> float:
    """Median wall time of `rounds` calls."""
    return median(seconds(work) for _ in range(rounds))


def in_turn(works: dict[str, Callable[[int], object]], rounds: int) -> dict[str, list[float]]:
    """Wall times of each of `works`, one after the other in each round, so that whatever else the
    machine does hits all alike. Each is given the round's number; one round before, not counted,
    warms up."""
    taken: dict[str, list[float]] = {name: [] for name in works}
    for turn in range(-1, rounds):
        for name, work in works.items():
            needed = seconds(partial(work, max(0, turn)))
            if turn >= 0:
                taken[name].append(needed)
    return taken
