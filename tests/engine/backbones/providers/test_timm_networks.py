"""VGG, ResNet, ResNeXt and ViT through the code that loads the real ones: small random networks,
most of them written by torchvision, whose files the published ones are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file
from torchvision.models.resnet import Bottleneck, ResNet

import explained
from tll_index import load_backbone
from tll_index.core.errors import WeightsError
from tll_index.engine.backbones.backbone import normalised
from tll_index.engine.backbones.outputs import PooledOutputs
from tll_index.engine.backbones.providers.timm_networks import VARIANTS, build, named_for
from tll_index.engine.backbones.registry import ROWS, BackboneSpec, Layer, Pool, register, spec_of
from tll_index.engine.images.decode import Geometry

Tensors = dict[str, torch.Tensor]

NAMES = [spec.name for spec in ROWS if spec.provider == ".timm_networks"]
HEADLESS = ("barlow_twins", "dino_resnet50")
"""Published without a classifier."""

_VGG: list[int | str] = [4, "M", 8, "M", 8, "M", 8, "M", 8, "M"]
_RESNET_LAYERS = tuple(Layer(f"layer{i}", 128 << i) for i in (1, 2, 3, 4))


def _small_vgg(**options: Any) -> torch.nn.Module:
    network = timm.models.vgg.VGG(_VGG, num_classes=options["num_classes"], mlp_ratio=1 / 64)
    network.pretrained_cfg = timm.get_pretrained_cfg("vgg16").to_dict()
    return network


SMALL: dict[str, tuple[Callable[..., torch.nn.Module], BackboneSpec]] = {
    "tll_test_resnext": (
        lambda **options: timm.create_model(
            "resnext101_32x32d", layers=(1, 1, 2, 1), cardinality=4, base_width=8, **options
        ),
        replace(spec_of("resnext101_32x48d_wsl"), geometry=Geometry(64), layers=_RESNET_LAYERS),
    ),
    "tll_test_vit": (
        lambda **options: timm.create_model(
            "vit_base_patch16_224", img_size=48, embed_dim=32, depth=3, num_heads=2, **options
        ),
        replace(
            spec_of("vit_b16"),
            geometry=Geometry(48),
            layers=(
                Layer("blocks.0", 32),
                Layer("blocks.2", 32, (Pool(), Pool("std"), Pool(grid=3))),
                Layer("norm", 32, (Pool("class"),)),
            ),
        ),
    ),
    "tll_test_vgg": (
        _small_vgg,
        replace(spec_of("vgg16"), layers=(Layer("pre_logits.act1", 64),)),
    ),
}


@pytest.fixture(scope="module", autouse=True)
def small_architectures() -> Iterator[None]:
    for name, (make, spec) in SMALL.items():

        def entry(
            pretrained: bool = False, make: Callable[..., torch.nn.Module] = make, **options: Any
        ) -> torch.nn.Module:
            return make(num_classes=options["num_classes"])

        entry.__name__, entry.__module__ = name, __name__
        globals()[name] = entry  # where timm looks for it
        timm.models.register_model(entry)
        register(replace(spec, name=name, architecture=name))
    yield


def random_network(name: str, seed: int = 3) -> torch.nn.Module:
    """With a classifier of seven classes, and norms that have seen something."""
    torch.manual_seed(seed)
    network = SMALL[name][0](num_classes=7)
    for key, value in network.state_dict().items():
        if key.endswith(("running_mean", "bias")):
            value.normal_(0, 0.1)
        if key.endswith("running_var") or (key.endswith("weight") and value.ndim == 1):
            value.uniform_(0.5, 1.5)
    return network.eval()


def saved(tensors: Tensors, path: Path) -> Path:
    save_file({key: value.contiguous() for key, value in tensors.items()}, path)
    return path


def pixels_for(spec: BackboneSpec) -> np.ndarray:
    size = spec.geometry.size
    return np.random.default_rng(5).integers(0, 256, (3, size, size, 3), dtype=np.uint8)


def expected(name: str, network: torch.nn.Module, pixels: torch.Tensor) -> torch.Tensor:
    """The row's features, by a way that shares no code with the provider."""
    functional = torch.nn.functional
    if name == "tll_test_vgg":
        state = network.state_dict()
        maps = network.features(pixels).flatten(1)  # type: ignore[operator]
        weight = state["pre_logits.fc1.weight"].flatten(1)
        return functional.linear(maps, weight, state["pre_logits.fc1.bias"]).relu()
    if name == "tll_test_resnext":
        maps = network.maxpool(network.act1(network.bn1(network.conv1(pixels))))  # type: ignore
        outputs = []
        for stage in ("layer1", "layer2", "layer3", "layer4"):
            maps = getattr(network, stage)(maps)
            outputs.append(maps.mean((2, 3)))
        return torch.cat(outputs, 1)
    tokens = network.patch_embed(pixels)  # type: ignore[operator]
    tokens = torch.cat([network.cls_token.expand(len(pixels), -1, -1), tokens], 1)  # type: ignore
    tokens = network.norm_pre(tokens + network.pos_embed)  # type: ignore[operator]
    outputs = []
    for number, block in enumerate(network.blocks):  # type: ignore[arg-type]
        tokens = block(tokens)
        if number in (0, 2):
            outputs.append(tokens[:, 1:].mean(1))
    outputs.append(tokens[:, 1:].std(1, correction=0))
    outputs.append(tokens[:, 1:].flatten(1))  # 3 x 3 patches, each a cell of its own
    outputs.append(network.norm(tokens)[:, 0])  # type: ignore[operator]
    return torch.cat(outputs, 1)


@pytest.mark.parametrize("name", list(SMALL))
def test_layers_are_pooled_from_a_local_file(name: str, home: Path) -> None:
    network, spec = random_network(name), spec_of(name)
    saved(network.state_dict(), home / "weights" / f"{name}.safetensors")
    pixels = pixels_for(spec)
    features = load_backbone(name).features(pixels)
    assert features.shape == (3, spec.dimension) and features.dtype == np.float32
    with torch.inference_mode():
        by_hand = expected(name, network, torch.from_numpy(normalised(pixels, spec))).numpy()
    assert np.abs(features - by_hand).max() < 1e-4 and by_hand.std() > 0.01
    assert np.abs(features[0] - features[1]).max() > 1e-3
    assert (load_backbone(name).features(pixels) == features).all()


@pytest.mark.parametrize("name", list(SMALL))
def test_half_precision_and_any_classifier(name: str, tmp_path: Path) -> None:
    network, pixels = random_network(name), pixels_for(spec_of(name))
    state = network.state_dict()
    full = load_backbone(name, weights=saved(state, tmp_path / "full.safetensors"))
    head = network.pretrained_cfg["classifier"]  # type: ignore[index]
    headless = {key: value for key, value in state.items() if not key.startswith(f"{head}.")}
    assert len(headless) == len(state) - 2
    half = {key: v.half() if v.is_floating_point() else v for key, v in headless.items()}
    torch.save({"state_dict": {f"module.{k}": v for k, v in half.items()}}, tmp_path / "half.pth")
    a = load_backbone(name, weights=tmp_path / "half.pth").features(pixels)
    b = full.features(pixels)
    assert a.dtype == np.float32 and 0 < np.abs(a - b).max() < 0.02 * np.abs(b).max()


@pytest.mark.parametrize("name", list(SMALL))
def test_never_a_partly_random_network(name: str, tmp_path: Path) -> None:
    whole = random_network(name).state_dict()
    path = tmp_path / "weights.safetensors"
    first = next(key for key in whole if key.endswith("weight"))
    middle = sorted(key for key in whole if "weight" in key and "head" not in key)[len(whole) // 4]
    for broken in (
        {key: value for key, value in whole.items() if key != first},
        {key: value for key, value in whole.items() if key != middle},
        whole | {"projector.weight": torch.zeros(3)},
        whole | {first: whole[first][:1]},
    ):
        with pytest.raises(WeightsError, match="another architecture"):
            load_backbone(name, weights=saved(broken, path))
    with pytest.raises(WeightsError, match="another architecture"):
        other = next(other for other in SMALL if other != name)
        load_backbone(name, weights=saved(random_network(other).state_dict(), path))


def test_torchvisions_resnet_is_the_same_network(tmp_path: Path) -> None:
    """WSL, Barlow Twins and DINO published weights of torchvision's ResNet: its numbers."""
    torch.manual_seed(4)
    theirs = ResNet(Bottleneck, [1, 1, 2, 1], groups=4, width_per_group=8).eval()
    for key, value in theirs.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 1.5)
    # Files of before PyTorch 0.4.1 have no such counters, which nothing uses.
    state = {k: v for k, v in theirs.state_dict().items() if "num_batches_tracked" not in k}
    torch.save(state, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    spec = spec_of("tll_test_resnext")
    pixels = pixels_for(spec)
    features = load_backbone(spec.name, weights=tmp_path / "old.pth").features(pixels)
    outputs: list[torch.Tensor] = []
    for stage in (theirs.layer1, theirs.layer2, theirs.layer3, theirs.layer4):
        stage.register_forward_hook(lambda *hooked: outputs.append(hooked[-1].mean((2, 3))))
    with torch.inference_mode():
        theirs(torch.from_numpy(normalised(pixels, spec)))
    assert np.abs(features - torch.cat(outputs, 1).numpy()).max() < 1e-4


def test_torchvisions_names_of_vgg(tmp_path: Path) -> None:
    state = random_network("tll_test_vgg").state_dict()
    pixels = pixels_for(spec_of("tll_test_vgg"))
    ours = load_backbone("tll_test_vgg", weights=saved(state, tmp_path / "timm.safetensors"))
    theirs = {
        key.replace("pre_logits.fc1", "classifier.0")
        .replace("pre_logits.fc2", "classifier.3")
        .replace("head.fc", "classifier.6"): value.flatten(1)
        if "fc" in key and value.ndim == 4
        else value
        for key, value in state.items()
    }
    assert sum(key.startswith("classifier.") for key in theirs) == 6
    assert theirs["classifier.0.weight"].shape == (64, 8 * 7 * 7)
    torch.save(theirs, tmp_path / "vgg16.pth")
    renamed = load_backbone("tll_test_vgg", weights=tmp_path / "vgg16.pth")
    assert (renamed.features(pixels) == ours.features(pixels)).all()
    del theirs["classifier.3.bias"]
    torch.save(theirs, tmp_path / "vgg16.pth")
    with pytest.raises(WeightsError, match=r"pre_logits\.fc2\.bias"):
        load_backbone("tll_test_vgg", weights=tmp_path / "vgg16.pth")
    theirs["classifier.3.bias"] = torch.zeros(64)
    for other in (torch.zeros(64, 9), theirs["classifier.0.weight"].T):  # Keras has it lying down
        torch.save(theirs | {"classifier.0.weight": other}, tmp_path / "vgg16.pth")
        with pytest.raises(WeightsError, match="another architecture"):
            load_backbone("tll_test_vgg", weights=tmp_path / "vgg16.pth")


def test_layers_that_are_not_there_are_refused() -> None:
    network = random_network("tll_test_resnext")
    with pytest.raises(ValueError, match=r"no layers \['layer5'\]; there are \['conv1', 'bn1', "):
        PooledOutputs(network, (Layer("layer1", 256), Layer("layer5", 4096)))
    with pytest.raises(ValueError, match="layer1 has 256 channels, not 255"):
        PooledOutputs(network, (Layer("layer1", 255),))(torch.zeros(1, 3, 32, 32))


def test_threads_get_the_features_of_their_own_pictures(tmp_path: Path) -> None:
    state = random_network("tll_test_vit").state_dict()
    backbone = load_backbone("tll_test_vit", weights=saved(state, tmp_path / "vit.safetensors"))
    batches = [
        np.random.default_rng(seed).integers(0, 256, (2, 48, 48, 3), dtype=np.uint8)
        for seed in range(24)
    ]
    alone = [backbone.features(batch) for batch in batches]
    with ThreadPoolExecutor(8) as threads:
        together = list(threads.map(backbone.features, batches))
    assert np.abs(np.stack(together) - np.stack(alone)).max() < 1e-5


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.slow_after_first
def test_rows_tell_the_truth_about_the_real_architectures(name: str) -> None:
    """Parameters, size of the file, layers and their widths, held against the real architecture on
    the meta device, where it has shapes but no numbers."""
    spec = spec_of(name)
    with torch.device("meta"):
        whole = build(spec.architecture, **({} if name in HEADLESS else {"num_classes": 1000}))
        network = PooledOutputs(
            build(spec.architecture), spec.layers, getattr(whole, "num_prefix_tokens", 0)
        )
        size = spec.geometry.size
        with torch.inference_mode():  # each layer is refused there if its width is another
            assert network.eval()(torch.empty(2, 3, size, size)).shape == (2, spec.dimension)
    assert all(tensor.is_meta for tensor in whole.state_dict().values())
    assert spec.parameters == sum(value.numel() for value in whole.parameters())
    tensors = whole.state_dict().values()
    assert spec.megabytes == round(sum(v.numel() * v.element_size() for v in tensors) / 1e6)


@pytest.mark.parametrize("name", [name for name in NAMES if spec_of(name).hub_repo])
def test_preprocessing_is_what_timm_says_of_the_weights(name: str) -> None:
    spec = spec_of(name)
    published = timm.get_pretrained_cfg(f"{spec.architecture}.{spec.weights_tag}")
    assert published.hf_hub_id == spec.hub_repo and spec.hub_file == "model.safetensors"
    assert published.input_size == (3, spec.geometry.size, spec.geometry.size)
    assert (published.crop_pct, published.crop_mode) == (spec.geometry.crop, "center")
    assert spec.geometry.fit == "crop" and published.interpolation == spec.geometry.interpolation
    assert (tuple(published.mean), tuple(published.std)) == (spec.mean, spec.std)
    licences = {"bsd-3-clause": "BSD-3-Clause", "apache-2.0": "Apache-2.0"}
    assert licences[published.license] == spec.licence


def test_the_wsl_network_is_prepared_as_its_smaller_sister() -> None:
    """timm has weights of the same paper for 32x32d, not for 32x48d."""
    spec = spec_of("resnext101_32x48d_wsl")
    nearest, changed = VARIANTS[spec.architecture]
    assert changed == {"base_width": 48}
    published = timm.get_pretrained_cfg(f"{nearest}.fb_wsl_ig1b_ft_in1k")
    assert published.input_size == (3, spec.geometry.size, spec.geometry.size)
    assert published.crop_pct == spec.geometry.crop
    assert published.interpolation == spec.geometry.interpolation
    assert (tuple(published.mean), tuple(published.std)) == (spec.mean, spec.std)
    assert published.license == "cc-by-nc-4.0" and spec.licence == "CC BY-NC 4.0"


@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        (
            "resnext101_32x48d_wsl",
            lambda: ResNet(Bottleneck, [3, 4, 23, 3], groups=32, width_per_group=48),
        ),
        ("barlow_twins", torchvision.models.resnet50),
        ("dino_resnet50", torchvision.models.resnet50),
        ("resnet50", torchvision.models.resnet50),
        ("vgg16", torchvision.models.vgg16),
    ],
)
def test_published_files_have_these_tensors(
    name: str, theirs: Callable[[], torch.nn.Module]
) -> None:
    """Their code builds torchvision's network; the real one's tensors are named for timm's here."""
    with torch.device("meta"):
        published = theirs().state_dict()
        network = build(spec_of(name).architecture)
    named = named_for(network, published)
    assert {k: v.shape for k, v in named.items()} == {
        k: v.shape for k, v in network.state_dict().items()
    }
    assert len(published) - len(named) == 2  # the classifier


def test_a_resnets_dimension_is_its_four_stages() -> None:
    for name in ("resnext101_32x48d_wsl", "barlow_twins", "dino_resnet50", "resnet50"):
        assert spec_of(name).dimension == 256 + 512 + 1024 + 2048
    assert spec_of("vit_b16").dimension == 13 * 768 and spec_of("vgg16").dimension == 4096


@pytest.mark.parametrize(
    ("name", "method"),
    [("tll_test_resnext", "sum"), ("tll_test_vit", "mask"), ("tll_test_vgg", "mask")],
)
def test_why_is_a_sum_where_all_layers_have_places(name: str, method: str, home: Path) -> None:
    saved(random_network(name).state_dict(), home / "weights" / f"{name}.safetensors")
    found = explained.of_noise(name)
    assert found.method == method and min(found.heatmap_a.std(), found.heatmap_b.std()) > 0
    if method == "sum":
        assert abs(found.heatmap_a.sum(dtype=np.float64) - found.cosine) < 1e-5
