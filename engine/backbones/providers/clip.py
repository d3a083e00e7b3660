"""CLIP through open_clip: layers of pictures pooled, then the joint embedding, also of texts.

For the ResNets this is the feature vector of Risser-Maroix et al. (ICIP 2021): the four stages,
each averaged over positions, and the attention-pooled output: 5,440 values for RN50x4. For the
ViT it is our own reading of the same idea: each block's patch tokens averaged, then the
projection.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from ....core.errors import UsageError
from ..checkpoint import fill, read_tensors
from ..pooling import PooledNetwork
from ..registry import BackboneSpec, Layer, Pool


class PooledTower(PooledNetwork):
    """The layers of a CLIP image tower, mean over positions, then its output, side by side."""

    def __init__(self, visual: torch.nn.Module, layers: tuple[Layer, ...], skip_stem: bool) -> None:
        super().__init__()
        self.visual = visual
        self.pooled_layers = layers
        self.skip = 1 if skip_stem else 0

    def each(
        self, pixels: torch.Tensor, use: Callable[[torch.Tensor, Layer], torch.Tensor]
    ) -> list[torch.Tensor]:
        """See `PooledNetwork.each`."""
        out = self.visual.forward_intermediates(pixels)  # type: ignore[operator]
        activations = [*out["image_intermediates"][self.skip :], out["image_features"]]
        return [use(one, layer) for one, layer in zip(activations, self.pooled_layers, strict=True)]


class TextTower:
    """CLIP's text side: texts -> embeddings in the space that it puts pictures into as well."""

    def __init__(self, network: Any, tokenizer: Any, name: str) -> None:
        self._network = network
        self._tokenizer = tokenizer
        self._name = name

    def __call__(self, texts: Sequence[str]) -> torch.Tensor:
        """n texts -> (n, d) float32, of any length. See `load_text_encoder`."""
        most = self._tokenizer.context_length - 2  # a token before, one behind
        for text in texts:
            if (tokens := len(self._tokenizer.encode(text))) > most:
                raise UsageError(
                    f"{self._name} reads {most} tokens (words and parts of words) of a text, and "
                    f"{text[:40]!r}… has {tokens}: shorten it"
                )
        with torch.inference_mode():
            encoded: torch.Tensor = self._network.encode_text(self._tokenizer(list(texts)))
        return encoded


_MEAN = (Pool(),)


def load(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    """See `load_network`."""
    if any(layer.pools != _MEAN for layer in spec.layers):
        raise ValueError(f"{spec.name}: layers of CLIP are averaged over positions, nothing else")
    visual = _filled(spec, weights).visual
    return PooledTower(visual, spec.layers, skip_stem=hasattr(visual, "layer4"))


def load_text_encoder(spec: BackboneSpec, weights: Path) -> TextTower:
    """See `text_encoder.load_text_encoder`. The tokenizer's vocabulary comes with open_clip."""
    import open_clip

    network = _filled(spec, weights).eval().requires_grad_(False)
    del network.visual  # the larger part, of no use here
    return TextTower(network, open_clip.get_tokenizer(spec.architecture), spec.name)


def _filled(spec: BackboneSpec, weights: Path) -> Any:
    """Both towers, with their weights. OpenAI's were trained with QuickGELU, which the
    architecture's plain config does not say: it is forced here, or a ViT would load and be subtly
    wrong."""
    import open_clip

    tensors = read_tensors(weights)
    logging.disable(logging.WARNING)  # it would warn of random weights, which are filled below
    try:
        network = open_clip.create_model(
            spec.architecture,
            pretrained=None,
            precision="fp32",
            force_quick_gelu=spec.weights_tag == "openai",
        )
    finally:
        logging.disable(logging.NOTSET)
    for extra in ("input_resolution", "context_length", "vocab_size"):
        tensors.pop(extra, None)  # settings that OpenAI stored among the tensors
    fill(network, {name: value.float() for name, value in tensors.items()}, weights)
    return network
