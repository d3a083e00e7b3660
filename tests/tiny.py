"""A backbone small enough for tests: a registry row and a provider like any other.

Its weights file is real (16 random 8 x 8 filters, seeded) and goes through the same finding,
digesting and loading as the large ones. `TINY_LOG` names a file that gets a line with the batch
size for every forward pass, `TINY_SECONDS` makes each one slow: so a test can count what was
embedded, and kill a build in the middle. While there is a file `TINY_BREAKS`, each fails.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from tiny_rows import SPEC as SPEC
from tiny_rows import install as install
from tll_index.engine.backbones.checkpoint import fill, read_tensors
from tll_index.engine.hubs import HubPenalty
from tll_index.engine.lens import Lens, unit
from tll_index.engine.registry import BackboneSpec


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 16, 8, stride=8, bias=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if log := os.environ.get("TINY_LOG"):
            with Path(log).open("a") as file:
                file.write(f"{len(pixels)}\n")
        time.sleep(float(os.environ.get("TINY_SECONDS", 0)))
        if (breaks := os.environ.get("TINY_BREAKS")) and Path(breaks).exists():
            raise RuntimeError("out of order")
        return self.conv(pixels).relu().mean((2, 3))


def load(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    network = Tiny()
    fill(network, read_tensors(weights), weights)
    return network


def write_weights(path: Path, seed: int = 7) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    save_file({"conv.weight": torch.randn(16, 3, 8, 8, generator=generator) / 14}, path)
    return path


def asked_and_answered(**rest: Any) -> Lens:
    """A lens with a hub penalty that is large enough to change places."""
    random = np.random.default_rng(4)
    adaptation = random.normal(size=(6, 16)).astype(np.float32)
    bank = unit(random.normal(size=(9, 6)).astype(np.float32))
    return Lens("tiny", 16, adaptation=adaptation, hubs=HubPenalty(bank, 2, 0.8), **rest)


if __name__ == "__main__":  # tll-index with these rows, for tests that need a process to kill
    from tll_index.cli import main

    install()
    main()
