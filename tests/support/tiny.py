"""A backbone small enough for tests: a registry row and a provider like any other.

Its weights file is real (16 random 8 x 8 filters, seeded) and goes through the same finding,
digesting and loading as the large ones. The network itself is in `tiny_network`, since most tests,
and all processes that they start, have it as ONNX and need no torch: as on a user's CPU. What
`export_into` exported once lies in the cache of each test's home.

Passes can be watched, which is torch's to do: see `watch`.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tll_index.engine.backbones.registry import BackboneSpec, Layer, register
from tll_index.engine.images.decode import Geometry
from tll_index.engine.lens.csls import HubnessCorrection
from tll_index.engine.lens.lens import Lens
from tll_index.engine.search.normalize import unit

if TYPE_CHECKING:
    import pytest

NAMES = ("tiny", "tiny2")

SPEC = BackboneSpec(
    name="tiny",
    title="Sixteen random filters",
    provider="tiny_network",
    architecture="conv8",
    weights_tag="seed 7",
    layers=(Layer("conv", 16),),
    geometry=Geometry(size=32, fit="squash"),
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
    parameters=16 * 3 * 8 * 8,
    megabytes=1,
    licence="Apache-2.0",
    paper="none",
)


def write_weights(path: Path, seed: int = 7) -> Path:
    import torch
    from safetensors.torch import save_file

    path.parent.mkdir(parents=True, exist_ok=True)
    generator = torch.Generator().manual_seed(seed)
    save_file({"conv.weight": torch.randn(16, 3, 8, 8, generator=generator) / 14}, path)
    return path


EXPORT = """
from tll_index import load_backbone
import tiny
tiny.install()
for name in tiny.NAMES:
    load_backbone(name)
"""


def version_of_exports() -> str:
    """A digest of all that decides what `export_into` makes."""
    digest = hashlib.sha256()
    for name in ("torch", "onnx", "onnxruntime"):
        digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    here = Path(__file__).parent
    engine = here.parent.parent / "engine"
    for path in sorted([*here.glob("tiny*.py"), *(engine / "backbones").rglob("*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def export_into(home: Path) -> None:
    """Give that home weights, and in its cache the networks of the rows, as a process of its own
    exports them."""
    for name in NAMES:
        write_weights(home / "weights" / f"{name}.safetensors")
    environment = {**os.environ, "TLL_HOME": str(home.absolute()), "TLL_RUNTIME": "onnx"}
    folder = Path(__file__).parent
    subprocess.run([sys.executable, "-c", EXPORT], cwd=folder, env=environment, check=True)


def furnish(home: Path, furnished: Path) -> None:
    """Give `home` what `export_into` gave another: weights, and the very files of its networks,
    which no test may write to."""
    shutil.copytree(furnished / "weights", home / "weights")
    shutil.copytree(furnished / "cache", home / "cache", copy_function=os.link)


def watch(monkeypatch: pytest.MonkeyPatch, log: Path | None = None, seconds: float = 0) -> None:
    """From now on the network is run by torch, here and in new processes: `log` gets a line with
    the batch size for every pass, and each takes so long."""
    monkeypatch.setenv("TLL_RUNTIME", "torch")
    if log is not None:
        monkeypatch.setenv("TINY_LOG", str(log))
    monkeypatch.setenv("TINY_SECONDS", str(seconds))


def lens_with_csls(**rest: Any) -> Lens:
    """A lens with a hubness correction that is large enough to change ranks."""
    random = np.random.default_rng(4)
    adaptation = random.normal(size=(6, 16)).astype(np.float32)
    bank = unit(random.normal(size=(9, 6)).astype(np.float32))
    return Lens("tiny", 16, adaptation=adaptation, csls=HubnessCorrection(bank, 2, 0.8), **rest)


def install() -> None:
    """Add the row, and a second one that a store of the first must refuse."""
    for name in NAMES:
        register(replace(SPEC, name=name))


if __name__ == "__main__":  # tll-index with these rows, for tests that need a process to kill
    from tll_index.cli import main

    install()
    main()
