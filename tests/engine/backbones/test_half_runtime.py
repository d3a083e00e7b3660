"""Large networks for many pictures: bf16 where the processor can and nothing is lost."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import tiny
from tll_index import load_backbone
from tll_index.core.config import load_settings
from tll_index.engine.backbones import cpu_runtime
from tll_index.engine.backbones.cpu_runtime import MANY, HalfRuntime
from tll_index.engine.backbones.openvino_runtime import has_bf16
from tll_index.engine.backbones.registry import register

PIXELS = np.random.default_rng(1).integers(0, 256, (MANY, 32, 32, 3), dtype=np.uint8)


@pytest.fixture
def large(home: Path) -> Any:
    """The tiny network in a row that says it is large."""
    register(replace(tiny.SPEC, name="large", megabytes=60))
    tiny.write_weights(home / "weights/large.safetensors")
    return load_backbone("large", settings=load_settings(runtime="auto", device="cpu"))


def test_few_are_in_float_and_many_nearly_the_same(large: Any) -> None:
    assert isinstance(large.runtime, HalfRuntime)
    in_float = load_backbone("large", settings=load_settings(runtime="onnx"))
    wanted = in_float.features(PIXELS)
    assert (large.features(PIXELS[:2]) == in_float.features(PIXELS[:2])).all()
    found = large.features(PIXELS)
    norms = np.linalg.norm(found, axis=1) * np.linalg.norm(wanted, axis=1)
    assert ((found * wanted).sum(axis=1) / norms).min() > 0.999
    assert large.runtime.name != in_float.runtime.name  # features are cached apart


@pytest.mark.skipif(not has_bf16(), reason="this processor has no bf16")
@pytest.mark.parametrize(("cosine", "taken"), [(1.1, False), (0.5, True)])
def test_it_is_taken_only_where_it_is_faithful(
    large: Any, monkeypatch: pytest.MonkeyPatch, cosine: float, taken: bool
) -> None:
    monkeypatch.setattr(cpu_runtime, "BF16_COSINE", cosine)
    in_float = load_backbone("large", settings=load_settings(runtime="onnx")).features(PIXELS)
    found = large.features(PIXELS)
    assert (found != in_float).any() == taken
    assert np.abs(found - in_float).max() < 0.02 * np.abs(in_float).max()


def test_a_processor_without_it(large: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_runtime, "has_bf16", lambda: False)
    in_float = load_backbone("large", settings=load_settings(runtime="onnx"))
    assert (large.features(PIXELS) == in_float.features(PIXELS)).all()


def test_small_networks_stay_as_they_are(home: Path) -> None:
    small = load_backbone("tiny", settings=load_settings(runtime="auto", device="cpu"))
    assert small.runtime.name == "onnx cpu"
