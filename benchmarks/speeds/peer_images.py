"""The row about pictures in other tools: the same files, from disk to searchable, and a query."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from tll_index.core.config import load_settings
from tll_index.engine.backbones.backbone import normalised
from tll_index.engine.backbones.network import load_network
from tll_index.engine.backbones.registry import spec_of
from tll_index.engine.backbones.weights import locate
from tll_index.engine.images.decode import from_image
from tll_index.engine.search.normalize import unit
from tll_index.indexer.ingest.build import Recipe, build
from tll_index.indexer.store.store import Store

from .apart import apart
from .clock import seconds, typical
from .findings import Finding
from .laboratory import K, Laboratory
from .peers import missing
from .pictures import copied

_QUERIES = 10


def peers_images(laboratory: Laboratory) -> Finding:
    """`build`, a loop over Pillow and torch, and imagededup, each in a process of its own."""
    folder = laboratory.scratch / "peer-pictures"
    paths = copied(laboratory.pictures.some(laboratory.sizes.peer_pictures).paths, folder)
    ways = {"ours": "ours", "naive_loop": "naive"}
    ways |= {"imagededup_cnn": "dedup_cnn", "imagededup_hash": "dedup_hash"}
    rows: dict[str, dict[str, Any]] = {}
    laboratory.progress.start("tools", len(ways), "tools")
    for name, function in ways.items():
        try:
            rows[name] = apart(
                f"peer_images:{function}", folder=str(folder), backbone=laboratory.backbone
            ).result
        except RuntimeError as error:
            rows[name] = {"error": str(error)}
        laboratory.progress.advance()
    rate = rows["ours"]["pictures_per_second"]
    same = [name for name in ("naive_loop", "imagededup_cnn") if "query_seconds" in rows[name]]
    for name in same:
        rows[name]["against"] = {
            "pictures_per_second": rate / rows[name]["pictures_per_second"],
            "query_seconds": rows[name]["query_seconds"] / rows["ours"]["query_seconds"],
        }
    faster = [value for name in same for value in rows[name]["against"].values()]
    return Finding(
        min(faster, default=0.0),
        bool(faster) and min(faster) >= 1,
        {"tools": rows},
        f"{len(paths)} pictures of {laboratory.pictures.name}, the same network in all but "
        "imagededup_hash (perceptual hashes, another task, shown only); libraries and networks "
        "are loaded first, except by `build`, which loads its own; query: one picture's file, "
        f"median of {_QUERIES}",
    )


# -- what processes of their own do --------------------------------------------------------------


def ours(folder: str, backbone: str) -> dict[str, Any]:
    """`build`, then `Store.query`."""
    store = Path(folder).with_name("peer-store")
    paths = _files(folder)
    needed = seconds(lambda: build([folder], store=store, recipe=Recipe(backbone=backbone)))
    with Store.open(store) as opened:
        return _told(paths, needed, lambda path: opened.query(path, K))


def naive(folder: str, backbone: str) -> dict[str, Any]:
    """What one writes first: each picture opened, embedded by eager torch and appended; queries
    compare with all and sort out the best."""
    import torch

    network, spec = _network(backbone)
    paths = _files(folder)

    def embed(path: Path) -> np.ndarray:
        with Image.open(path) as image, torch.inference_mode():
            pixels = normalised(from_image(image, spec.geometry).pixels[None], spec)
            return unit(network(torch.from_numpy(np.ascontiguousarray(pixels))).numpy())

    vectors: list[np.ndarray] = []
    needed = seconds(lambda: vectors.extend(embed(path) for path in paths))
    everything = np.concatenate(vectors)

    def query(path: Path) -> np.ndarray:
        scores = everything @ embed(path)[0]
        return np.argsort(-scores)[:K]

    return _told(paths, needed, query)


def dedup_cnn(folder: str, backbone: str) -> dict[str, Any]:
    """imagededup with the same network; it has no query, so a picture is encoded and compared with
    its encodings in NumPy."""
    if missing("imagededup"):
        return {"missing": "pip install imagededup"}
    import torch
    from imagededup.methods import CNN
    from imagededup.utils import CustomModel

    network, spec = _network(backbone)

    def transform(image: Image.Image) -> torch.Tensor:
        pixels = normalised(from_image(image, spec.geometry).pixels[None], spec)
        return torch.from_numpy(np.ascontiguousarray(pixels[0]))

    tool = CNN(verbose=False, model_config=CustomModel(backbone, network, transform))
    paths = _files(folder)
    found: dict[str, np.ndarray] = {}
    with torch.inference_mode():
        needed = seconds(lambda: found.update(tool.encode_images(image_dir=folder)))
        everything = unit(np.stack(list(found.values())))

        def query(path: Path) -> np.ndarray:
            ask = unit(tool.encode_image(image_file=path).reshape(1, -1))
            return np.argsort(-(everything @ ask[0]))[:K]

        return _told(paths, needed, query)


def dedup_hash(folder: str, backbone: str) -> dict[str, Any]:
    """imagededup's perceptual hashes."""
    if missing("imagededup"):
        return {"missing": "pip install imagededup"}
    from imagededup.methods import PHash

    tool, paths = PHash(verbose=False), _files(folder)
    found: dict[str, str] = {}
    needed = seconds(lambda: found.update(tool.encode_images(image_dir=folder)))

    def query(path: Path) -> list[str]:
        ask = tool.encode_image(image_file=path)
        return sorted(found, key=partial(_bits_apart, tool, found, ask))[:K]

    return _told(paths, needed, query)


def _bits_apart(tool: Any, found: dict[str, str], ask: str, name: str) -> int:
    return int(tool.hamming_distance(ask, found[name]))


def _told(paths: Sequence[Path], needed: float, query: Callable[[Path], object]) -> dict[str, Any]:
    some = iter([*paths, *paths][: 2 * _QUERIES])
    query(next(some))
    asked = typical(lambda: query(next(some)), min(_QUERIES, len(paths)))
    return {"pictures_per_second": len(paths) / needed, "query_seconds": asked}


def _files(folder: str) -> list[Path]:
    return sorted(Path(folder).iterdir())


def _network(backbone: str) -> tuple[Any, Any]:
    """The network in eager torch, and its row of the registry."""
    settings, spec = load_settings(), spec_of(backbone)
    return load_network(spec, locate(spec, settings.weights_dir).path), spec
