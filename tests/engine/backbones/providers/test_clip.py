"""The CLIP backbones, through the code that loads the real ones, with small random weights."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import open_clip
import pytest
import torch
from safetensors.torch import save_file

import explained
from clips import NAMES, RESNET, VIT, install, pixels_for, random_network, write_weights
from tll_index import load_backbone
from tll_index.core.config import load_settings
from tll_index.core.errors import WeightsError
from tll_index.engine.backbones.backbone import normalised
from tll_index.engine.backbones.registry import register, spec_of


@pytest.fixture(scope="module", autouse=True)
def small_architectures(tmp_path_factory: pytest.TempPathFactory) -> None:
    install(tmp_path_factory.mktemp("configs"))


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_pooled_from_a_local_file(name: str, home: Path) -> None:
    network, spec = random_network(name), spec_of(name)
    write_weights(network, home / "weights" / f"{name}.safetensors")
    backbone = load_backbone(name)
    features = backbone.features(pixels_for(spec.name))
    assert features.shape == (3, spec.dimension) and features.dtype == np.float32
    with torch.inference_mode():
        batch = torch.from_numpy(normalised(pixels_for(spec.name), spec))
        joint = network.encode_image(batch).numpy()  # type: ignore[operator]
        inner = network.visual.forward_intermediates(batch)["image_intermediates"]  # type: ignore
    assert np.allclose(features[:, -24:], joint, atol=1e-5)
    pooled = torch.cat([one.mean((2, 3)) for one in inner[-(len(spec.layers) - 1) :]], 1)
    assert np.allclose(features[:, :-24], pooled.numpy(), atol=1e-5)
    assert (load_backbone(name).features(pixels_for(spec.name)) == features).all()


def test_half_precision_checkpoints_as_openai_publishes_them(tmp_path: Path) -> None:
    network = random_network(RESNET)
    state = {key: value.half() for key, value in network.state_dict().items()}
    state |= {"input_resolution": torch.tensor(64), "vocab_size": torch.tensor(64)}
    torch.save({"state_dict": state}, tmp_path / "half.pt")
    half = load_backbone(RESNET, weights=tmp_path / "half.pt")
    write_weights(network, tmp_path / "full.safetensors")
    full = load_backbone(RESNET, weights=tmp_path / "full.safetensors")
    pixels = pixels_for(RESNET)
    a, b = half.features(pixels), full.features(pixels)
    assert np.abs(a - b).max() < 0.02 * np.abs(b).max()


def test_openai_weights_get_quick_gelu(tmp_path: Path) -> None:
    write_weights(random_network(VIT), tmp_path / "vit.safetensors")
    spec = spec_of(VIT)
    register(replace(spec, name="tll-test-vit-gelu", weights_tag="laion2b"))
    quick = load_backbone(VIT, weights=tmp_path / "vit.safetensors")
    exact = load_backbone("tll-test-vit-gelu", weights=tmp_path / "vit.safetensors")
    difference = quick.features(pixels_for(spec.name)) - exact.features(pixels_for(spec.name))
    assert 1e-6 < np.abs(difference).max() < 0.5


def test_never_a_partly_random_network(tmp_path: Path) -> None:
    state = random_network(RESNET).state_dict()
    del state["visual.layer3.0.conv1.weight"]
    save_file(state, tmp_path / "partial.safetensors")
    with pytest.raises(WeightsError, match="another architecture"):
        load_backbone(RESNET, weights=tmp_path / "partial.safetensors")


@pytest.mark.parametrize("name", ["clip_rn50x4", "clip_rn101", "clip_vit_b32"])
@pytest.mark.slow_after_first
def test_rows_tell_the_truth_about_the_real_architectures(name: str) -> None:
    """Dimension, layer widths, input size, parameters, preprocessing: held against open_clip's
    own network (with no weights in it: only shapes and counts are looked at)."""
    spec = spec_of(name)
    network = open_clip.create_model(spec.architecture, force_quick_gelu=True)
    size = network.visual.image_size
    size = size[0] if isinstance(size, tuple) else size
    assert spec.geometry.size == size
    assert spec.parameters == sum(value.numel() for value in network.parameters())
    assert spec.megabytes == round(spec.parameters * 4 / 1e6)
    with torch.inference_mode():
        out = network.to("meta").visual.forward_intermediates(
            torch.empty(1, 3, size, size, device="meta")
        )
    widths = [one.shape[1] for one in out["image_intermediates"]] + [out["image_features"].shape[1]]
    assert [layer.width for layer in spec.layers] == widths[-len(spec.layers) :]
    published = open_clip.pretrained.get_pretrained_cfg(spec.architecture, spec.weights_tag)
    assert (tuple(published["mean"]), tuple(published["std"])) == (spec.mean, spec.std)
    assert published["interpolation"] == spec.geometry.interpolation and published["quick_gelu"]
    assert published["hf_hub"].rstrip("/") == spec.hub_repo
    assert name != "clip_rn50x4" or spec.dimension == 5440  # as in the ICIP paper


def test_missing_weights_say_how_to_get_them() -> None:
    with pytest.raises(WeightsError) as error:
        load_backbone("clip_rn50x4")
    assert "tll-index backbones fetch clip_rn50x4" in str(error.value)
    assert "TLL_WEIGHTS_DIR" in str(error.value)
    assert load_settings().weights_dir.is_dir()


@pytest.mark.parametrize("name", NAMES)
def test_why_is_asked_with_masks(name: str, home: Path) -> None:
    """The joint embedding is of the whole picture."""
    write_weights(random_network(name), home / "weights" / f"{name}.safetensors")
    found = explained.of_noise(name)
    assert found.method == "mask" and found.heatmap_a.shape == (7, 7) and found.heatmap_b.std() > 0
