"""Pairs in Kaggle's layout to train on, and what `train`, `eval` and `submit` print of them."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

import tiny
from pictures import noise
from tll_index.engine.images.decode import decode
from tll_index.engine.images.file_bytes import read_bytes

if TYPE_CHECKING:
    from conftest import Result

PAIRS, UNPAIRED, OFFERED = 24, 6, 5
SMALL = ("--backbone", "tiny", "--pca", 8, "--outputs", 4, "--epochs", 2)
KEYS = ["pairs", "top1", "top2", "top5", "top2_ci95", "mrr", "recall_at_1", "recall_at_5"]
KEYS += ["recall_at_10", "backbone", "lens"]


def write_csv(path: Path, rows: list[list[str]]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def draw_pairs(root: Path) -> None:
    """A folder in Kaggle's layout, whose right pictures show through that they were left ones."""
    for split, first, count in (("train", 0, PAIRS), ("test", 100, UNPAIRED)):
        for side in ("left", "right"):
            (root / split / side).mkdir(parents=True)
        for seed in range(first, first + count):
            noise(seed).save(root / split / f"left/l{seed}.png")
            mixed = Image.blend(noise(seed), noise(1000 + seed), 0.6)
            mixed.save(root / split / f"right/r{seed}.png")
    pairs = [[f"l{seed}", f"r{seed}"] for seed in range(PAIRS)]
    write_csv(root / "train.csv", [["left", "right"], *pairs])
    header = ["left", *(f"c{number}" for number in range(OFFERED))]
    lists, sample = [header], [header]
    for seed in range(100, 100 + UNPAIRED):
        offered = [f"r{100 + (seed + step) % UNPAIRED}" for step in range(OFFERED)]
        lists.append([f"l{seed}", *offered])
        sample.append([f"l{seed}", *(["0.5"] * OFFERED)])
    write_csv(root / "test_candidates.csv", lists)
    write_csv(root / "sample-submission.csv", sample)


def one_line(result: Result, code: int) -> str:
    """The only line of a failure."""
    assert result.code == code, result
    assert "Traceback" not in result.err and result.err.count("\n") == 1, result.err
    assert result.err.startswith("tll-index: ")
    return result.err.strip()


def scored(result: Result) -> dict[str, Any]:
    """What `eval --json` printed."""
    assert result.code == 0, result
    assert result.out.count("\n") == 1
    facts: dict[str, Any] = json.loads(result.out)
    assert list(facts) == KEYS
    return facts


def pixels(*paths: Path) -> np.ndarray:
    """(n, size, size, 3): what the tiny backbone is shown of pictures."""
    return np.stack([decode(read_bytes(path), tiny.SPEC.geometry).pixels for path in paths])
