"""Lenses in half precision and in bytes: what is rounded once stays what it is."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tll_index import Lens
from tll_index.core.errors import LensError
from tll_index.engine.lens.half_precision import LONG, as_bytes, from_bytes, in_bytes, rounded_map
from tll_index.engine.lens.lens_file import write_lens


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(1e-12, 1e12), rows=st.integers(1, 4))
def test_bytes_stay_what_they_are(seed: int, scale: float, rows: int) -> None:
    random = np.random.default_rng(seed)
    array = (scale * random.normal(size=(rows, LONG))).astype(np.float32)
    array[:, random.integers(LONG)] *= 10
    array[0] *= random.integers(2)
    once = in_bytes(array)
    assert np.array_equal(in_bytes(once), once)
    steps = np.abs(array).max(axis=1, keepdims=True) / 127
    assert (np.abs(once - array) <= 0.502 * steps).all()
    found = as_bytes(once)
    assert found is not None and found[0].dtype == np.int8
    assert np.array_equal(from_bytes(*found), once)


def test_what_is_not_in_bytes_is_not_written_so() -> None:
    random = np.random.default_rng(0)
    assert as_bytes(random.normal(size=(2, LONG)).astype(np.float32)) is None
    short = random.normal(size=(2, LONG - 1)).astype(np.float32)
    halves = rounded_map(short)
    assert halves is not None and np.abs(halves).max() == 1
    assert np.array_equal(halves.astype(np.float16).astype(np.float32), halves)


def test_a_long_lens_takes_a_byte_a_value() -> None:
    random = np.random.default_rng(0)
    adaptation = random.normal(size=(20, LONG)).astype(np.float32)
    whole = Lens("x", LONG, "", None, None, adaptation)
    lens = whole.compact()
    file = io.BytesIO()
    lens.save(file)
    assert len(file.getvalue()) < 20 * LONG * 1.1
    assert Lens.load(file).digest == lens.digest
    features = random.normal(size=(30, LONG)).astype(np.float32)
    one, other = lens.transform(features), whole.transform(features)
    assert (one * other).sum(axis=1).min() > 0.9998
    text = file.getvalue()[:2000].decode("latin1")
    assert '"format": 3' in text  # earlier versions say that they are too old for it


@pytest.mark.parametrize("steps", [np.ones(3, np.float32), np.ones((2, 1), np.float32)])
def test_steps_that_do_not_fit_are_damage(steps: np.ndarray) -> None:
    file = io.BytesIO()
    header = {"format": 3, "backbone": "x", "features": 8, "relu": False, "provenance": {}}
    arrays = {"adaptation": np.ones((2, 8), np.int8), "adaptation_steps": steps}
    write_lens(file, header, arrays)
    with pytest.raises(LensError, match="damaged"):
        Lens.load(file)
