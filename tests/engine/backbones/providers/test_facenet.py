"""FaceNet's network, held against what is published of it and against its formulas written out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional

import explained
from tll_index import load_backbone
from tll_index.core.errors import WeightsError
from tll_index.engine.backbones.backbone import normalised
from tll_index.engine.backbones.providers.facenet import InceptionResnetV1
from tll_index.engine.backbones.registry import spec_of

SPEC = spec_of("facenet")
IDENTITIES = 8631
"""Of VGGFace2: the published file has a classifier of them, as `logits`."""

Tensors = dict[str, torch.Tensor]


@pytest.fixture(scope="module")
def tensors() -> Tensors:
    """Random ones of half precision, which halves the file and is a test of its own."""
    torch.manual_seed(11)
    state = InceptionResnetV1().state_dict()
    for name, value in state.items():
        if name.endswith(("running_mean", "bias")):
            value.normal_(0, 0.1)
        if name.endswith("running_var") or (name.endswith("weight") and value.ndim == 1):
            value.uniform_(0.5, 1.5)
    return {name: v.half() if v.is_floating_point() else v for name, v in state.items()}


@pytest.fixture(scope="module")
def file(tensors: Tensors, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("facenet") / "facenet.safetensors"
    logits = {"logits.weight": torch.zeros(9, 512).half(), "logits.bias": torch.zeros(9).half()}
    save_file(tensors | logits, path)
    return path


class ByHand:
    """The network from its tensors alone: kernels, channels and branches are read from their
    shapes and names; what the shapes don't say is written out."""

    def __init__(self, tensors: Tensors) -> None:
        self.tensors = {name: value.float() for name, value in tensors.items()}

    def conv(self, x: torch.Tensor, name: str, stride: int = 1, same: bool = False) -> torch.Tensor:
        """Convolution, norm, ReLU; `same`: padded so that the size stays."""
        weight = self.tensors[f"{name}.conv.weight"]
        padding = tuple(side // 2 for side in weight.shape[2:]) if same else 0
        x = functional.conv2d(x, weight, stride=stride, padding=padding)
        norm = {
            key: self.tensors[f"{name}.bn.{key}"][:, None, None]
            for key in ("running_mean", "running_var", "weight", "bias")
        }
        x = (x - norm["running_mean"]) / (norm["running_var"] + 0.001).sqrt()
        return (x * norm["weight"] + norm["bias"]).clamp_min(0)

    def chain(self, x: torch.Tensor, name: str, last_stride: int = 1) -> torch.Tensor:
        """The numbered convolutions of a branch, or its only one. A stride of 2 isn't padded."""
        if f"{name}.conv.weight" in self.tensors:
            return self.conv(x, name, last_stride, same=last_stride == 1)
        length = sum(key.startswith(f"{name}.") and "conv.weight" in key for key in self.tensors)
        for step in range(length):
            stride = last_stride if step == length - 1 else 1
            x = self.conv(x, f"{name}.{step}", stride, same=stride == 1)
        return x

    def residual(self, x: torch.Tensor, name: str, scale: float) -> torch.Tensor:
        branches = {key.split(".branch")[1][0] for key in self.tensors if f"{name}.branch" in key}
        found = torch.cat([self.chain(x, f"{name}.branch{b}") for b in sorted(branches)], 1)
        weight, bias = (self.tensors[f"{name}.conv2d.{kind}"] for kind in ("weight", "bias"))
        return x + scale * functional.conv2d(found, weight, bias)

    def reduction(self, x: torch.Tensor, name: str, branches: int) -> torch.Tensor:
        found = [self.chain(x, f"{name}.branch{b}", last_stride=2) for b in range(branches)]
        return torch.cat([*found, functional.max_pool2d(x, 3, 2)], 1)

    def layers(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        out = {}
        x = self.conv(x, "conv2d_1a", stride=2)
        x = self.conv(self.conv(x, "conv2d_2a"), "conv2d_2b", same=True)
        x = self.conv(functional.max_pool2d(x, 3, 2), "conv2d_3b")
        x = out["conv2d_4b"] = self.conv(self.conv(x, "conv2d_4a"), "conv2d_4b", stride=2)
        for name, count, scale in (
            ("repeat_1", 5, 0.17),
            ("repeat_2", 10, 0.1),
            ("repeat_3", 5, 0.2),
        ):
            for block in range(count):
                x = self.residual(x, f"{name}.{block}", scale).clamp_min(0)
            out[name] = x
            if name == "repeat_1":
                x = self.reduction(x, "mixed_6a", branches=2)
            if name == "repeat_2":
                x = self.reduction(x, "mixed_7a", branches=3)
        x = self.residual(x, "block8", 1.0).mean((2, 3))
        x = x @ self.tensors["last_linear.weight"].T
        norm = {
            key: self.tensors[f"last_bn.{key}"]
            for key in ("running_mean", "running_var", "weight", "bias")
        }
        x = (x - norm["running_mean"]) / (norm["running_var"] + 0.001).sqrt()
        out["last_bn"] = x * norm["weight"] + norm["bias"]
        return out


def test_features_are_the_formulas(tensors: Tensors, file: Path) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (2, 160, 160, 3), dtype=np.uint8)
    features = load_backbone("facenet", weights=file).features(pixels)
    assert features.shape == (2, SPEC.dimension) == (2, 3712) and features.dtype == np.float32
    square = torch.from_numpy((pixels.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 128)
    with torch.inference_mode():
        layers = ByHand(tensors).layers(square)
    sides = {name: maps.shape[2] for name, maps in layers.items() if maps.ndim == 4}
    assert sides == {"conv2d_4b": 17, "repeat_1": 17, "repeat_2": 8, "repeat_3": 3}
    at = 0
    for layer in SPEC.layers:
        out = layers[layer.name]
        by_hand = (out.mean((2, 3)) if out.ndim == 4 else out).numpy()
        ours = features[:, at : at + layer.width]
        assert np.abs(ours - by_hand).max() < 1e-4 * np.abs(by_hand).max(), layer
        assert by_hand.std() > 0.001
        at += layer.width
    assert at == SPEC.dimension
    again = load_backbone("facenet", weights=file).features(pixels)
    assert (again == features).all()


def test_preprocessing_is_facenets() -> None:
    pixels = np.array([0, 100, 255], np.uint8).reshape(1, 1, 1, 3).repeat(160, 1).repeat(160, 2)
    assert np.allclose(
        normalised(pixels, SPEC)[0, :, 0, 0], [-127.5 / 128, -27.5 / 128, 127.5 / 128], atol=1e-6
    )
    geometry = SPEC.geometry
    assert (geometry.size, geometry.fit, geometry.interpolation) == (160, "crop", "bilinear")


def test_the_network_is_the_published_one() -> None:
    """Counts that are published of facenet-pytorch's network with VGGFace2's identities."""
    with torch.device("meta"):
        network = InceptionResnetV1()
        logits = torch.nn.Linear(512, IDENTITIES)
    kinds = [type(module).__name__ for module in network.modules()]
    assert kinds.count("Conv2d") == 132 and kinds.count("BatchNorm2d") == 111
    assert kinds.count("BatchNorm1d") == 1 and kinds.count("Linear") == 1
    parameters = [*network.parameters(), *logits.parameters()]
    assert sum(value.numel() for value in parameters) == SPEC.parameters == 27_910_327
    tensors = [*network.state_dict().values(), *logits.state_dict().values()]
    assert SPEC.megabytes == round(sum(v.numel() * v.element_size() for v in tensors) / 1e6)
    shapes = {name: tuple(value.shape) for name, value in network.state_dict().items()}
    for name, shape in {
        "conv2d_1a.conv.weight": (32, 3, 3, 3),
        "conv2d_1a.bn.running_var": (32,),
        "repeat_1.4.branch0.conv.weight": (32, 256, 1, 1),
        "repeat_1.4.branch2.2.conv.weight": (32, 32, 3, 3),
        "repeat_1.4.conv2d.bias": (256,),
        "mixed_6a.branch0.conv.weight": (384, 256, 3, 3),
        "mixed_6a.branch1.2.bn.weight": (256,),
        "repeat_2.9.branch1.1.conv.weight": (128, 128, 1, 7),
        "repeat_2.9.branch1.2.conv.weight": (128, 128, 7, 1),
        "mixed_7a.branch2.1.conv.weight": (256, 256, 3, 3),
        "repeat_3.4.branch1.1.conv.weight": (192, 192, 1, 3),
        "block8.branch1.2.conv.weight": (192, 192, 3, 1),
        "block8.conv2d.weight": (1792, 384, 1, 1),
        "last_linear.weight": (512, 1792),
        "last_bn.num_batches_tracked": (),
    }.items():
        assert shapes.pop(name) == shape
    assert not [name for name in shapes if "relu" in name or "pool" in name]


def test_never_a_partly_random_network(tensors: Tensors, tmp_path: Path) -> None:
    path = tmp_path / "facenet.pt"
    missing = "repeat_2.3.branch1.1.conv.weight"
    for broken in (
        {name: value for name, value in tensors.items() if name != missing},
        tensors | {"last_linear.bias": torch.zeros(512)},
        tensors | {missing: tensors["repeat_2.3.branch1.2.conv.weight"]},  # (7, 1) for (1, 7)
    ):
        torch.save(broken, path)
        with pytest.raises(WeightsError, match="another architecture"):
            load_backbone("facenet", weights=path)


@pytest.mark.slow
def test_why_is_asked_with_masks(file: Path) -> None:
    found = explained.of_noise("facenet", weights=file)
    assert found.method == "mask" and min(found.heatmap_a.std(), found.heatmap_b.std()) > 0
