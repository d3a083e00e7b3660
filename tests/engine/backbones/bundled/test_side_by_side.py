"""Several networks in one graph: each computes what timm's does, and what it computes alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from timm_outputs import layer_by_hand, outputs_of_timm, photographs_at

from tll_index import load_backbone
from tll_index.core.config import load_settings
from tll_index.core.contracts import Pixels
from tll_index.engine.backbones.backbone import Backbone, normalised
from tll_index.engine.backbones.bundled.graph import build
from tll_index.engine.backbones.bundled.tensors import blocks_of
from tll_index.engine.backbones.onnx_runtime import OnnxRuntime
from tll_index.engine.backbones.providers.bundled import load_whole
from tll_index.engine.backbones.registry import BEST, DEFAULT, WITHOUT_FACES, BackboneSpec, spec_of
from tll_index.engine.backbones.views import seen
from tll_index.engine.backbones.weights import published
from tll_index.engine.images.decode import Geometry

PLAIN = WITHOUT_FACES[BEST]
SPEC = spec_of(PLAIN)
NAMES = [one.name for one in SPEC.networks]


def part_of(name: str) -> tuple[BackboneSpec, slice]:
    """The network of that name, and which of the features are its own."""
    at = 0
    for one in SPEC.networks:
        if one.name == name:
            return one, slice(at, at + one.dimension)
        at += one.dimension
    raise KeyError(name)


def in_float(spec: BackboneSpec) -> OnnxRuntime:
    """One of the networks in float32, out of its published weights."""
    pytest.importorskip(spec.package or "", reason=f"{spec.package} is not installed: make setup")
    return OnnxRuntime(build(spec, [blocks_of(spec, published(spec))]).SerializeToString())


@pytest.fixture(scope="module")
def photographs() -> Pixels:
    return photographs_at(SPEC.geometry)


@pytest.fixture(scope="module")
def by_onnx() -> Backbone:
    return load_backbone(PLAIN, settings=load_settings(runtime="onnx"))


@pytest.fixture(scope="module")
def by_openvino() -> Backbone:
    return load_backbone(PLAIN, settings=load_settings(runtime="openvino"))


@pytest.mark.parametrize("name", NAMES)
def test_in_float_each_is_timms(name: str, photographs: Pixels) -> None:
    """Of the float32 network that the 8 bits were made of, to 1e-4 of the largest value."""
    spec, _ = part_of(name)
    found = in_float(spec).run(photographs)
    classifier = load_whole(spec, published(spec))
    square = torch.from_numpy(normalised(photographs, spec))
    by_hand = []
    for view in spec.views:  # networks in float32 make all views bicubic
        timms = outputs_of_timm(classifier, seen(square, replace(view, interpolation="bicubic")))
        by_hand += [layer_by_hand(timms, layer) for layer in spec.layers]
    wanted = np.concatenate(by_hand, axis=1)
    assert found.shape == wanted.shape == (2, spec.dimension)
    assert np.abs(found - wanted).max() < 1e-4 * np.abs(wanted).max()


@pytest.mark.parametrize("name", NAMES)
def test_in_8_bits_each_is_near_to_float(name: str, photographs: Pixels, by_onnx: Backbone) -> None:
    spec, part = part_of(name)
    wanted = in_float(spec).run(photographs)
    assert cosines(by_onnx.features(photographs)[:, part], wanted).min() > 0.99


@pytest.mark.parametrize("name", NAMES)
def test_the_runtimes_agree(
    name: str, photographs: Pixels, by_onnx: Backbone, by_openvino: Backbone
) -> None:
    _, part = part_of(name)
    one, other = by_onnx.features(photographs), by_openvino.features(photographs)
    assert one.shape == other.shape == (2, SPEC.dimension)
    assert cosines(one[:, part], other[:, part]).min() > 0.998


def test_the_first_is_the_default(photographs: Pixels, by_onnx: Backbone) -> None:
    """To the last bit: what stands beside it changes nothing."""
    alone = load_backbone(WITHOUT_FACES[DEFAULT], settings=load_settings(runtime="onnx")).features(
        photographs
    )
    assert (by_onnx.features(photographs)[:, : alone.shape[1]] == alone).all()


@pytest.mark.parametrize("name", NAMES)
def test_a_temple_is_a_temple(name: str) -> None:
    """The weights sit where they belong: with its own head, each sees a temple in the photograph of
    one. (Of the other, a dahlia, ImageNet has no class: Lite1 says honeycomb.)"""
    spec, _ = part_of(name)
    pytest.importorskip(spec.package or "", reason=f"{spec.package} is not installed: make setup")
    pixels = photographs_at(Geometry(size=224, crop=0.875))
    with torch.inference_mode():
        classes = load_whole(spec, published(spec))(torch.from_numpy(normalised(pixels, spec)))
    flower, temple = classes.argmax(1).tolist()
    assert flower in {985, 599}
    assert temple in {483, 538, 668, 663, 698, 832}  # castle, dome, mosque, monastery, palace, …


def cosines(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
