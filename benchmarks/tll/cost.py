"""What embedding a picture costs, next to one 224-pixel pass of the same network."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from statistics import median
from typing import TypeVar

import numpy as np

from tll_index.core.config import Settings
from tll_index.engine.backbones.backbone import Backbone
from tll_index.engine.backbones.registry import BackboneSpec, Layer
from tll_index.engine.backbones.runtime import load_runtime
from tll_index.engine.images.decode import Limits, decode
from tll_index.engine.images.file_bytes import read_bytes
from tll_index.engine.lens.experiment import PairData
from tll_index.engine.lens.lens import Lens

SIDE = 224
BATCH = 32
ROUNDS = 7

_Given = TypeVar("_Given")
_Result = TypeVar("_Result")


def embedding(
    material: PairData, lenses: dict[str, Lens], settings: Settings
) -> dict[str, dict[str, float]]:
    """For each of `lenses`, `pictures_per_second` of backbone and lens (decoding aside), and
    `cost`: seconds in passes of the network that only averages its last layer at 224 pixels.

    Each round times all of it, one after the other, so that whatever else the machine does hits
    all alike; reported are medians over rounds.
    """
    backbone = material.backbone
    one_pass = Backbone(
        small := pass_at_224(backbone.spec),
        backbone.weights,
        load_runtime(small, backbone.weights, settings),
    )
    data = [read_bytes(path, Limits.of(settings)) for path in material.pairs.left[:BATCH]]
    seen, seen_small = (
        np.stack([decode(one, spec.geometry, Limits.of(settings)).pixels for one in data])
        for spec in (backbone.spec, small)
    )
    seconds: dict[str, list[float]] = {name: [] for name in lenses}
    ratios: dict[str, list[float]] = {name: [] for name in lenses}
    for turn in range(ROUNDS + 1):
        alone, _ = timed(one_pass.features, seen_small)
        looking, features = timed(backbone.features, seen)
        for name, lens in lenses.items():
            answering, _ = timed(lens.encode_gallery, features)
            if turn:  # the first warms up
                seconds[name].append(looking + answering)
                ratios[name].append((looking + answering) / alone)
    return {
        name: {
            "pictures_per_second": round(len(data) / median(seconds[name]), 2),
            "cost": round(median(ratios[name]), 3),
        }
        for name in lenses
    }


def pass_at_224(spec: BackboneSpec) -> BackboneSpec:
    """The same network up to the same layer, averaged as a whole, once at 224 pixels."""
    last = spec.layers[-1]
    return replace(
        spec,
        geometry=replace(spec.geometry, size=SIDE),
        layers=(Layer(last.name, last.channels),),
        views=(),
    )


def timed(work: Callable[[_Given], _Result], given: _Given) -> tuple[float, _Result]:
    """How many seconds `work` takes, and what it returns."""
    started = time.perf_counter()
    result = work(given)
    return time.perf_counter() - started, result
