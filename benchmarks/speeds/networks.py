"""Rows about the network: how fast it runs, and how much of that a build and a query keep."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np

from tll_index.core.contracts import Pixels
from tll_index.engine.backbones.backbone import normalised
from tll_index.engine.backbones.runtime import TorchRuntime, load_runtime, pictures_a_pass
from tll_index.engine.images.decode import decode
from tll_index.indexer.ingest.build import Recipe, build
from tll_index.indexer.store.store import Store

from .clock import in_turn, seconds
from .findings import Finding, NotMeasurableError
from .laboratory import K, Laboratory
from .pictures import copied

RATIO, EQUAL = 2.5, 1e-3
KEPT = 0.85
SLOWER = 1.3


def model(laboratory: Laboratory) -> Finding:
    """The network through ONNX Runtime, and through eager torch in channels-last memory."""
    from tll_index.engine.backbones.network import load_network

    backbone = laboratory.embedder.backbone
    settings = replace(laboratory.settings, runtime="onnx", device="cpu")
    ours = load_runtime(backbone.spec, backbone.weights, settings)
    torch = TorchRuntime(load_network(backbone.spec, backbone.weights.path), "cpu")
    paths = laboratory.pictures.some(pictures_a_pass(laboratory.settings)).paths
    batch = normalised(squares(laboratory, paths), backbone.spec)
    turns = in_turn(
        {"onnx": lambda _: ours.run(batch), "torch": lambda _: torch.run(batch)},
        laboratory.sizes.model_rounds,
    )
    found, wanted = ours.run(batch), torch.run(batch)
    difference = float(np.abs(found - wanted).max())
    relative = difference / max(1.0, float(np.abs(wanted).max()))
    rates = {name: len(batch) / median(taken) for name, taken in turns.items()}
    ratio = rates["onnx"] / rates["torch"]
    figures = {f"{name}_pictures_per_second": rate for name, rate in rates.items()}
    figures |= {"largest_difference": difference, "relative_difference": relative}
    return Finding(
        ratio,
        ratio >= RATIO and relative <= EQUAL,
        figures,
        f"{backbone.spec.name}, batches of {len(batch)} of {laboratory.pictures.name}, "
        f"{laboratory.sizes.model_rounds} rounds in turn, medians; the difference as a part of the "
        "largest feature",
    )


def building(laboratory: Laboratory) -> Finding:
    """`build` from files to a store, between two runs of the network over the same pictures."""
    sizes, backbone = laboratory.sizes, laboratory.embedder.backbone
    folder, store = laboratory.scratch / "build", laboratory.scratch / "built"
    paths = copied(laboratory.pictures.some(sizes.build_pictures).paths, folder)
    pixels = squares(laboratory, paths)
    decoding = seconds(lambda: squares(laboratory, paths[:100])) / len(paths[:100])
    backbone.features(pixels[: pictures_a_pass(laboratory.settings)])  # warms up
    ratios, models, builds = [], [], []
    laboratory.progress.start("building", sizes.build_rounds, "rounds")
    for _ in range(sizes.build_rounds):
        before = seconds(lambda: run_all(laboratory, pixels))
        built = seconds(lambda: _build(laboratory, folder, store))
        after = seconds(lambda: run_all(laboratory, pixels))
        shutil.rmtree(store)
        models += [before, after]
        builds.append(built)
        ratios.append((before + after) / 2 / built)
        laboratory.progress.advance()
    shutil.rmtree(folder)
    ratio = median(ratios)
    return Finding(
        ratio,
        ratio >= KEPT,
        {
            "build_pictures_per_second": len(paths) / median(builds),
            "model_pictures_per_second": len(paths) / median(models),
            "decode_pictures_per_second_one_core": 1 / decoding,
            "each_round": ratios,
        },
        f"{len(paths):,} pictures of {laboratory.pictures.name}, each round: network, build of a "
        "new store (walking, decoding, network, lens, catalog, index), network",
    )


def warm_query(laboratory: Laboratory) -> Finding:
    """`Store.query` of a picture's file, and the network alone on the same picture."""
    sizes, backbone = laboratory.sizes, laboratory.embedder.backbone
    filled = laboratory.indexed(sizes.query_store)
    rounds = 5 * sizes.rounds
    paths = laboratory.pictures.some(sizes.rounds).paths
    pixels = [squares(laboratory, [path]) for path in paths]
    with Store.open(filled.path, settings=laboratory.settings) as store:
        turns = in_turn(
            {
                "query": lambda turn: store.query(paths[turn % len(paths)], K),
                "model": lambda turn: backbone.features(pixels[turn % len(paths)]),
            },
            rounds,
        )
    ratio = median(turns["query"]) / median(turns["model"])
    return Finding(
        ratio,
        ratio <= SLOWER,
        {f"{name}_seconds": median(taken) for name, taken in turns.items()},
        f"{rounds} queries with pictures of {laboratory.pictures.name} (reading, decoding, "
        f"network, lens, search, paths), {filled.count:,} vectors in the store; in turn, medians",
    )


def squares(laboratory: Laboratory, paths: list[Path] | tuple[Path, ...]) -> Pixels:
    """(n, size, size, 3) uint8: what the network sees of pictures."""
    geometry = laboratory.embedder.backbone.spec.geometry
    return np.stack([decode(path.read_bytes(), geometry).pixels for path in paths])


def run_all(laboratory: Laboratory, pixels: Pixels) -> None:
    """The network over all pixels, batch by batch."""
    step = pictures_a_pass(laboratory.settings)
    for at in range(0, len(pixels), step):
        laboratory.embedder.backbone.features(pixels[at : at + step])


def _build(laboratory: Laboratory, folder: Path, store: Path) -> None:
    recipe = Recipe(backbone=laboratory.backbone)
    report = build([folder], store=store, recipe=recipe, settings=laboratory.settings)
    if report.stopped:
        raise KeyboardInterrupt
    if report.skipped:
        raise NotMeasurableError(f"{len(report.skipped)} pictures can't be used")
