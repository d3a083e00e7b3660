"""The network of the tiny backbone, for torch.

`TINY_LOG` names a file that gets a line with the batch size for every forward pass, `TINY_SECONDS`
makes each one slow: so a test can count what was embedded. While there is a file `TINY_GATE`, only
so many passes of the log as it says go on, and all later ones wait: so a test can kill a build that
is certainly in its middle. While there is a file `TINY_BREAKS`, each fails.
"""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import torch

from tll_index.engine.backbones.checkpoint import fill, read_tensors
from tll_index.engine.backbones.registry import BackboneSpec


class Tiny(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = torch.nn.Conv2d(3, 16, 8, stride=8, bias=False)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        if log := os.environ.get("TINY_LOG"):
            with Path(log).open("a") as file:
                file.write(f"{len(pixels)}\n")
            if gate := os.environ.get("TINY_GATE"):
                pass_gate(Path(gate), number=len(Path(log).read_text().splitlines()))
        time.sleep(float(os.environ.get("TINY_SECONDS", 0)))
        if (breaks := os.environ.get("TINY_BREAKS")) and Path(breaks).exists():
            raise RuntimeError("out of order")
        return self.conv(pixels).relu().mean((2, 3))


def pass_gate(gate: Path, number: int) -> None:
    """Wait until the gate lets the pass of this number through, or is gone."""
    with contextlib.suppress(FileNotFoundError):
        while number > int(gate.read_text()):
            time.sleep(0.02)


def load(spec: BackboneSpec, weights: Path) -> torch.nn.Module:
    network = Tiny()
    fill(network, read_tensors(weights), weights)
    return network
