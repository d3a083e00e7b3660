"""The bundled backbone is the real EfficientNet-Lite0, and its features are timm's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from timm_outputs import layer_by_hand, outputs_of_timm, photographs_at

from tll_index import load_backbone
from tll_index.core.config import load_settings
from tll_index.core.contracts import Pixels
from tll_index.core.errors import WeightsError
from tll_index.engine.backbones.backbone import Backbone, normalised
from tll_index.engine.backbones.providers.bundled import PooledBlocks, load_whole
from tll_index.engine.backbones.registry import IN_FLOAT, Layer, Pool, spec_of
from tll_index.engine.backbones.views import seen
from tll_index.engine.backbones.weights import find, published
from tll_index.engine.images.decode import Geometry

SPEC = spec_of(IN_FLOAT)
ALL_POOLS = (Pool(), Pool("std"), Pool("std", 2), Pool(grid=3), Pool(grid=2))


@pytest.fixture(scope="module")
def photographs() -> Pixels:
    return photographs_at(SPEC.geometry)


@pytest.fixture
def backbone() -> Backbone:
    return load_backbone(IN_FLOAT)


def test_features_are_timms_pooled(backbone: Backbone, photographs: Pixels) -> None:
    square = torch.from_numpy(normalised(photographs, SPEC))
    features = backbone.features(photographs)
    assert features.shape == (2, SPEC.dimension) and features.dtype == np.float32
    classifier = load_whole(SPEC, published(SPEC))
    at = 0
    for pixels in [seen(square, view) for view in SPEC.views] or [square]:
        timms = outputs_of_timm(classifier, pixels)
        for layer in SPEC.layers:
            assert timms[layer.name].shape[1] == layer.channels
            ours, by_hand = features[:, at : at + layer.width], layer_by_hand(timms, layer)
            assert np.abs(ours - by_hand).max() < 1e-3, layer
            assert np.abs(by_hand).max() > 0.1
            at += layer.width
    assert at == SPEC.dimension


@pytest.mark.parametrize(
    ("layers", "last"),
    [
        ((Layer("blocks.0.0", 16), Layer("blocks.2.1", 40, ALL_POOLS)), "blocks.2.1"),
        ((Layer("blocks.6.0", 320), Layer("conv_head", 1280, ALL_POOLS)), "conv_head"),
    ],
)
def test_other_layers_and_nothing_after_the_last(
    photographs: Pixels, layers: tuple[Layer, ...], last: str
) -> None:
    path = published(SPEC)
    pixels = torch.from_numpy(normalised(photographs, SPEC))
    timms = outputs_of_timm(load_whole(SPEC, path), pixels)
    network = PooledBlocks(load_whole(SPEC, path), layers).eval()
    computed: list[torch.nn.Module] = []
    for module in network.modules():
        if isinstance(module, torch.nn.Conv2d):
            module.register_forward_hook(lambda module, *_: computed.append(module))
    with torch.inference_mode():
        features = network(pixels).numpy()
    by_hand = np.concatenate([layer_by_hand(timms, layer) for layer in layers], axis=1)
    assert features.shape == by_hand.shape and np.abs(features - by_hand).max() < 1e-3
    convolutions = [
        name
        for name, module in load_whole(SPEC, path).named_modules()
        if isinstance(module, torch.nn.Conv2d)
    ]
    up_to_last = max(at for at, name in enumerate(convolutions) if name.startswith(last)) + 1
    assert len(computed) == up_to_last
    assert (up_to_last == len(convolutions)) == (last == "conv_head")


def test_layers_that_are_not_there_are_refused() -> None:
    classifier = load_whole(SPEC, published(SPEC))
    for layers, says in (
        ((Layer("blocks.7.0", 320),), r"no layers \['blocks.7.0'\]; there are \['blocks.0.0', "),
        ((Layer("blocks.2.1", 40), Layer("head", 1280)), r"no layers \['head'\]"),
        ((Layer("blocks.3.0", 80), Layer("blocks.2.1", 40)), "not in the network's order"),
        ((Layer("conv_head", 1280), Layer("blocks.2.1", 40)), "not in the network's order"),
    ):
        with pytest.raises(ValueError, match=says):
            PooledBlocks(classifier, layers)


def test_a_flower_is_a_flower() -> None:
    """The weights sit where they belong and pixels are prepared as in training: the network's own
    head, at its own size, sees a daisy (ImageNet class 985) in a flower, and no plant in a Chinese
    temple."""
    classifier = load_whole(SPEC, published(SPEC))
    pixels = photographs_at(Geometry(size=224, crop=0.875))
    with torch.inference_mode():
        classes = classifier(torch.from_numpy(normalised(pixels, SPEC))).argsort(descending=True)
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
    again = load_backbone(IN_FLOAT).features(photographs)
    assert (again == backbone.features(photographs)).all()
    one_by_one = np.concatenate([backbone.features(one[None]) for one in photographs])
    assert np.abs(one_by_one - again).max() < 1e-4
    assert backbone.features(photographs[:0]).shape == (0, SPEC.dimension)


def test_torch_computes_what_the_graph_does(backbone: Backbone, photographs: Pixels) -> None:
    """Its weights are read out of the ONNX file; so the bundled network runs on a GPU."""
    by_torch = load_backbone(IN_FLOAT, settings=load_settings(runtime="torch"))
    assert by_torch.runtime.name.startswith("torch") and by_torch.weights.is_graph
    wanted = backbone.features(photographs)
    assert np.abs(by_torch.features(photographs) - wanted).max() < 1e-5 * np.abs(wanted).max()


def test_own_weights_by_timms_names(backbone: Backbone, photographs: Pixels, home: Path) -> None:
    """A checkpoint with timm's own names loads by name, from the weights folder and by option."""
    state = load_whole(SPEC, published(SPEC)).state_dict()
    path = home / "elsewhere.pth"
    torch.save(dict(reversed(state.items())), path)
    named = load_backbone(IN_FLOAT, weights=path)
    found, wanted = named.features(photographs), backbone.features(photographs)
    assert np.abs(found - wanted).max() < 1e-5 * np.abs(wanted).max()
    assert named.weights.sha256 != backbone.weights.sha256 == SPEC.sha256
    path.rename(home / "weights" / f"{IN_FLOAT}.pth")
    assert find(SPEC, load_settings().weights_dir) == home / "weights" / f"{IN_FLOAT}.pth"


class Explosive:
    def __reduce__(self) -> tuple[object, ...]:
        return (Path("/tmp/weights-were-executed").write_text, ("boom",))


def test_bad_weights_files_are_refused(backbone: Backbone, tmp_path: Path) -> None:
    whole = published(SPEC).read_bytes()
    path = tmp_path / "weights.pth"
    for data in (b"", b"nonsense", whole[: len(whole) // 2]):
        path.write_bytes(data)
        with pytest.raises(WeightsError, match=r"weights\.pth"):
            load_backbone(IN_FLOAT, weights=path)
    torch.save({"weight": Explosive()}, path)
    with pytest.raises(WeightsError, match="not a readable weights file"):
        load_backbone(IN_FLOAT, weights=path)
    assert not Path("/tmp/weights-were-executed").exists()
    torch.jit.script(torch.nn.Linear(2, 2)).save(path)
    with pytest.raises(WeightsError, match="TorchScript"):
        load_backbone(IN_FLOAT, weights=path)
    torch.save(torch.nn.Linear(2, 2).state_dict(), path)
    with pytest.raises(WeightsError, match="2 tensors"):
        load_backbone(IN_FLOAT, weights=path)
    state = load_whole(SPEC, published(SPEC)).state_dict()
    state["classifier.weight"] = torch.zeros(3, 3)
    torch.save(state, path)
    with pytest.raises(WeightsError, match="another architecture"):
        load_backbone(IN_FLOAT, weights=path)
    with pytest.raises(WeightsError, match="no weights file"):
        load_backbone(IN_FLOAT, weights=tmp_path / "absent.pth")
    (tmp_path / "weights.txt").touch()
    with pytest.raises(WeightsError, match=r"end in \.safetensors"):
        load_backbone(IN_FLOAT, weights=tmp_path / "weights.txt")
