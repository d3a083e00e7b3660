"""The rows about others: vector libraries with the same vectors and recall, tools with the same
pictures, from files to a query."""

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

from ..harness import Finding, seconds, typical
from ..processes import apart
from .libraries import PEERS, missing
from .network import in_torch
from .vectors import MEMORY, about, measured
from .workload import K, Workload, copied

TARGET = 0.95
TIE = 1.10
"""Times up to so much longer are ties: runs on one machine differ by as much."""


def peers_vectors(workload: Workload) -> Finding:
    """Ours, as stores are searched, next to each of the peers."""
    count = workload.sizes.million
    truth = workload.truth(count)
    queries = {
        "vectors": str(workload.vectors_file(count)),
        "queries": str(workload.queries_file),
        "last": truth.last.tolist(),
        "k": K,
        "target": TARGET,
    }
    rows: dict[str, dict[str, Any]] = {"ours": our_store(workload, count, queries)}
    workload.progress.start("peers", len(PEERS), "libraries")
    for name in PEERS:
        try:
            rows[name] = apart(
                "speed.libraries:measure",
                peer=name,
                **queries,
                saved=str(workload.scratch / f"{name}.index"),
            ).result
        except RuntimeError as error:
            rows[name] = {"error": str(error)}
        workload.progress.advance()
    judge(rows)
    compared = [row for row in rows.values() if "against" in row]
    worst = min((row["against"]["all_cores_seconds"] for row in compared), default=0.0)
    return Finding(
        worst,
        bool(compared) and all(row["result"] != "lose" for row in compared),
        {"peers": rows},
        f"{about(workload, count)}; each tuned to recall {TARGET} on these queries, exact ones "
        "as they are (ours by a part of the reach that the tool sets; as_set: as it does); all "
        "return numbers, ours with exact scores from the catalog (with_paths_seconds: the whole of "
        "`Store.search`, as set); bytes of the saved "
        "index (ours without the catalog, which holds the exact vectors); one process each",
    )


def our_store(workload: Workload, count: int, queries: dict[str, Any]) -> dict[str, Any]:
    """The same figures of the tool's own store; and, as it sets itself, what a query takes."""
    known = measured(workload, count)
    store = str(known.filled.path)
    as_set = apart(
        "speed.stores:query", store=store, queries=queries["queries"], k=K, memory=MEMORY
    ).result
    return {
        "build_seconds": known.build["seconds"],
        "bytes_per_vector": known.build["index_bytes"] / count,
        "choice": known.build["index"],
        **apart("speed.stores:at_recall", store=store, memory=MEMORY, **queries).result,
        "as_set_recall": known.recall,
        "as_set_seconds": as_set["numbers_seconds"],
        "with_paths_seconds": as_set["median_seconds"],
    }


def judge(rows: dict[str, dict[str, Any]]) -> None:
    """Say of each peer whether ours wins, ties or loses on single queries, and why where it
    loses; only what was measured is said."""
    ours_ = rows["ours"]
    for name, row in rows.items():
        if name == "ours" or "all_cores_seconds" not in row:
            continue
        measures = "all_cores_seconds", "one_core_seconds", "build_seconds", "bytes_per_vector"
        row["against"] = {one: row[one] / max(ours_[one], 1e-9) for one in measures}
        faster = row["against"]["all_cores_seconds"]
        row["result"] = "win" if faster >= TIE else "tie" if faster >= 1 / TIE else "lose"
        if row["result"] == "lose":
            row["why"] = why(ours_, row)


def why(ours_: dict[str, Any], row: dict[str, Any]) -> str:
    """What the figures say about a query that takes us longer."""
    return (
        f"it answers in {row['all_cores_seconds'] * 1e3:.2f} ms at recall {row['recall']:.3f}, "
        f"ours in {ours_['all_cores_seconds'] * 1e3:.2f} ms at {ours_['recall']:.3f}; it builds in "
        f"{row['build_seconds']:.0f} s against {ours_['build_seconds']:.0f} s and takes "
        f"{row['bytes_per_vector']:.0f} bytes a vector against {ours_['bytes_per_vector']:.0f}"
    )


_QUERIES = 10


def peers_images(workload: Workload) -> Finding:
    """`build`, a loop over Pillow and torch, and imagededup, each in a process of its own."""
    folder = workload.scratch / "peer-pictures"
    paths = copied(workload.pictures.some(workload.sizes.peer_pictures).paths, folder)
    ways = {"ours": "our_build", "naive_loop": "naive"}
    ways |= {"imagededup_cnn": "dedup_cnn", "imagededup_hash": "dedup_hash"}
    rows: dict[str, dict[str, Any]] = {}
    workload.progress.start("tools", len(ways), "tools")
    for name, function in ways.items():
        try:
            rows[name] = apart(
                f"speed.peers:{function}", folder=str(folder), backbone=workload.backbone
            ).result
        except RuntimeError as error:
            rows[name] = {"error": str(error)}
        workload.progress.advance()
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
        f"{len(paths)} pictures of {workload.pictures.name}, the same network in all but "
        "imagededup_hash (perceptual hashes, another task, shown only); libraries and networks "
        "are loaded first, except by `build`, which loads its own; query: one picture's file, "
        f"median of {_QUERIES}",
    )


# -- what processes of their own do --------------------------------------------------------------


def our_build(folder: str, backbone: str) -> dict[str, Any]:
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
            embedding = unit(tool.encode_image(image_file=path).reshape(1, -1))
            return np.argsort(-(everything @ embedding[0]))[:K]

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
        code = tool.encode_image(image_file=path)
        return sorted(found, key=partial(_bits_apart, tool, found, code))[:K]

    return _told(paths, needed, query)


def _bits_apart(tool: Any, found: dict[str, str], code: str, name: str) -> int:
    return int(tool.hamming_distance(code, found[name]))


def _told(paths: Sequence[Path], needed: float, query: Callable[[Path], object]) -> dict[str, Any]:
    some = iter([*paths, *paths][: 2 * _QUERIES])
    query(next(some))
    took = typical(lambda: query(next(some)), min(_QUERIES, len(paths)))
    return {"pictures_per_second": len(paths) / needed, "query_seconds": took}


def _files(folder: str) -> list[Path]:
    return sorted(Path(folder).iterdir())


def _network(backbone: str) -> tuple[Any, Any]:
    """The network in eager torch, and its row of the registry."""
    settings, spec = load_settings(), spec_of(in_torch(backbone))
    return load_network(spec, locate(spec, settings.weights_dir).path), spec
