"""The bundled backbone is the real EfficientNet-Lite0, and its features are timm's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from tll_index import load_backbone
from tll_index.config import load_settings
from tll_index.contracts import Pixels
from tll_index.engine.backbones.bundled import load_classifier
from tll_index.engine.decode import from_image
from tll_index.engine.features import Backbone, normalised
from tll_index.engine.registry import DEFAULT, register, spec_of
from tll_index.engine.weights import find, locate
from tll_index.errors import WeightsError

SPEC = spec_of(DEFAULT)


@pytest.fixture(scope="module")
def photographs() -> Pixels:
    images = [Image.fromarray(load_sample_image(name)) for name in ("flower.jpg", "china.jpg")]
    return np.stack([from_image(image, SPEC.geometry).pixels for image in images])


@pytest.fixture
def backbone() -> Backbone:
    return load_backbone()


def test_features_are_timms_pooled(backbone: Backbone, photographs: Pixels) -> None:
    classifier = load_classifier(SPEC, backbone.weights.path)
    pixels = torch.from_numpy(normalised(photographs, SPEC))
    with torch.inference_mode():
        head = classifier.forward_features(pixels).mean((2, 3)).numpy()
        _, stages = classifier.forward_intermediates(pixels)
    features = backbone.features(photographs)
    assert features.shape == (2, SPEC.dimension) == (2, 2064)
    assert np.abs(features[:, -1280:] - head).max() < 1e-4
    # timm's intermediates are the five stages that end a resolution: of our seven, these.
    ends = np.cumsum([layer.width for layer in SPEC.layers])
    for stage, ours in zip(stages, (0, 1, 2, 4, 6), strict=True):
        part = features[:, ends[ours] - SPEC.layers[ours].width : ends[ours]]
        assert np.abs(part - stage.mean((2, 3)).numpy()).max() < 1e-4


def test_a_flower_is_a_flower(photographs: Pixels) -> None:
    """The weights sit where they belong and pixels are prepared as in training: the network's own
    head sees a daisy (ImageNet class 985) in a flower, and no plant in a Chinese temple."""
    classifier = load_classifier(SPEC, locate(SPEC, load_settings().weights_dir).path)
    with torch.inference_mode():
        classes = classifier(torch.from_numpy(normalised(photographs, SPEC))).argsort(
            descending=True
        )
    flower, temple = classes[:, 0].tolist()
    assert flower == 985
    assert temple in {483, 538, 668, 663, 698, 832}  # castle, dome, mosque, monastery, palace, …


def test_normalisation_is_the_formula() -> None:
    spec = replace(SPEC, mean=(0.1, 0.2, 0.3), std=(0.5, 0.6, 0.7))
    pixels = np.random.default_rng(0).integers(0, 256, (2, 4, 4, 3), dtype=np.uint8)
    by_hand = (pixels / 255 - np.array(spec.mean)) / np.array(spec.std)
    batch = normalised(pixels, spec)
    assert batch.dtype == np.float32 and batch.shape == (2, 3, 4, 4)
    assert np.allclose(batch, by_hand.transpose(0, 3, 1, 2), atol=1e-6)


def test_same_pixels_same_features(backbone: Backbone, photographs: Pixels) -> None:
    again = load_backbone().features(photographs)
    assert (again == backbone.features(photographs)).all()
    one_by_one = np.concatenate([backbone.features(one[None]) for one in photographs])
    assert np.abs(one_by_one - again).max() < 1e-4
    assert backbone.features(photographs[:0]).shape == (0, 2064)


def test_weights_that_are_not_the_published_ones_are_refused(home: Path) -> None:
    register(replace(SPEC, sha256="0" * 64))
    try:
        with pytest.raises(WeightsError, match="not the published weights"):
            load_backbone()
    finally:
        register(SPEC)


def test_own_weights_by_timms_names(backbone: Backbone, photographs: Pixels, home: Path) -> None:
    """A checkpoint with timm's own names loads by name, from the weights folder and by option."""
    state = load_classifier(SPEC, backbone.weights.path).state_dict()
    path = home / "elsewhere.pth"
    torch.save(dict(reversed(state.items())), path)
    named = load_backbone(weights=path)
    assert (named.features(photographs) == backbone.features(photographs)).all()
    assert named.weights.sha256 != backbone.weights.sha256
    path.rename(home / "weights" / f"{DEFAULT}.pth")
    assert find(SPEC, load_settings().weights_dir) == home / "weights" / f"{DEFAULT}.pth"


class Explosive:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path("/tmp/weights-were-executed").write_text, ("boom",))


def test_bad_weights_files_are_refused(backbone: Backbone, tmp_path: Path) -> None:
    whole = backbone.weights.path.read_bytes()
    path = tmp_path / "weights.pth"
    for data in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=r"weights\.pth"):
            load_backbone(weights=path)
    torch.save({"weight": Explosive()}, path)
    with pytest.raises(WeightsError, match="not a readable weights file"):
        load_backbone(weights=path)
    assert not Path("/tmp/weights-were-executed").exists()
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    with pytest.raises(WeightsError, match="TorchScript"):
        load_backbone(weights=path)
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(WeightsError, match="2 tensors"):
        load_backbone(weights=path)
    state = load_classifier(SPEC, backbone.weights.path).state_dict()
    state["classifier.weight"] = torch.zeros(3, 3)
    torch.save(state, path)
    with pytest.raises(WeightsError, match="another architecture"):
        load_backbone(weights=path)
    with pytest.raises(WeightsError, match="no weights file"):
        load_backbone(weights=tmp_path / "absent.pth")
    (tmp_path / "weights.txt").touch()
    with pytest.raises(WeightsError, match=r"end in \.safetensors"):
        load_backbone(weights=tmp_path / "weights.txt")
