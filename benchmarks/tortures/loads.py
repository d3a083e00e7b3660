"""Loading what may do harm, through the public calls, with little memory. Run in children."""

from __future__ import annotations

import hashlib
import resource
from pathlib import Path
from typing import Any

import numpy as np

_ROOM = 320 << 20
"""Bytes that loading may take, of data, beyond what the process has."""


def load(file: str) -> dict[str, Any]:
    """What a lens, a weights file or a store (named by its store.json) comes to: 'result', a
    digest; or the error of tll-index.

    Raises:
        MemoryError: it takes more than it may; whatever else it raises is a bug as well.
    """
    taken = int(Path("/proc/self/statm").read_text().split()[5]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_DATA, (taken + _ROOM, taken + _ROOM))
    path = Path(file)
    loads = {".npz": _lens, ".json": _store}.get(path.suffix, _weights)
    return {"result": loads(path)}


def _lens(path: Path) -> str:
    from tll_index import Lens

    lens = Lens.load(path)
    features = np.random.default_rng(0).random((4, 16), np.float32)
    if lens.features != 16:
        return f"a lens of {lens.features} features"
    return f"{lens.digest} {hashlib.sha256(lens.encode_gallery(features).tobytes()).hexdigest()}"


def _store(path: Path) -> str:
    from tll_index import Store

    with Store.open(path.parent) as store:
        store.info()
        pixels = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
        hits = [(hit.path, round(hit.score, 4)) for hit in store.query(pixels, k=1000)]
        return hashlib.sha256(repr(hits).encode()).hexdigest()


def _weights(path: Path) -> str:
    from tll_index import load_backbone

    backbone = load_backbone("tiny", weights=path)
    pixels = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    features = backbone.features(pixels)
    return hashlib.sha256(features.tobytes()).hexdigest()


def good_checkpoint(source: str, out: str) -> None:
    """The tensors of a safetensors file, as torch saves them."""
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(source), out)
