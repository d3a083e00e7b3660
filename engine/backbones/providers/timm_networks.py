"""Networks that timm builds (VGG, ResNet, ResNeXt, ViT): any of their layers, pooled.

A layer's name is its module's in timm's network. torchvision's ResNets have the same names for the
same tensors, so its files load as they are, and so do those that were trained with its ResNet
(Barlow Twins, DINO, WSL); of VGG's, the fully connected layers are renamed below.

Classifiers are never used: networks are built without one, and a file's classifier is left out. So
a file loads with the classifier of any number of classes, or, as those of Barlow Twins and DINO,
without one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from ..checkpoint import fill, read_tensors
from ..outputs import PooledOutputs
from ..registry import BackboneSpec

VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "resnext101_32x48d": ("resnext101_32x32d", {"base_width": 48}),
}
"""Architectures that timm can build but has no name for: the name of the nearest, and what is
otherwise."""

_TORCHVISION_VGG = {
    "classifier.0": "pre_logits.fc1",
    "classifier.3": "pre_logits.fc2",
    "classifier.6": "head.fc",
}
"""torchvision's names of VGG's fully connected layers -> timm's, where they are convolutions over
the whole map: the same numbers in the same order."""


def load(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    """See `load_network`."""
    network = load_whole(spec, weights)
    return PooledOutputs(network, spec.layers, getattr(network, "num_prefix_tokens", 0))


def load_whole(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    """timm's network itself, all of it but a classifier."""
    network = build(spec.architecture)
    fill(network, named_for(network, read_tensors(weights)), weights)
    return network


def build(architecture: str, **changed: Any) -> torch.nn.Module:
    """timm's network of that name with random weights, without a classifier unless `changed`
    (arguments of timm's `create_model`) says so."""
    import timm

    name, variant = VARIANTS.get(architecture, (architecture, {}))
    options = {"num_classes": 0, **variant, **changed}
    network: torch.nn.Module = timm.create_model(name, pretrained=False, **options)
    return network


def named_for(
    network: torch.nn.Module, tensors: dict[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """The tensors of a file, less its classifier, under the names that `network` has for them;
    those that it has no name for keep their own."""
    wanted = network.state_dict()
    classifier = network.pretrained_cfg["classifier"]  # type: ignore[index]
    renames = _TORCHVISION_VGG if "pre_logits.fc1.weight" in wanted else {}
    named = {}
    for name, tensor in tensors.items():
        module, _, kind = name.rpartition(".")
        module = renames.get(module, module)
        if module == classifier:
            continue
        name = f"{module}.{kind}" if module else kind
        if module in renames.values() and name in wanted:
            shape = wanted[name].shape
            if tensor.shape == (shape[0], shape[1:].numel()):
                tensor = tensor.reshape(shape)
        named[name] = tensor
    return named
