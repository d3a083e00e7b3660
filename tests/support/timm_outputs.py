"""What timm's own EfficientNets make of two photographs, pooled by hand: the oracle of ours."""

from __future__ import annotations

import math

import numpy as np
import torch
from PIL import Image
from sklearn.datasets import load_sample_image

from tll_index.core.contracts import Pixels
from tll_index.engine.backbones.registry import Layer, Pool
from tll_index.engine.images.decode import Geometry, from_image


def photographs_at(geometry: Geometry) -> Pixels:
    images = [Image.fromarray(load_sample_image(name)) for name in ("flower.jpg", "china.jpg")]
    return np.stack([from_image(image, geometry).pixels for image in images])


def outputs_of_timm(classifier: torch.nn.Module, pixels: torch.Tensor) -> dict[str, np.ndarray]:
    """What the network's blocks and its `conv_head` (behind its norm) give inside timm's own
    forward pass, (n, channels, height, width) by name, in the order of computation."""
    seen: dict[str, np.ndarray] = {}

    def listen(name: str, module: torch.nn.Module) -> None:
        module.register_forward_hook(lambda *hooked: seen.update({name: hooked[-1].numpy()}))

    for stage, blocks in enumerate(classifier.blocks):  # type: ignore[arg-type]
        for number, block in enumerate(blocks):
            listen(f"blocks.{stage}.{number}", block)
    listen("conv_head", classifier.bn2)  # type: ignore[arg-type]
    with torch.inference_mode():
        classifier(pixels)
    return seen


def pooled_by_hand(maps: np.ndarray, pool: Pool) -> np.ndarray:
    side = maps.shape[2]
    ends = [
        (side * i // pool.grid, math.ceil(side * (i + 1) / pool.grid)) for i in range(pool.grid)
    ]
    statistic = np.mean if pool.statistic == "mean" else np.std
    parts = [maps[:, :, top:bottom, a:b] for top, bottom in ends for a, b in ends]
    return np.concatenate([statistic(part.astype(float), axis=(2, 3)) for part in parts], axis=1)


def layer_by_hand(outputs: dict[str, np.ndarray], layer: Layer) -> np.ndarray:
    return np.concatenate([pooled_by_hand(outputs[layer.name], p) for p in layer.pools], axis=1)
