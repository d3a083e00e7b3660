"""Readers of a store that others change: what they ask must be answered whole. Run in children."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tll_index import Store
from tll_index.core.errors import TllError

_MOST = 1000
"""Hits that are asked for: all."""


def keep_asking(
    store: str,
    known: Sequence[str],
    doomed: Sequence[str],
    gone: str,
    stop: str,
    stay: bool,
    seed: int,
) -> dict[str, Any]:
    """Ask until the file `stop` is there.

    Args:
        known: paths that there are.
        doomed: those of them that will be removed; they are when the file `gone` is there.
        stay: keep the store open all the time; otherwise open it for each question.
    """
    chance = np.random.default_rng(seed)
    wrong: list[str] = []
    problems: list[str] = []
    asked = 0
    kept = Store.open(store) if stay else None
    while not (last := Path(stop).exists()) or not asked:
        opened = kept
        try:
            opened = opened or Store.open(store)
            may_be = set(known) - set(doomed if Path(gone).exists() else ())
            wrong += _ask_once(opened, may_be, set(doomed), chance)
            asked += 1
        except TllError as error:
            problems.append(f"{type(error).__name__}: {error}")
        except Exception as error:
            problems.append(f"unexpected {error!r}")
        finally:
            if opened is not None and opened is not kept:
                opened.close()
        if last or len(wrong) + len(problems) > 5:
            break
        time.sleep(random.Random(seed).uniform(0, 0.002))
    if kept is not None:
        kept.close()
    return {"asked": asked, "wrong": wrong[:5], "problems": problems[:5]}


def _ask_once(
    opened: Store, may_be: set[str], doomed: set[str], chance: np.random.Generator
) -> list[str]:
    ask = chance.normal(size=opened.about.dimension).astype(np.float32)
    ask /= np.linalg.norm(ask)
    before = _paths(opened)
    hits = opened.search(ask, _MOST)
    found = [path for hit in hits for path in hit.paths]
    wrong = []
    if len(found) != len(set(found)):
        wrong.append("a path is found twice")
    if unknown := set(found) - may_be:
        wrong.append(f"paths that are not there: {sorted(unknown)[:3]}")
    if missing := before - set(found) - doomed:
        wrong.append(f"{len(missing)} of {len(before)} pictures that were there: {min(missing)}")
    scores = [hit.score for hit in hits]
    if scores != sorted(scores, reverse=True):
        wrong.append("hits are not best first")
    return wrong


def _paths(opened: Store) -> set[str]:
    with opened.catalog.reading() as reader:
        return {
            os.fsdecode(path)
            for number in reader.image_numbers().tolist()
            for path in reader.paths_of(number)
        }


def open_and_wait(store: str, ready: str) -> None:
    """Hold a store open, reading, until killed."""
    with Store.open(store) as opened, opened.catalog.reading():
        Path(ready).touch()
        time.sleep(600)
