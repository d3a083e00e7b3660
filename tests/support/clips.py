"""Small CLIPs: real architectures of open_clip's, with few layers and seeded random weights.

Their texts go through open_clip's own tokenizer, which has the vocabulary of the real ones.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
from safetensors.torch import save_file

from tll_index.engine.backbones.registry import Layer, register, spec_of
from tll_index.engine.images.decode import Geometry

RESNET, VIT = "tll-test-resnet", "tll-test-vit"
JOINT = 24
CONTEXT = 12
_TEXT = {"context_length": CONTEXT, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1}
_SMALL: dict[str, dict[str, Any]] = {
    RESNET: {"image_size": 64, "layers": [1, 1, 2, 1], "width": 8, "patch_size": None},
    VIT: {"image_size": 32, "layers": 2, "width": 64, "patch_size": 16},
}
_LAYERS = {
    RESNET: (*((f"layer{i}", 32 << (i - 1)) for i in (1, 2, 3, 4)), ("joint", JOINT)),
    VIT: (("block1", 64), ("block2", 64), ("joint", JOINT)),
}
NAMES = tuple(_SMALL)


def install(folder: Path) -> None:
    """Add the rows, and to open_clip their architectures, whose files stay in `folder`."""
    for name, vision in _SMALL.items():
        config = {"embed_dim": JOINT, "vision_cfg": vision, "text_cfg": _TEXT}
        (folder / f"{name}.json").write_text(json.dumps(config))
        row = replace(
            spec_of("clip_rn50x4"),
            name=name,
            architecture=name,
            layers=tuple(Layer(*layer) for layer in _LAYERS[name]),
            geometry=Geometry(vision["image_size"]),
        )
        register(row)
    open_clip.add_model_config(folder)


def random_network(name: str, seed: int = 3) -> Any:
    torch.manual_seed(seed)
    return open_clip.create_model(name, force_quick_gelu=True).eval()


def write_weights(network: torch.nn.Module, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({key: value.contiguous() for key, value in network.state_dict().items()}, path)
    return path


def pixels_for(name: str, count: int = 3) -> np.ndarray:
    size = spec_of(name).geometry.size
    return np.random.default_rng(5).integers(0, 256, (count, size, size, 3), dtype=np.uint8)


if __name__ == "__main__":  # tll-index with these rows; their folder is the first argument
    from tll_index.cli import main

    install(Path(sys.argv.pop(1)))
    main()
