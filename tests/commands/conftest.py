"""Pairs to train on, and a lens of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from conftest import Result
from training import SMALL, draw_pairs


@pytest.fixture
def data(here: Path) -> Path:
    """A folder of pairs, of unpaired pictures and of candidates for these."""
    draw_pairs(root := here / "data")
    return root


@pytest.fixture
def lens(data: Path, tll_index: Callable[..., Result], here: Path) -> Path:
    """A lens of the pairs, with a hubness correction."""
    assert tll_index("train", data, "--out", "my.npz", *SMALL, "--folds", 0, "-q").code == 0
    return here / "my.npz"
